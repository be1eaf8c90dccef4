import { type Command, Option } from 'commander';
import { chooseDimensions, type Dimensions } from '../diagnose/dimensions.js';
import { ConfigError } from '../errors.js';
import { writeNpy } from '../formats/npy.js';
import { readEmbeddings } from '../formats/open.js';
import type { LinearModel } from '../reduce/pca.js';
import { REDUCTIONS, type Reduction, reduce } from '../reduce/reduce.js';
import { NEIGHBOUR_SEARCHES, type NeighbourSearch, type UmapModel } from '../reduce/umap.js';
import { formatCount, formatSeconds, formatShare } from '../report/numbers.js';
import { addCommand } from './command.js';
import { integerFrom, numberIn, threadsOption } from './options.js';

interface Flags {
  embeddings: string;
  method: Exclude<Reduction, 'none'>;
  dims: number | 'auto';
  neighbours?: number;
  neighbourSearch?: NeighbourSearch;
  minDist?: number;
  epochs?: number;
  seed?: number;
  threads?: number;
  out: string;
}

export function addReduce(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'reduce',
    needs: ['embeddings', 'out'],
    summary: 'embeddings -> fewer dimensions, by PCA or UMAP',
    examples: [
      'coregain reduce --embeddings embeddings.npy --dims 64 --out reduced.npy',
      'coregain reduce --embeddings embeddings.npy --method umap --dims 2 --neighbours 30 --out layout.npy',
    ],
    resumes: false,
    async action({ embeddings, out, ...options }, job) {
      checkMethod(options);
      const choice =
        options.dims === 'auto' ? await chooseDimensions(await readEmbeddings(embeddings, job), job) : undefined;
      const dims = choice?.chosen ?? (options.dims as number);
      const { matrix, model, layout, notes, seconds } = await reduce(embeddings, { ...options, dims, ...job });
      await writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
      const { facts, line } = model ? pcaFacts(model) : umapFacts(layout!);
      return {
        json: {
          path: out,
          method: options.method,
          rows: matrix.rows,
          cols: matrix.cols,
          ...facts,
          ...(choice && { choice }),
          notes,
          seconds,
        },
        lines: [
          `${formatCount(matrix.rows)} rows of ${formatCount(matrix.cols)} features in ${out}`,
          `  ${line}, ${formatSeconds(seconds)}`,
          ...(choice ? [`  ${why(choice)}`] : []),
          ...notes.map((note) => `  note: ${note}`),
        ],
      };
    },
  })
    .option('--embeddings <file>', 'float32 or float64 [N, d], .npy in C order')
    .addOption(
      new Option('--method <name>', 'reduction').choices(REDUCTIONS.filter((name) => name !== 'none')).default('pca'),
    )
    .option(
      '--dims <count>',
      'dimensions that are kept, or auto (of pca): as many as predict held-back rows',
      dimsOf,
      64,
    )
    .option('--neighbours <count>', 'of umap: points that a neighbourhood has (default: 15)', integerFrom(2))
    .addOption(
      new Option(
        '--neighbour-search <name>',
        'of umap: exact, nn-descent, or auto: nn-descent where there are many rows and it finds nearly all (default: auto)',
      ).choices(NEIGHBOUR_SEARCHES),
    )
    .option('--min-dist <distance>', 'of umap: how near points may lie, 0..1 (default: 0.1)', numberIn(0, 1))
    .option('--epochs <count>', 'of umap: rounds (default: 500, above 10,000 rows 200)', integerFrom(1))
    .option('--seed <number>', 'of umap (default: 0)', integerFrom(0));
  threadsOption(command).option('--out <file>', '.npy file to write');
}

function dimsOf(text: string): number | 'auto' {
  return text === 'auto' ? text : integerFrom(1)(text);
}

function why({ chosen, rank, explains }: Dimensions): string {
  const shares = Object.entries(explains).map(([share, dims]) => `${share} by ${dims ?? 'more than 256'}`);
  return `${chosen} dimensions predict held-back rows as well as any number; variance explained: ${shares.join(', ')}; rank ${rank}`;
}

function checkMethod({ method, ...options }: Omit<Flags, 'embeddings' | 'out'>): void {
  if (method === 'umap') {
    if (options.dims !== 'auto') return;
    throw new ConfigError('ERR_FLAG_UNUSED', '`--dims auto` is of pca. Give umap a number of dimensions.');
  }
  const { neighbours, neighbourSearch, minDist, epochs, seed } = options;
  const flags = { neighbours, 'neighbour-search': neighbourSearch, 'min-dist': minDist, epochs, seed };
  const given = Object.entries(flags).find(([, value]) => value !== undefined);
  if (given) {
    throw new ConfigError('ERR_FLAG_UNUSED', `\`--${given[0]}\` is of umap. Add \`--method umap\`, or leave it out.`);
  }
}

function pcaFacts({ variance, totalVariance, rank }: LinearModel) {
  const kept = variance.reduce((sum, value) => sum + value, 0);
  return {
    facts: { explained: kept / totalVariance, rank },
    line: `${formatShare(kept, totalVariance)} of the variance`,
  };
}

function umapFacts({ neighbours, neighbourSearch, recall, minDist, epochs, seed }: UmapModel) {
  const search = neighbourSearch === 'exact' ? 'exact' : `NN-descent, recall ${recall.toFixed(3)}`;
  return {
    facts: { neighbours, neighbourSearch, recall, minDist, epochs, seed },
    line: `UMAP of ${neighbours} neighbours (${search}), ${epochs} epochs, seed ${seed}`,
  };
}
