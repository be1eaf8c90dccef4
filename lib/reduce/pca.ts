/**
 * Principal component analysis: of small matrices by ml-pca, exact in float64; of all others in the native engine, in memory
 * or block by block from a file. docs/reduction.md has the methods, their errors and what they need.
 */
import { setImmediate } from 'node:timers/promises';
import { integer } from '../check.js';
import { chooseDevice, type EngineDevice, onDevice } from '../device.js';
import { DataError } from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import { openEmbeddings, readAll, readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import { sharedData } from '../sharedData.js';
import type { LinearModel, PcaSummary } from './linearModel.js';
import { byColumns, fitInPasses, type PcaRows, roomOf, transformInPasses } from './pcaPasses.js';
import { type PcaPlan, planPca } from './pcaPlan.js';
import { fitSmall, transformSmall } from './smallPca.js';

export { load, save } from './pcaModel.js';
export type { PcaMethod } from './pcaPlan.js';

export interface PcaOptions extends JobOptions {
  /** Wanted number of components; fewer where the data varies in no more. */
  dims: number;
  /** Scores are divided by the standard deviation of their component; false if not given. */
  whiten?: boolean | undefined;
  /** Of the randomized method; 0 if not given. */
  seed?: number | undefined;
  /** 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
  /**
   * Bytes that the fit may add to the process at its peak, with the model and the scores, beside what is in memory already, 2 MB for each
   * thread, and what the reader of a format holds; 4 GiB beside the scores if not given. What does not fit is read again and again.
   */
  memory?: number | undefined;
  /** Where the large products are computed, to float32 accuracy (docs/gpu.md); `auto` if not given: the processor, for now. */
  device?: EngineDevice | undefined;
}

/** Rows that go through `transform` at a time; a device is sent the components each time. */
const TRANSFORM_BYTES = 64 << 20;
const DEVICE_BYTES = 512 << 20;
/** Below this many values `auto` does not wake a device. */
const WORTHWHILE = 16_000_000;

/**
 * Fits `min(dims, rank)` components to rows in memory or on disk.
 * @throws {DataError} `ERR_PCA_NO_VARIANCE`, `ERR_NOT_FINITE` naming row and column, `ERR_PCA_OVERFLOW`, `ERR_OUT_OF_MEMORY`, or
 * of the file; {NativeError} `ERR_DEVICE` or `ERR_MEMORY` of a device; {RangeError} for options; rejects with `signal.reason` when aborted.
 */
export async function fit(input: Embeddings, options: PcaOptions): Promise<LinearModel> {
  return (await fitRows(input, options, { components: true, scores: false })).model!;
}

/**
 * `fit`, then `transform` of the same rows, without a pass over them where the method has the scores at hand.
 * @param options `model`: whether the model is wanted too. The Gram method (N < d) needs a second pass and k * d * 4 bytes for
 * it; without it, the score of largest magnitude of each component is positive, not the entry of the component.
 * @returns float [N, k] of the input's type on a SharedArrayBuffer.
 * @throws as `fit`.
 */
export async function fitTransform(
  input: Embeddings,
  options: PcaOptions & { model?: boolean | undefined },
): Promise<{ matrix: EmbeddingMatrix; summary: PcaSummary; model?: LinearModel }> {
  return fitRows(input, options, { components: options.model ?? false, scores: true }) as ReturnType<
    typeof fitTransform
  >;
}

/**
 * Coordinates of rows on the components of a model.
 * @param input [M, d] of the model's d.
 * @returns float [M, k] of the input's type on a SharedArrayBuffer.
 * @throws as `fit`.
 */
export async function transform(
  model: LinearModel,
  input: Embeddings,
  options: JobOptions & { threads?: number | undefined; device?: EngineDevice | undefined } = {},
): Promise<EmbeddingMatrix> {
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  return withRows(input, options, async (rows) => {
    integer('number of features', rows.cols, model.inputs, model.inputs);
    const where = deviceOf(rows, options.device);
    if (model.components instanceof Float64Array) {
      const data = rows.data ?? (await readAll(rows.file!, options));
      return transformSmall(model, { data, rows: rows.rows, cols: rows.cols }, rows.source, options);
    }
    const { result: data } = await onDevice(where, (device) => {
      const lines = blockRowsOf(rows, device);
      return transformInPasses(model, rows, lines, { ...options, threads, device }, roomOf(rows, lines));
    });
    return { data, rows: rows.rows, cols: model.outputs };
  });
}

/**
 * A model of the rows that `model` was fitted to and of new ones, from the components and the new rows alone (Ross, Lim, Lin
 * and Yang 2008, Incremental learning for robust visual tracking, section 3.1): exact where the model kept all components, else
 * what the earlier rows had outside them is lost.
 * @param input [M, d] of the model's d; in memory, or read into it.
 * @param options `dims`: components to keep; as many as before if not given.
 * @throws as `fit`.
 */
export async function update(
  model: LinearModel,
  input: Embeddings,
  options: Partial<PcaOptions> = {},
): Promise<LinearModel> {
  const { rows, cols, data } = onDisk(input) ? await readEmbeddings(input, options) : checked(input);
  integer('number of features', cols, model.inputs, model.inputs);
  const dims = integer('dims', options.dims ?? model.outputs, 1);
  const source = sourceOf(input);
  const mean = new Float64Array(cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0, o = i * cols; j < cols; j++, o++) mean[j]! += data[o]! / rows;
    if (i % 256 === 0) await pause(options.signal);
  }
  // Scatter of all rows = that along the components + that of the new rows + that of the two means.
  const height = model.outputs + rows + 1;
  const stack = new Float64Array(new SharedArrayBuffer(8 * height * cols));
  for (let k = 0; k < model.outputs; k++) {
    const size = Math.sqrt(model.variance[k]! * (model.rows - 1));
    for (let j = 0; j < cols; j++) stack[k * cols + j] = size * model.components[k * cols + j]!;
  }
  for (let i = 0; i < rows; i++) {
    const o = (model.outputs + i) * cols;
    for (let j = 0; j < cols; j++) stack[o + j] = data[i * cols + j]! - mean[j]!;
    if (i % 256 === 0) await pause(options.signal);
  }
  const all = model.rows + rows;
  const apart = Math.sqrt((model.rows * rows) / all);
  let missed = model.totalVariance * (model.rows - 1);
  for (const variance of model.variance) missed -= variance * (model.rows - 1);
  for (let j = 0; j < cols; j++) stack[(height - 1) * cols + j] = apart * (mean[j]! - model.mean[j]!);
  const merged = await fitRows(
    { data: stack, rows: height, cols },
    { ...options, dims },
    { components: true, scores: false, aboutZero: true, source },
  );
  const scale = (height - 1) / (all - 1);
  return {
    ...merged.model!,
    rows: all,
    mean: model.mean.map((value, j) => value + ((mean[j]! - value) * rows) / all),
    variance: merged.model!.variance.map((value) => value * scale),
    totalVariance: merged.model!.totalVariance * scale + Math.max(0, missed) / (all - 1),
    whiten: options.whiten ?? model.whiten,
  };
}

