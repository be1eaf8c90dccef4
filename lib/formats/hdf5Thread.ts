/**
 * The thread in which h5wasm reads HDF5 files, one file at a time. HDF5 takes a damaged file hard: it may end the WebAssembly
 * that it runs in, or keep the file open and answer from memory the next time; such a thread is not used again.
 */
import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.js';
import type { ElementType } from './elements.js';

/** What the thread is asked. */
export type Hdf5Request =
  | { kind: 'open'; path: string; file: string; name: string | undefined }
  /** Rows [start, start + height) into the band that `open` gave. */
  | { kind: 'read'; start: number }
  /** Whichever of these arrays and cells of strings the file has, each by its name. */
  | { kind: 'open-arrays'; path: string; file: string; arrays: readonly string[]; texts: readonly string[] }
  /** What an array has at `index` of its first dimension. */
  | { kind: 'item'; array: string; index: number }
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
  | { kind: 'opened-arrays'; names: string[]; arrays: Map<string, Hdf5Array>; texts: Map<string, string[]> }
  | { kind: 'item'; values: Hdf5Values }
  /** `reusable`: nothing is left of the file. */
  | { kind: 'closed'; reusable: boolean }
  | { kind: 'failed'; code: string; message: string; reusable: boolean };

/** An array as HDF5 describes it, its type in the words of NumPy: `<f`. */
export interface Hdf5Array {
  readonly shape: readonly number[];
  readonly dtype: unknown;
}

/** In the type that they are stored in. */
export type Hdf5Values = Exclude<NodeJS.TypedArray, { buffer: SharedArrayBuffer }>;

/** How long a thread waits for another file before it gives its memory back. It takes a tenth of a second to start one. */
const IDLE_MS = 2000;
const idle = new Map<Worker, NodeJS.Timeout>();

/** A thread that waits, or a new one; for one file, until `release`. */
export function take(): Worker {
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

export async function release(worker: Worker, reusable: boolean): Promise<void> {
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

/**
 * Asks one thing of a thread, which keeps the process alive only until it answers.
 * @param survives whether the thread is still there if that fails; else it is given up.
 */
export function ask<Kind extends Hdf5Answer['kind']>(
  worker: Worker,
  path: string,
  request: Hdf5Request,
  survives = false,
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
      if (answer.kind === 'failed') {
        const error = new DataError(answer.code, answer.message);
        if (!survives) return fail(error, answer.reusable);
        settle();
        return reject(error);
      }
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
