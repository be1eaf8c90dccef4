/** Mini-batches of images, read, augmented and normalised in a thread of its own while the model computes. */
import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.js';
import type { Images } from './images.js';
import type { LoaderReply, LoaderRequest } from './loaderWorker.js';
import type { Batch, TrainingData } from './types.js';

/** A thread that makes mini-batches. Close it when done; while idle it keeps no process alive. */
export interface Loader {
  /**
   * The samples `rows` as a training graph takes them: `rgb` [B, 3, S, S], `semseg` int32 [B, S / stride, S / stride],
   * `depth` and `valid` [B, 1, S, S], those that the images have. Pass e takes view e mod views, or e + 1
   * where views have no end. `labels` are the classes of all rows of the images, for `label` int32 [B].
   * A mini-batch depends on its places and pass alone, not on how many are asked for ahead.
   */
  data(rows: Int32Array, labels?: Int32Array): TrainingData;
  close(): Promise<void>;
}

interface Waiting {
  resolve(batch: Batch): void;
  reject(error: Error): void;
}

/** Starts the thread, which opens the records itself; the images may be closed or read meanwhile. */
export async function openLoader(images: Images): Promise<Loader> {
  const worker = new Worker(new URL('./loaderWorker.js', import.meta.url), { workerData: images.plan, execArgv: [] });
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  const waiting = new Map<number, Waiting>();
  let nextId = 0;
  let closed = false;
  let failure: Error | undefined;
  const stop = (error: Error) => {
    failure ??= error;
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  };
  worker.on('message', (reply: LoaderReply) => {
    const { resolve, reject } = waiting.get(reply.id)!;
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if (reply.batch) resolve(reply.batch);
    else reject(new DataError(reply.code, reply.message));
  });
  worker.on('error', (cause) =>
    stop(new DataError('ERR_LOADER', `The thread that loads images failed: ${cause.message}`, { cause })),
  );
  worker.on('exit', () => stop(new DataError('ERR_LOADER_CLOSED', 'The loader was closed.')));
  worker.unref();

  const load = (request: Omit<LoaderRequest, 'id'>) => {
    if (closed || failure) {
      return Promise.reject(failure ?? new DataError('ERR_LOADER_CLOSED', 'The loader was closed.'));
    }
    const id = nextId++;
    return new Promise<Batch>((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, ...request } satisfies LoaderRequest);
    });
  };
  return {
    data: (rows, labels) => ({
      samples: rows.length,
      async batch(places, epoch) {
        const chosen = Int32Array.from(places, (place) => rows[place]!);
        const view = images.views === Number.POSITIVE_INFINITY ? epoch + 1 : epoch % images.views;
        const batch = await load({ rows: chosen, view });
        if (!labels) return batch;
        return { ...batch, label: { data: chosen.map((row) => labels[row]!), dims: [places.length] } };
      },
    }),
    async close() {
      if (!closed && !failure) {
        worker.ref();
        worker.postMessage(undefined);
      }
      closed = true;
      await exited;
    },
  };
}
