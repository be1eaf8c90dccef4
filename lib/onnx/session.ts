import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ModelError } from '../errors.js';
import { Flag, type Reply, type Request, type SessionTensor, type WorkerOptions } from './messages.js';

export type { SessionTensor } from './messages.js';

export interface SessionOptions {
  /** Threads of one run; 0 or undefined = as many as this process may use. */
  threads?: number | undefined;
  /** `auto` (default) = CUDA where it loads, else CPU; `cuda` fails where it does not load. */
  device?: 'auto' | 'cpu' | 'cuda' | undefined;
}

/** A model loaded by ONNX Runtime in a thread of its own. Close it when done; while idle it keeps no process alive. */
export interface OnnxSession {
  /** Execution provider that the session was created with. */
  readonly provider: 'cpu' | 'cuda';
  /**
   * Runs the model; runs are queued. Feeds are copied to the thread, except the buffers in `transfer`, which the
   * caller gives up. Outputs come back without a copy. ModelError `ERR_ONNX_RUN`, `ERR_ONNX_CLOSED`.
   */
  run(
    feeds: Record<string, SessionTensor>,
    outputs: readonly string[],
    transfer?: ArrayBuffer[],
  ): Promise<Record<string, SessionTensor>>;
  /** Lets queued runs end, frees the model and ends the thread. */
  close(): Promise<void>;
}

/** Flags of the sessions that are open. */
const open = new Set<Int32Array>();
const LONGEST_WAIT_MS = 30_000;

// Ending a thread that is inside ONNX Runtime aborts the whole process, so an exit waits until each has come out.
process.on('exit', () => {
  for (const flags of open) Atomics.store(flags, Flag.stop, 1);
  for (const flags of open) Atomics.wait(flags, Flag.busy, 1, LONGEST_WAIT_MS);
});

interface Waiting {
  resolve(outputs: Record<string, SessionTensor>): void;
  reject(error: Error): void;
}

/**
 * Loads the model file in a new thread. ModelError `ERR_ONNX_LOAD` when ONNX Runtime refuses it,
 * `ERR_CUDA_UNAVAILABLE` when `device` is `cuda` and CUDA does not load.
 */
export async function openSession(modelPath: string, options: SessionOptions = {}): Promise<OnnxSession> {
  const { threads = 0, device = 'auto' } = options;
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const workerData: WorkerOptions = { modelPath, threads: threads || availableParallelism(), device, flags };
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData,
    // Flags of the main program, such as --input-type of `node -e`, are errors for a thread that runs a file.
    execArgv: [],
  });
  open.add(flags);
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve())).finally(() => open.delete(flags));
  const waiting = new Map<number, Waiting>();
  let closing: Promise<void> | undefined;

  const fail = (error: ModelError) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const send = (request: Request, transfer: ArrayBuffer[] = []) => worker.postMessage(request, transfer);

  const opened = new Promise<'cpu' | 'cuda'>((resolve, reject) => {
    const stop = (code: string, message: string, cause?: unknown) => {
      const error = new ModelError(code, message, { cause });
      reject(error);
      fail(error);
    };
    worker.on('message', (reply: Reply) => {
      switch (reply.type) {
        case 'opened':
          return resolve(reply.provider);
        case 'refused':
          return stop(reply.code, refusal(reply.code, reply.message));
        case 'result':
          waiting.get(reply.id)?.resolve(reply.outputs);
          break;
        case 'failed':
          waiting
            .get(reply.id)
            ?.reject(new ModelError('ERR_ONNX_RUN', `ONNX Runtime could not run the model: ${reply.message}`));
      }
      waiting.delete(reply.id);
      if (waiting.size === 0) worker.unref();
    });
    worker.on('error', (cause) =>
      stop('ERR_ONNX_WORKER', `The thread of ONNX Runtime failed: ${cause.message}`, cause),
    );
    worker.on('exit', () => stop('ERR_ONNX_CLOSED', 'The session was closed.'));
  });

  let provider: 'cpu' | 'cuda';
  try {
    provider = await opened;
  } catch (error) {
    await exited;
    throw error;
  }
  worker.unref();

  let nextId = 0;
  return {
    provider,
    run(feeds, outputs, transfer) {
      if (closing) return Promise.reject(new ModelError('ERR_ONNX_CLOSED', 'The session is closed.'));
      const id = nextId++;
      return new Promise((resolve, reject) => {
        send({ type: 'run', id, feeds, outputs }, transfer);
        waiting.set(id, { resolve, reject });
        worker.ref();
      });
    },
    async close() {
      if (!closing) {
        worker.ref();
        send({ type: 'close' });
        closing = exited;
      }
      await closing;
    },
  };
}

function refusal(code: string, message: string): string {
  return code === 'ERR_CUDA_UNAVAILABLE'
    ? `CUDA cannot be used: ${message}. Install ONNX Runtime's CUDA libraries with \`npm run install:cuda\`, or use the CPU.`
    : `ONNX Runtime could not load the model: ${message}`;
}
