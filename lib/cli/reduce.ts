import { type Command, Option } from 'commander';
import type { EngineDevice } from '../device.js';
import { chooseDimensions, type Dimensions } from '../diagnose/dimensions.js';
import { ConfigError } from '../errors.js';
import { writeNpy } from '../formats/npy.js';
import { notesOf, readColumn, readEmbeddings } from '../formats/open.js';
import type { EmbeddingFile } from '../formats/source.js';
import { writeParquet } from '../formats/writeParquet.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import { pcaFacts, umapFacts } from '../reduce/facts.js';
import type { PcaSummary } from '../reduce/linearModel.js';
import * as pca from '../reduce/pca.js';
import { REDUCTIONS, type Reduction, reduce } from '../reduce/reduce.js';
import { NEIGHBOUR_SEARCHES, type NeighbourSearch, type UmapModel } from '../reduce/umap.js';
import { formatCount, formatSeconds, formatShare } from '../report/numbers.js';
import { addCommand, type Outcome } from './command.js';
import {
  type EmbeddingFlags,
  embeddingFile,
  embeddingOptions,
  engineDevice,
  integerFrom,
  memoryOf,
  numberIn,
  threadsOption,
} from './options.js';
import { isParquetPath } from './tableFlags.js';

interface Flags extends EmbeddingFlags {
  method?: Exclude<Reduction, 'none'>;
  dims?: number | 'auto';
  whiten?: true;
  memory?: number;
  saveModel?: string;
  model?: string;
  neighbours?: number;
  neighbourSearch?: NeighbourSearch;
  minDist?: number;
  epochs?: number;
  seed?: number;
  threads?: number;
  device?: EngineDevice;
  idColumn?: string;
  out: string;
}

const DIMS = 64;

export function addReduce(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'reduce',
    needs: ['embeddings', 'out'],
    summary: 'embeddings -> fewer dimensions, by PCA or UMAP',
    examples: [
      'coregain reduce --embeddings embeddings.npy --dims 64 --out reduced.npy',
      'coregain reduce --embeddings train.npy --dims 512 --memory 2GB --save-model pca.safetensors --out reduced.npy',
      'coregain reduce --embeddings new.npy --model pca.safetensors --out reduced-new.npy',
      'coregain reduce --embeddings embeddings.npy --method umap --dims 2 --neighbours 30 --out layout.npy',
    ],
    resumes: false,
    action: reduceEmbeddings,
  });
  embeddingOptions(command)
    .addOption(
      new Option('--method <name>', 'reduction (default: pca)').choices(REDUCTIONS.filter((name) => name !== 'none')),
    )
    .option(
      '--dims <count>',
      `dimensions that are kept, or auto (of pca): as many as predict held-back rows (default: ${DIMS})`,
      dimsOf,
    )
    .option('--whiten', 'of pca: divide each dimension by its standard deviation')
    .option(
      '--memory <amount>',
      'of pca: what it may add to the process, e.g. 2GB; what does not fit is streamed (default: 4GiB beside the result)',
      memoryOf,
    )
    .option('--save-model <file>', 'of pca: write the fitted model, .safetensors')
    .option('--model <file>', 'of pca: apply a saved model to these embeddings instead of fitting one')
    .option('--neighbours <count>', 'of umap: points that a neighbourhood has (default: 15)', integerFrom(2))
    .addOption(
      new Option(
        '--neighbour-search <name>',
        'of umap: exact, nn-descent, or auto: nn-descent where there are many rows and it finds nearly all (default: auto)',
      ).choices(NEIGHBOUR_SEARCHES),
    )
    .option('--min-dist <distance>', 'of umap: how near points may lie, 0..1 (default: 0.1)', numberIn(0, 1))
    .option('--epochs <count>', 'of umap: rounds (default: 500, above 10,000 rows 200)', integerFrom(1))
    .option('--seed <number>', 'of umap, and of pca where it is randomized (default: 0)', integerFrom(0));
  threadsOption(command)
    .option(
      '--device <name>',
      'of the products of pca, and of the exact neighbours of umap: auto, cpu, cuda or cuda:N (default: auto)',
      engineDevice,
    )
    .option('--out <file>', '.npy or .parquet file to write')
    .option('--id-column <name>', 'of a table: column of ids to keep in a .parquet file');
}

