import type { Command } from 'commander';
import { writeNpy } from '../formats/npy.js';
import { reduce } from '../reduce/reduce.js';
import { formatCount, formatSeconds, formatShare } from '../report/numbers.js';
import { addCommand } from './command.js';
import { integerFrom } from './options.js';

interface Flags {
  embeddings: string;
  dims: number;
  out: string;
}

export function addReduce(program: Command): void {
  addCommand<Flags>(program, {
    name: 'reduce',
    needs: ['embeddings', 'out'],
    summary: 'embeddings -> fewer dimensions, by PCA',
    examples: ['coregain reduce --embeddings embeddings.npy --dims 64 --out reduced.npy'],
    resumes: false,
    async action({ embeddings, dims, out }, job) {
      const { matrix, model, notes, seconds } = await reduce(embeddings, { method: 'pca', dims, ...job });
      await writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
      const { variance, totalVariance, rank } = model!;
      const kept = variance.reduce((sum, value) => sum + value, 0);
      return {
        json: {
          path: out,
          rows: matrix.rows,
          cols: matrix.cols,
          explained: kept / totalVariance,
          rank,
          notes,
          seconds,
        },
        lines: [
          `${formatCount(matrix.rows)} rows of ${formatCount(matrix.cols)} features in ${out}`,
          `  ${formatShare(kept, totalVariance)} of the variance, ${formatSeconds(seconds)}`,
          ...notes.map((note) => `  note: ${note}`),
        ],
      };
    },
  })
    .option('--embeddings <file>', 'float32 or float64 [N, d], .npy in C order')
    .option('--dims <count>', 'dimensions that are kept', integerFrom(1), 64)
    .option('--out <file>', '.npy file to write');
}