interface Wanted {
  readonly components: boolean;
  readonly scores: boolean;
  readonly aboutZero?: boolean;
  readonly source?: string;
}

async function fitRows(input: Embeddings, options: PcaOptions, wanted: Wanted) {
  const dims = integer('dims', options.dims, 1);
  const seed = integer('seed', options.seed ?? 0, 0);
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  const memory = options.memory === undefined ? undefined : integer('memory', options.memory, 1);
  const { whiten = false, signal, onProgress } = options;
  const job = { signal, onProgress };
  return withRows(input, options, async (given) => {
    const rows = { ...given, source: wanted.source ?? given.source };
    if (rows.rows < 2) {
      throw new DataError('ERR_PCA_NO_VARIANCE', `${rows.source} has one row only: PCA needs at least two.`);
    }
    const where = deviceOf(rows, options.device);
    const plan = planOf(rows, dims, memory, wanted, where.device);
    if (plan.method === 'small') {
      const matrix = { data: rows.data ?? (await readAll(rows.file!, { signal })), rows: rows.rows, cols: rows.cols };
      const model = { ...(await fitSmall(matrix, dims, rows.source, job)), whiten };
      const { variance, totalVariance, rank } = model;
      const summary: PcaSummary = { method: 'small', variance, totalVariance, rank, passes: 1, device: 'cpu' };
      return {
        summary,
        ...(wanted.components && { model }),
        ...(wanted.scores && { matrix: await transformSmall(model, matrix, rows.source, { signal }) }),
      };
    }
    // Where the scores are not at hand they are made from the components.
    const components = wanted.components || plan.method === 'covariance' || !plan.scores;
    const aboutZero = wanted.aboutZero ?? false;
    // Where the first pass goes by rows, it reads them.
    const whole = () =>
      plan.method === 'gram' ? readAll(rows.file!, job) : sharedFloats(rows.dtype, rows.rows * rows.cols, rows.source);
    const data = rows.data ?? (plan.whole ? await whole() : undefined);
    // Where the data is still needed for the scores, or is the caller's, it stays as it is.
    const overwrite = !rows.data && plan.whole && plan.method === 'krylov' && (plan.scores || !wanted.scores);
    const most = Math.min(dims, rows.rows, rows.cols);
    const passes = {
      ...job,
      dims: most,
      seed,
      threads,
      whiten,
      aboutZero,
      components,
      overwrite,
      scores: wanted.scores,
    };
    const present = data ? { ...rows, file: undefined, data } : rows;
    const from = plan.method === 'gram' ? present : { ...rows, data };
    const { result, device } = await onDevice(where, async (index) => {
      const room = roomOf(present, plan.blockRows, plan.method === 'gram' ? plan.blockColumns : 0);
      const fitted = await fitInPasses(from, plan, { ...passes, device: index }, room);
      if (!wanted.scores) return fitted;
      const lines = plan.whole ? blockRowsOf(present, index) : plan.blockRows;
      const make = () => transformInPasses(fitted.model!, present, lines, { signal, threads, device: index }, room);
      return { ...fitted, scores: fitted.scores ?? (await make()) };
    });
    const { scores: reduced, model } = result;
    const summary: PcaSummary = { ...result.summary, device };
    const cols = summary.variance.length;
    onProgress?.({ stage: 'reduce', done: rows.rows, total: rows.rows, unit: 'points' });
    return {
      summary,
      ...(wanted.components && { model: model! }),
      ...(reduced && { matrix: { data: reduced, rows: rows.rows, cols } }),
    };
  });
}

