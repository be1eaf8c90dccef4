/**
 * Principal component analysis by ml-pca: exact in float64, for what fits a small eigenproblem. The worker accumulates the
 * smaller of the d x d covariance and the N x N Gram matrix, and ml-pca takes its eigenvectors, which is some twenty times
 * faster than handing it the data (its SVD and NIPALS walk the whole matrix again and again).
 */
import { Worker } from 'node:worker_threads';
import * as errors from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import type { LinearModel } from './linearModel.js';

/** What the worker is given; every array is on a SharedArrayBuffer, and `source` is what messages call the matrix. */
export type PcaTask = { input: EmbeddingMatrix; source: string } & (
  | { kind: 'fit'; dims: number }
  | { kind: 'transform'; model: LinearModel; out: Float32Array | Float64Array }
);

/** What the worker says. `done` is a share of the work in 0..1. */
export type PcaMessage =
  | { kind: 'progress'; done: number }
  | { kind: 'done'; model?: LinearModel }
  | { kind: 'failed'; name: string; code: string; message: string };

/** Keeps `min(dims, rank)` components. Memory: 8 min(N, d)^2 bytes. Throws as `fit` of pca.ts. */
export async function fitSmall(
  input: EmbeddingMatrix,
  dims: number,
  source: string,
  options: JobOptions,
): Promise<LinearModel> {
  return (await runWorker({ kind: 'fit', input, source, dims }, options))!;
}

/** [N, k] of the input's type on a SharedArrayBuffer. Throws as `transform` of pca.ts. */
export async function transformSmall(
  model: LinearModel,
  input: EmbeddingMatrix,
  source: string,
  options: JobOptions,
): Promise<EmbeddingMatrix> {
  const dtype = input.data instanceof Float32Array ? 'float32' : 'float64';
  const out = sharedFloats(dtype, input.rows * model.outputs, `The reduction of ${source}`);
  await runWorker({ kind: 'transform', input, source, model, out }, options);
  return { data: out, rows: input.rows, cols: model.outputs };
}

function runWorker(task: PcaTask, options: JobOptions): Promise<LinearModel | undefined> {
  const { signal, onProgress } = options;
  const { rows } = task.input;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./smallPcaWorker.js', import.meta.url), { workerData: task });
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
