/**
 * Embeddings in an HDF5 file, read by h5wasm in a thread of its own. HDF5 takes a damaged file hard: it may end the WebAssembly
 * that it runs in, or keep the file open and answer from memory the next time; such a thread is not used again.
 */
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.js';
import { conversionNotes, ELEMENTS, type ElementType, type Floats } from './elements.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

/** What the thread is asked. */
export type Hdf5Request =
  | { kind: 'open'; path: string; file: string; name: string | undefined }
  /** Rows [start, start + height) into the band that `open` gave. */
  | { kind: 'read'; start: number }
  | { kind: 'close' };

/** What it answers, once to each. */
export type Hdf5Answer =
  | {
      kind: 'opened';
      name: string;
      type: ElementType;
      rows: number;
      cols: number;
      height: number;
      band: SharedArrayBuffer;
    }
  | { kind: 'read' }
  /** `reusable`: nothing is left of the file. */
  | { kind: 'closed'; reusable: boolean }
  | { kind: 'failed'; code: string; message: string; reusable: boolean };

/** How long a thread waits for another file before it gives its memory back. It takes a tenth of a second to start one. */
const IDLE_MS = 2000;
const idle = new Map<Worker, NodeJS.Timeout>();

/**
 * Opens a data set, [N, d]: the path `name`, or the only one that embeddings may be. Memory is a band of rows, 1 MiB or as
 * many whole chunks as make up rows, up to 64 MiB, twice.
 * @throws {DataError} `ERR_HDF5_FILE`, `ERR_HDF5_FILTER`, and as `chooseArray`.
 */
export async function openHdf5({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  const worker = take();
  const opened = await ask<'opened'>(worker, path, { kind: 'open', path, file: resolve(path), name });
  const { type, rows, cols, height } = opened;
  const dtype = ELEMENTS[type].as;
  const band: Floats = dtype === 'float32' ? new Float32Array(opened.band) : new Float64Array(opened.band);
  let first = -1;
  let closed: Promise<void> | undefined;
  return {
    path,
    dtype,
    rows,
    cols,
    notes: conversionNotes(`${path} (data set "${opened.name}")`, { type }),
    async read(start, count, target) {
      const block = blockOf({ dtype, rows, cols }, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const begin = row - (row % height);
        if (begin !== first) {
          first = -1;
          await ask<'read'>(worker, path, { kind: 'read', start: begin }).catch((error) => {
            closed = Promise.resolve();
            throw error;
          });
          first = begin;
        }
        const part = Math.min(begin + height - row, count - done);
        block.set(band.subarray((row - begin) * cols, (row - begin + part) * cols), done * cols);
        done += part;
      }
      return block;
    },
    close() {
      closed ??= ask<'closed'>(worker, path, { kind: 'close' }).then(({ reusable }) => release(worker, reusable));
      return closed;
    },
  };
}

/** A thread that waits, or a new one. */
function take(): Worker {
  for (const [worker, timer] of idle) {
    clearTimeout(timer);
    idle.delete(worker);
    return worker;
  }
  // HDF5 prints its last words there.
  const quiet = { stdout: true, stderr: true };
  const worker = new Worker(new URL('./hdf5Worker.js', import.meta.url), { ...quiet, execArgv: [] });
  // Whoever asks has listeners of its own; while nobody does, an end is no more than that.
  worker.on('error', () => {});
  worker.once('exit', () => idle.delete(worker));
  worker.unref();
  return worker;
}

async function release(worker: Worker, reusable: boolean): Promise<void> {
  if (!reusable || idle.size > 0) {
    await worker.terminate();
    return;
  }
  const timer = setTimeout(() => {
    idle.delete(worker);
    void worker.terminate();
  }, IDLE_MS);
  idle.set(worker, timer.unref());
}

/** Asks one thing of a thread, which is given up if that fails. It keeps the process alive only while it is asked. */
function ask<Kind extends Hdf5Answer['kind']>(
  worker: Worker,
  path: string,
  request: Hdf5Request,
): Promise<Extract<Hdf5Answer, { kind: Kind }>> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      worker.off('message', answered).off('error', gone).off('exit', gone);
      worker.unref();
    };
    const fail = (error: Error, reusable = false) => {
      settle();
      release(worker, reusable).then(() => reject(error));
    };
    const answered = (answer: Hdf5Answer) => {
      if (answer.kind === 'failed') return fail(new DataError(answer.code, answer.message), answer.reusable);
      settle();
      resolve(answer as Extract<Hdf5Answer, { kind: Kind }>);
    };
    const gone = (cause: unknown) => fail(broken(path, cause));
    worker.on('message', answered).on('error', gone).on('exit', gone);
    // Its number when it has ended, after which it says no more.
    if (worker.threadId === -1) return gone(undefined);
    worker.ref();
    worker.postMessage(request);
  });
}

function broken(path: string, cause: unknown): DataError {
  const message = `${path} made HDF5 fail: it is damaged, or needs more memory than there is. Write or copy it again.`;
  return new DataError('ERR_HDF5_FILE', message, { cause });
}
