/**
 * Principal component analysis by ml-pca: exact, for what fits a small eigenproblem. The worker accumulates the smaller
 * of the d x d covariance and the N x N Gram matrix in float64, and ml-pca takes its eigenvectors, which is some
 * twenty times faster than handing it the data (its SVD and NIPALS walk the whole matrix again and again).
 */
import { Worker } from 'node:worker_threads';
import { integer } from '../check.js';
import * as errors from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import { openEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';

/** A linear map to fewer dimensions: y = (x - mean) * components^T. Arrays are on SharedArrayBuffers. */
export interface LinearModel {
  /** d, features of the input. */
  readonly inputs: number;
  /** k, features of the output. */
  readonly outputs: number;
  /** [d]. */
  readonly mean: Float64Array;
  /** [k, d] row-major, orthonormal rows; the entry of largest magnitude in each row is positive. */
  readonly components: Float64Array;
  /** [k], sample variance (divisor N - 1) along each component, descending. */
  readonly variance: Float64Array;
  /** Sum of the variances of all d features; `variance[i] / totalVariance` is the explained ratio. */
  readonly totalVariance: number;
  /** Dimensions that the data really has: at most min(N - 1, d), fewer where points are dependent. */
  readonly rank: number;
}

/** What fits a linear reduction and applies it; a faster implementation replaces the one here behind this type. */
export interface Reducer {
  fit(input: Embeddings, dims: number, options?: JobOptions): Promise<LinearModel>;
  transform(model: LinearModel, input: Embeddings, options?: JobOptions): Promise<EmbeddingMatrix>;
}

/** Largest min(N, d) whose eigenproblem ml-pca solves in about a minute; its time grows with the cube. */
export const MAX_SIDE = 2048;

/** What the worker is given; every array is on a SharedArrayBuffer. */
export type PcaTask =
  | { kind: 'fit'; input: Embeddings; dims: number }
  | { kind: 'transform'; input: Embeddings; model: LinearModel; out: Float32Array | Float64Array };

/** What the worker says. `done` is a share of the work in 0..1. */
export type PcaMessage =
  | { kind: 'progress'; done: number }
  | { kind: 'done'; model?: LinearModel }
  | { kind: 'failed'; name: string; code: string; message: string };

/**
 * Exact PCA for min(N, d) <= 2048, in a worker thread.
 * - `fit` keeps `min(dims, rank)` components. Memory: 8 min(N, d)^2 bytes and a block of rows; where N < d the whole
 *   matrix is in memory.
 * - `transform` gives [N, k] of the input's type on a SharedArrayBuffer.
 * @throws {DataError} `ERR_PCA_TOO_LARGE`, `ERR_PCA_NO_VARIANCE`, `ERR_NOT_FINITE` or of the file; rejects with
 * `signal.reason` when aborted.
 */
export const pca: Reducer = {
  async fit(input, dims, options = {}) {
    const { rows, cols } = await shapeOf(input);
    integer('dims', dims, 1);
    if (rows < 2) throw tooFewRows(input);
    if (Math.min(rows, cols) > MAX_SIDE) {
      throw new errors.DataError(
        'ERR_PCA_TOO_LARGE',
        `${sourceOf(input)} has ${rows} points of ${cols} features: exact PCA takes at most ${MAX_SIDE} of one or the other. ` +
          'Embed with aggregation mean or concat-modalities, reduce without (method none), or fit on a sample of the rows.',
      );
    }
    const shared = await toShared(input, options.signal);
    const model = await runWorker({ kind: 'fit', input: shared, dims }, rows, options);
    return model!;
  },

  async transform(model, input, options = {}) {
    const { rows, cols, dtype } = await shapeOf(input);
    integer('number of features', cols, model.inputs, model.inputs);
    const out = sharedFloats(dtype, rows * model.outputs, `The reduction of ${sourceOf(input)}`);
    const shared = await toShared(input, options.signal);
    await runWorker({ kind: 'transform', input: shared, model, out }, rows, options);
    return { data: out, rows, cols: model.outputs };
  },
};

async function shapeOf(input: Embeddings) {
  if (!onDisk(input)) {
    integer('data.length', input.data.length, input.rows * input.cols, input.rows * input.cols);
    const dtype = input.data instanceof Float32Array ? ('float32' as const) : ('float64' as const);
    return { rows: input.rows, cols: input.cols, dtype };
  }
  const file = await openEmbeddings(input);
  await file.close();
  return file;
}

function tooFewRows(input: Embeddings): Error {
  return new errors.DataError('ERR_PCA_NO_VARIANCE', `${sourceOf(input)} has one row only: PCA needs at least two.`);
}

/** The matrix itself if other threads can see it, else a copy that they can, made without blocking the event loop. */
async function toShared(input: Embeddings, signal?: AbortSignal): Promise<Embeddings> {
  if (onDisk(input) || input.data.buffer instanceof SharedArrayBuffer) return input;
  const { data, rows, cols } = input;
  const copy = sharedFloats(data instanceof Float32Array ? 'float32' : 'float64', data.length, sourceOf(input));
  const chunk = 1 << 20;
  for (let i = 0; i < data.length; i += chunk) {
    signal?.throwIfAborted();
    copy.set(data.subarray(i, i + chunk), i);
    await new Promise(setImmediate);
  }
  return { data: copy, rows, cols };
}

function runWorker(task: PcaTask, rows: number, options: JobOptions): Promise<LinearModel | undefined> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./pcaWorker.js', import.meta.url), { workerData: task });
    const settle = (finish: () => void) => {
      signal?.removeEventListener('abort', abort);
      // Its memory (a Gram matrix, perhaps) is given back before the caller goes on.
      worker.terminate().then(finish, finish);
    };
    const abort = () => settle(() => reject(signal!.reason));
    signal?.addEventListener('abort', abort, { once: true });
    worker.on('message', (message: PcaMessage) => {
      if (message.kind === 'progress') {
        onProgress?.({ stage: 'reduce', done: Math.floor(message.done * rows), total: rows, unit: 'points' });
      } else if (message.kind === 'done') {
        onProgress?.({ stage: 'reduce', done: rows, total: rows, unit: 'points' });
        settle(() => resolve(message.model));
      } else {
        settle(() => reject(revive(message)));
      }
    });
    worker.on('error', (error) => settle(() => reject(error)));
  });
}

/** Errors lose their class between threads. */
function revive({ name, code, message }: Extract<PcaMessage, { kind: 'failed' }>): Error {
  if (name === 'DataError') return new errors.DataError(code, message);
  return Object.assign(new Error(message), { name, code });
}
