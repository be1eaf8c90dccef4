/** The first half of a selection: all points -> bins, by the exact greedy gain. */
import { isFloat32Array, isFloat64Array } from 'node:util/types';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { chooseDevice, type EngineDevice } from '../device.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { type GreedyJob, native } from '../native.js';
import { runNative } from '../nativeJob.js';
import type { JobOptions } from '../progress.js';
import { sharedData } from '../sharedData.js';
import type { Gain, Partition, Remainder } from './types.js';

export const GAINS = ['sqeuclidean', 'cosine'] as const satisfies readonly Gain[];
export const REMAINDERS = ['spread', 'drop'] as const satisfies readonly Remainder[];

export const ENGINES = ['auto', 'lazy', 'gram', 'sweep'] as const;
/**
 * How the greedy order is found; it is the same for all of them.
 *
 * - `lazy`: certified lazy evaluation, in about N^1.4 d time. Memory: a quarter of the float32 input, and a little.
 * - `gram`: the inner products of all pairs, as far as they are needed: N^2 floats at most.
 * - `sweep`: every point at every step, N^2 d time and no memory of its own.
 * - `auto`: `lazy`, and `sweep` where its memory cannot be had.
 */
export type Engine = (typeof ENGINES)[number];

export interface PartitionOptions extends JobOptions {
  /** m, 1..N. */
  bins: number;
  /** `sqeuclidean` (the paper's formula) if not given. */
  gain?: Gain | undefined;
  /** `spread` if not given. */
  remainder?: Remainder | undefined;
  /** `auto` if not given. */
  engine?: Engine | undefined;
  /** `auto` if not given. The result does not depend on it. */
  device?: EngineDevice | undefined;
  /** Threads of the native engine; 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

/** Rows are int32 everywhere. */
const MAX_ROWS = 2 ** 31 - 1;
/** Rows from which `auto` takes a GPU: below, starting one takes longer than the processor does. */
const ROWS_FOR_GPU = 20_000;
/** What the native engine may ask of the operating system. */
const MAX_THREADS = 1024;

/**
 * Sorts all N points into m bins (Dataset Quantization, arXiv 2308.10524, eq. 3). Bins are built one after the other
 * from the points D that earlier bins left; with S = chosen so far for this bin, each step takes the point x of D \ S
 * that maximises, lowest row on ties,
 *
 *     sqeuclidean   P(x) = sum_{p in S} |p - x|^2 - sum_{p in D \ S} |p - x|^2
 *     cosine        P(x) = sum_{p in D} s(p, x) - 2 sum_{p in S} s(p, x),   s(p, x) = (1 + cos(p, x)) / 2
 *
 * The order is that of exact arithmetic, hence the same for every number of threads and every SIMD level. The cosine of
 * a zero vector with anything is 0. Time about N^1.4 d on the engine's own threads (see `Engine`); no N x N matrix.
 * Memory: the matrix, a copy of it unless it is on a SharedArrayBuffer, and a third of it for the engine. The values must not change until the promise has settled.
 *
 * @param source how error messages call the matrix.
 * @throws {DataError} `ERR_NOT_FINITE` naming the row; {TypeError} or {RangeError} for a bad argument; {NativeError},
 * `ERR_DEVICE` where `device` is not there;
 * rejects with `signal.reason` when aborted.
 */
export async function partition(
  matrix: EmbeddingMatrix,
  options: PartitionOptions,
  source = 'The embedding matrix',
): Promise<Partition> {
  checkMatrix(matrix);
  const { rows, cols } = matrix;
  const bins = integer('bins', options.bins, 1, rows);
  const gain = oneOf('gain', options.gain ?? 'sqeuclidean', GAINS);
  const remainder = oneOf('remainder', options.remainder ?? 'spread', REMAINDERS);
  const engine = oneOf('engine', options.engine ?? 'auto', ENGINES);
  const threads = integer('threads', options.threads ?? 0, 0, MAX_THREADS);
  const worthwhile = rows >= ROWS_FOR_GPU && engine !== 'sweep';
  options.signal?.throwIfAborted();

  // First: what becomes of a small matrix after the call has returned does not matter.
  const data = await sharedData(matrix, source, options.signal);
  const { leftOut, ...where } = await chooseDevice(options.device ?? 'auto', worthwhile, options.signal);
  const control = new Int32Array(new SharedArrayBuffer(8));
  const job: GreedyJob = { data, rows, cols, bins, gain, remainder, engine, ...where, threads, simd: '', control };
  const points = remainder === 'spread' ? rows : rows - (rows % bins);
  const { order, bins: binOf, gains, ...report } = await runNative(native().greedyBins, job, points, options, source);
  const facts = leftOut === undefined ? report : { ...report, why: `${report.why}; ${leftOut}` };
  return { bins: binOf, order, gains, binCount: bins, engine: facts };
}

/** Throws TypeError or RangeError unless `matrix` has a positive shape and exactly as many values. */
export function checkMatrix(matrix: EmbeddingMatrix): void {
  if (typeof matrix !== 'object' || matrix === null) throw wrongType('embeddings', 'an EmbeddingMatrix', matrix);
  const { data, rows, cols } = matrix;
  if (!isFloat32Array(data) && !isFloat64Array(data)) {
    throw wrongType('embeddings.data', 'a Float32Array or Float64Array', data);
  }
  integer('embeddings.rows', rows, 1, MAX_ROWS);
  integer('embeddings.cols', cols, 1, MAX_ROWS);
  if (data.length !== rows * cols) {
    throw outOfRange('embeddings.data.length', `rows * cols = ${rows} * ${cols} = ${rows * cols}`, data.length);
  }
}