function deviceOf({ rows, cols }: PcaRows, device: EngineDevice | undefined) {
  return chooseDevice(device ?? 'auto', rows * cols >= WORTHWHILE);
}

function planOf(
  rows: PcaRows,
  dims: number,
  memory: number | undefined,
  { components, scores, aboutZero, source }: Wanted,
  device: number,
): PcaPlan {
  const shape = {
    rows: rows.rows,
    cols: rows.cols,
    dims: Math.min(dims, rows.rows, rows.cols),
    valueBytes: rows.dtype === 'float32' ? (4 as const) : (8 as const),
    loaded: rows.data !== undefined,
    byColumns: byColumns(rows),
    components,
    scores,
    memory,
  };
  const plan = planPca(shape, source ?? rows.source);
  // ml-pca centres, and works on the processor only.
  return (aboutZero || device >= 0) && plan.method === 'small'
    ? { ...plan, method: rows.rows < rows.cols ? 'gram' : 'covariance', blockColumns: rows.cols }
    : plan;
}

/** The rows of an input; a file is closed afterwards. */
async function withRows<T>(input: Embeddings, options: JobOptions, work: (rows: PcaRows) => Promise<T>): Promise<T> {
  options.signal?.throwIfAborted();
  const source = sourceOf(input);
  if (!onDisk(input)) {
    const { rows, cols } = checked(input);
    const data = await sharedData(input, source, options.signal);
    return work({ data, rows, cols, source, dtype: data instanceof Float32Array ? 'float32' : 'float64' });
  }
  const file = await openEmbeddings(input);
  try {
    const { rows, cols, dtype } = file;
    return await work({ file, rows, cols, dtype, source });
  } finally {
    await file.close();
  }
}

function checked(input: EmbeddingMatrix): EmbeddingMatrix {
  const { rows, cols } = input;
  integer('rows', rows, 1);
  integer('cols', cols, 1);
  integer('data.length', input.data.length, rows * cols, rows * cols);
  return input;
}

function blockRowsOf({ rows, cols }: PcaRows, device: number): number {
  const bytes = device < 0 ? TRANSFORM_BYTES : DEVICE_BYTES;
  return Math.min(rows, Math.max(1, Math.floor(bytes / (8 * cols))));
}

async function pause(signal: AbortSignal | undefined): Promise<void> {
  await setImmediate();
  signal?.throwIfAborted();
}
