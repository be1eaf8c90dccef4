/** PCA in the native engine: rows go by, block by block, as often as the method asks. */
import { setImmediate } from 'node:timers/promises';
import { DataError, NativeError } from '../errors.js';
import { blockRoom, columnRoom, readBlocks, readColumnBlocks } from '../formats/blocks.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingRows } from '../formats/source.js';
import { native } from '../native.js';
import { runNative } from '../nativeJob.js';
import type { JobOptions } from '../progress.js';
import type { LinearModel, PcaSummary } from './linearModel.js';
import type { PcaPlan } from './pcaPlan.js';

type Floats = Float32Array | Float64Array;

/** Rows in memory or in a file; where there are both, the first pass reads the file into the memory. */
export interface PcaRows extends Pick<EmbeddingRows, 'rows' | 'cols' | 'dtype'> {
  readonly source: string;
  /** On a SharedArrayBuffer. */
  readonly data?: Floats | undefined;
  readonly file?: EmbeddingRows | undefined;
}

export interface PassOptions extends JobOptions {
  readonly dims: number;
  readonly seed: number;
  readonly threads: number;
  readonly whiten: boolean;
  /** Takes the mean to be 0; false if not given. */
  readonly aboutZero?: boolean | undefined;
  readonly components: boolean;
  readonly scores: boolean;
  /** `data` may be spoilt. */
  readonly overwrite: boolean;
  /** A CUDA device for the products; -1 = the processor. */
  readonly device: number;
}

/** Rows that the native engine multiplies at a time: progress and cancellation come between two of them. */
const ROWS = 1536;
const MOST_VALUES = 2 ** 26;
/** Columns that `gram` sums in float32. */
const DEPTH = 192;
/** Passes that krylov usually needs: progress is a guess. */
const USUAL_PASSES = 10;

/**
 * Where blocks of a file that is not read as a whole go, from the first pass to the last: garbage would be collected late.
 * @param blockColumns where columns are read, not rows.
 */
export function roomOf({ file, data }: PcaRows, blockRows: number, blockColumns = 0): Floats[] | undefined {
  if (!file || data) return undefined;
  return blockColumns > 0 ? columnRoom(file, blockColumns) : blockRoom(file, blockRows);
}

/** Whether `gram` takes columns of all rows, not rows. */
export function byColumns({ data, file }: PcaRows): boolean {
  return data !== undefined || file?.readColumns !== undefined;
}

/** `room`: of `roomOf`. Throws as `fit` of pca.ts. */
export async function fitInPasses(
  input: PcaRows,
  plan: PcaPlan,
  options: PassOptions,
  room: Floats[] | undefined,
): Promise<{ summary: Omit<PcaSummary, 'device'>; model?: LinearModel; scores?: Floats }> {
  const { rows, cols, source } = input;
  const { dims, seed, threads, device, whiten, aboutZero = false, signal } = options;
  const method = plan.method as Exclude<PcaPlan['method'], 'small'>;
  const columns = method === 'gram' && byColumns(input);
  const addon = native();
  const handle = addon.pcaOpen({
    ...{ method, rows, cols, dims, seed, threads, device, aboutZero, simd: '' },
    components: options.components,
    scores: options.scores && plan.scores,
    blockColumns: plan.blockColumns,
    residentRows: plan.residentRows,
    byColumns: columns,
    overwrite: options.overwrite,
  });
  const control = () => new Int32Array(new SharedArrayBuffer(8));
  const done = progressOf(rows, method, options);
  // the fit writes into it whenever a job runs
  const components = options.components
    ? (sharedFloats('float32', dims * cols, `The components of ${source}`) as Float32Array)
    : undefined;
  for (let pass = 0; addon.pcaFirstRow(handle) < rows; pass++) {
    if (columns) {
      for await (const block of columnsOf(input, plan, room, signal)) {
        const job = { ...block, components, control: control() };
        const report = (p: { done: number }) => done(pass, (rows * (block.firstColumn + p.done)) / cols);
        const count = block.count;
        await runNative((j) => addon.pcaFeedColumns(handle, j), job, count, { signal, onProgress: report }, source);
      }
    } else {
      const present = pass === 0 ? input : { ...input, file: input.data ? undefined : input.file };
      for await (const block of blocksOf(present, plan.blockRows, addon.pcaFirstRow(handle), room, signal)) {
        const job = { ...block, cols, components, control: control() };
        const report = (p: { done: number }) => done(pass, block.first + p.done);
        await runNative((j) => addon.pcaFeed(handle, j), job, block.rows, { signal, onProgress: report }, source);
      }
    }
    const job = { cols, components, control: control() };
    await runNative((j) => addon.pcaEndPass(handle, j), job, rows, { signal }, source).catch((error) => {
      throw explain(error, source);
    });
  }
  const { mean, variance, totalVariance, rank, passes, hasScores } = addon.pcaFound(handle);
  const summary = { method, variance: shared(variance), totalVariance, rank, passes };
  const k = variance.length;
  const scores =
    options.scores && hasScores ? sharedFloats(input.dtype, rows * k, `The reduction of ${source}`) : undefined;
  const take = { cols, scores, whiten, control: control() };
  await runNative((j) => addon.pcaTake(handle, j), take, rows, { signal }, source);
  const facts = { inputs: cols, outputs: k, rows, variance: summary.variance, totalVariance, rank, whiten };
  return {
    summary,
    ...(components && { model: { ...facts, mean: shared(mean), components: components.subarray(0, k * cols) } }),
    ...(scores && { scores }),
  };
}

