import { type Command, Option } from 'commander';
import { chooseDimensions, type Dimensions } from '../diagnose/dimensions.js';
import { ConfigError } from '../errors.js';
import { writeNpy } from '../formats/npy.js';
import { readColumn, readEmbeddings } from '../formats/open.js';
import { writeParquet } from '../formats/writeParquet.js';
import type { LinearModel } from '../reduce/pca.js';
import { REDUCTIONS, type Reduction, reduce } from '../reduce/reduce.js';
import type { UmapModel } from '../reduce/umap.js';
import { formatCount, formatSeconds, formatShare } from '../report/numbers.js';
import { addCommand } from './command.js';
import {
  type EmbeddingFlags,
  embeddingFile,
  embeddingOptions,
  integerFrom,
  numberIn,
  threadsOption,
} from './options.js';
import { isParquetPath } from './tableFlags.js';

interface Flags extends EmbeddingFlags {
  method: Exclude<Reduction, 'none'>;
  dims: number | 'auto';
  neighbours?: number;
  minDist?: number;
  epochs?: number;
  seed?: number;
  threads?: number;
  idColumn?: string;
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
    async action({ embeddings: path, name, cols, dtype, where, idColumn, out, ...options }, job) {
      checkMethod(options);
      const embeddings = embeddingFile({ embeddings: path, name, cols, dtype, where });
      if (idColumn !== undefined && !isParquetPath(out)) {
        throw new ConfigError(
          'ERR_FLAG_UNUSED',
          '`--id-column` is kept in a table. Give `--out` a name that ends in .parquet, or leave it out.',
        );
      }
      const choice =
        options.dims === 'auto' ? await chooseDimensions(await readEmbeddings(embeddings, job), job) : undefined;
      const dims = choice?.chosen ?? (options.dims as number);
      const { matrix, model, layout, notes, seconds } = await reduce(embeddings, { ...options, dims, ...job });
      if (isParquetPath(out)) {
        const ids = idColumn === undefined ? undefined : await readColumn(embeddings, idColumn);
        await writeParquet(out, matrix, { ids, signal: job.signal });
      } else {
        await writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
      }
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
  });
  embeddingOptions(command)
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
    .option('--min-dist <distance>', 'of umap: how near points may lie, 0..1 (default: 0.1)', numberIn(0, 1))
    .option('--epochs <count>', 'of umap: rounds (default: 500, above 10,000 rows 200)', integerFrom(1))
    .option('--seed <number>', 'of umap (default: 0)', integerFrom(0));
  threadsOption(command)
    .option('--out <file>', '.npy or .parquet file to write')
    .option('--id-column <name>', 'of a table: column of ids to keep in a .parquet file');
}

function dimsOf(text: string): number | 'auto' {
  return text === 'auto' ? text : integerFrom(1)(text);
}

function why({ chosen, rank, explains }: Dimensions): string {
  const shares = Object.entries(explains).map(([share, dims]) => `${share} by ${dims ?? 'more than 256'}`);
  return `${chosen} dimensions predict held-back rows as well as any number; variance explained: ${shares.join(', ')}; rank ${rank}`;
}

function checkMethod({ method, ...options }: Omit<Flags, keyof EmbeddingFlags | 'out' | 'idColumn'>): void {
  if (method === 'umap') {
    if (options.dims !== 'auto') return;
    throw new ConfigError('ERR_FLAG_UNUSED', '`--dims auto` is of pca. Give umap a number of dimensions.');
  }
  const { neighbours, minDist, epochs, seed } = options;
  const given = Object.entries({ neighbours, 'min-dist': minDist, epochs, seed }).find(
    ([, value]) => value !== undefined,
  );
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

function umapFacts({ neighbours, minDist, epochs, seed }: UmapModel) {
  return {
    facts: { neighbours, minDist, epochs, seed },
    line: `UMAP of ${neighbours} neighbours, ${epochs} epochs, seed ${seed}`,
  };
}