async function reduceEmbeddings(flags: Flags, job: JobOptions): Promise<Outcome> {
  checkFlags(flags);
  const { out, saveModel, model: saved, dims: wanted, method = 'pca', ...options } = flags;
  const embeddings = embeddingFile(flags);
  if (saved !== undefined) {
    const start = performance.now();
    const matrix = await pca.transform(await pca.load(saved), embeddings, {
      ...job,
      threads: flags.threads,
      device: flags.device,
    });
    const notes = await notesOf(embeddings);
    const seconds = (performance.now() - start) / 1000;
    await writeMatrix(matrix, embeddings, flags, job);
    return {
      json: { path: out, method: 'pca', model: saved, rows: matrix.rows, cols: matrix.cols, notes, seconds },
      lines: [
        wrote(matrix, out),
        `  by the model ${saved}, ${formatSeconds(seconds)}`,
        ...notes.map((note) => `  note: ${note}`),
      ],
    };
  }
  const choice = wanted === 'auto' ? await chooseDimensions(await readEmbeddings(embeddings, job), job) : undefined;
  const dims = choice?.chosen ?? (wanted as number | undefined) ?? DIMS;
  const result = await reduce(embeddings, { ...options, method, dims, model: saveModel !== undefined, ...job });
  const { matrix, layout, notes, seconds } = result;
  if (saveModel !== undefined) await pca.save(saveModel, result.model!);
  await writeMatrix(matrix, embeddings, flags, job);
  const facts = result.pca ? pcaFacts(result.pca) : umapFacts(layout!);
  const line = result.pca ? pcaLine(result.pca) : umapLine(layout!);
  return {
    json: {
      path: out,
      method,
      rows: matrix.rows,
      cols: matrix.cols,
      ...facts,
      ...(saveModel !== undefined && { model: saveModel }),
      ...(choice && { choice }),
      notes,
      seconds,
    },
    lines: [
      wrote(matrix, out),
      `  ${line}, ${formatSeconds(seconds)}`,
      ...(choice ? [`  ${why(choice)}`] : []),
      ...(saveModel === undefined ? [] : [`  model in ${saveModel}`]),
      ...notes.map((note) => `  note: ${note}`),
    ],
  };
}

/** As the ending of `out` says. */
async function writeMatrix(
  matrix: EmbeddingMatrix,
  source: EmbeddingFile,
  { out, idColumn }: Flags,
  { signal }: JobOptions,
): Promise<void> {
  if (!isParquetPath(out)) return writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
  const ids = idColumn === undefined ? undefined : await readColumn(source, idColumn);
  await writeParquet(out, matrix, { ids, signal });
}

function wrote({ rows, cols }: EmbeddingMatrix, out: string): string {
  return `${formatCount(rows)} rows of ${formatCount(cols)} features in ${out}`;
}

function dimsOf(text: string): number | 'auto' {
  return text === 'auto' ? text : integerFrom(1)(text);
}

function why({ chosen, rank, explains }: Dimensions): string {
  const shares = Object.entries(explains).map(([share, dims]) => `${share} by ${dims ?? 'more than 256'}`);
  return `${chosen} dimensions predict held-back rows as well as any number; variance explained: ${shares.join(', ')}; rank ${rank}`;
}

/** A flag that does nothing is a mistake of whoever gave it. */
function checkFlags(flags: Flags): void {
  const {
    method = 'pca',
    neighbours,
    neighbourSearch,
    minDist,
    epochs,
    whiten,
    memory,
    saveModel,
    dims,
    model,
  } = flags;
  const given = (options: Record<string, unknown>) =>
    Object.entries(options).find(([, value]) => value !== undefined)?.[0];
  const unused = (flag: string | undefined, of: string, cure: string) => {
    if (flag) throw new ConfigError('ERR_FLAG_UNUSED', `\`--${flag}\` is of ${of}. ${cure}`);
  };
  if (flags.idColumn !== undefined && !isParquetPath(flags.out)) {
    throw new ConfigError(
      'ERR_FLAG_UNUSED',
      '`--id-column` is kept in a table. Give `--out` a name that ends in .parquet, or leave it out.',
    );
  }
  const ofPca = { whiten, memory, 'save-model': saveModel, model };
  if (method === 'umap') {
    if (dims === 'auto') {
      throw new ConfigError('ERR_FLAG_UNUSED', '`--dims auto` is of pca. Give umap a number of dimensions.');
    }
    unused(given(ofPca), 'pca', 'Leave it out, or leave out `--method umap`.');
    return;
  }
  unused(
    given({ neighbours, 'neighbour-search': neighbourSearch, 'min-dist': minDist, epochs }),
    'umap',
    'Add `--method umap`, or leave it out.',
  );
  if (model === undefined) return;
  unused(
    given({ dims, whiten, memory, 'save-model': saveModel, seed: flags.seed }),
    'a fit',
    'Leave it out, or leave out `--model`.',
  );
}

function pcaLine({ variance, totalVariance, method, passes, device }: PcaSummary): string {
  const kept = variance.reduce((sum, value) => sum + value, 0);
  const how = { small: 'exact', covariance: 'exact', gram: 'exact', krylov: `randomized, ${passes} passes` }[method];
  return `${formatShare(kept, totalVariance)} of the variance (${how}${on(device)})`;
}

function umapLine({ neighbours, neighbourSearch, recall, device, epochs, seed }: UmapModel): string {
  const search = neighbourSearch === 'exact' ? 'exact' : `NN-descent, recall ${recall.toFixed(3)}`;
  return `UMAP of ${neighbours} neighbours (${search}${on(device)}), ${epochs} epochs, seed ${seed}`;
}

function on(device: string): string {
  return device === 'cpu' ? '' : `, ${device}`;
}