/** float32 components only; `room`: of `roomOf`. Throws as `transform` of pca.ts. */
export async function transformInPasses(
  model: LinearModel,
  input: PcaRows,
  blockRows: number,
  options: JobOptions & { threads: number; device: number },
  room: Floats[] | undefined,
): Promise<Floats> {
  const { rows, cols, source } = input;
  const { signal, onProgress, threads, device } = options;
  const { outputs, whiten, variance } = model;
  const out = sharedFloats(input.dtype, rows * outputs, `The reduction of ${source}`);
  const scale = whiten ? shared(variance.map((v) => 1 / Math.sqrt(v))) : undefined;
  const fixed = {
    cols,
    outputs,
    scale,
    mean: shared(model.mean),
    components: shared(model.components as Float32Array),
  };
  for await (const block of blocksOf(input, blockRows, 0, room, signal)) {
    const { first } = block;
    const target = out.subarray(first * outputs, (first + block.rows) * outputs);
    const control = new Int32Array(new SharedArrayBuffer(8));
    const job = { ...fixed, ...block, out: target, threads, device, simd: '', control };
    const report = onProgress && ((p: { done: number }) => onProgress(progress(first + p.done, rows)));
    await runNative(native().pcaTransform, job, block.rows, { signal, onProgress: report }, source);
  }
  return out;
}

/** Of rows in memory too, so that progress is seen and an abort heard. */
async function* blocksOf(
  { data, file, rows, cols }: PcaRows,
  blockRows: number,
  first: number,
  room: Floats[] | undefined,
  signal: AbortSignal | undefined,
) {
  if (file && !data) return yield* readBlocks(file, first, room!, { signal });
  const step = Math.min(blockRows, ROWS * Math.max(1, Math.floor(MOST_VALUES / (ROWS * cols))));
  const parts = [];
  for (let row = 0; row < rows; row += step) parts.push(data!.subarray(row * cols, Math.min(rows, row + step) * cols));
  if (file) return yield* readBlocks(file, first, parts, { signal });
  for (let row = first; row < rows; row += step) {
    const part = parts[row / step]!;
    yield { data: part, first: row, rows: part.length / cols };
    await setImmediate();
  }
}

async function* columnsOf(
  { data, file, cols }: PcaRows,
  { blockColumns }: PcaPlan,
  room: Floats[] | undefined,
  signal: AbortSignal | undefined,
) {
  if (!data) {
    const lead = blockColumns < cols ? DEPTH * Math.ceil(blockColumns / DEPTH / 8) : cols;
    for await (const { data, first, count } of readColumnBlocks(file!, lead, room!, { signal })) {
      yield { data, cols: count, from: 0, count, firstColumn: first };
    }
    return;
  }
  for (let from = 0; from < cols; from += blockColumns) {
    yield { data, cols, from, count: Math.min(blockColumns, cols - from), firstColumn: from };
    await setImmediate();
  }
}

function progress(done: number, rows: number) {
  return { stage: 'reduce' as const, done, total: rows, unit: 'points' };
}

/** All passes are one stage. */
function progressOf(rows: number, method: string, { onProgress }: PassOptions) {
  const passes = method === 'krylov' ? USUAL_PASSES : 1;
  let last = 0;
  return (pass: number, row: number) => {
    // Of the part that is left, a pass beyond the usual number takes a tenth.
    const share = pass < passes ? (0.9 * (pass + row / rows)) / passes : 0.9 + 0.09 * (1 - 0.9 ** (pass - passes));
    last = Math.max(last, Math.floor(share * rows));
    onProgress?.(progress(Math.min(last, rows - 1), rows));
  };
}

function shared<T extends Floats>(values: T): T {
  if (values.buffer instanceof SharedArrayBuffer) return values;
  const copy = sharedFloats(values instanceof Float32Array ? 'float32' : 'float64', values.length, 'The model') as T;
  copy.set(values);
  return copy;
}

function explain(error: unknown, source: string): unknown {
  if (!(error instanceof NativeError) || !error.code.startsWith('ERR_PCA')) return error;
  return new DataError(
    error.code,
    error.message.replace('the embedding matrix', source).replace('The embedding matrix', source),
    {
      cause: error,
    },
  );
}
