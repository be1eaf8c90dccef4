/** Threads that ONNX Runtime lives in, seen from the one that starts them. */
import { Worker } from 'node:worker_threads';
import { ModelError } from '../errors.js';
import { Flag, type Reply, type Request, type ThreadOptions } from './messages.js';
import { operatorsOnCpu, type Placement } from './placement.js';
import type { Device } from './serve.js';
import { allowsTf32 } from './tf32.js';

/** A thread that answers calls in their order. Close it when done; while idle it keeps no process alive. */
export interface Thread<Opened> {
  /** What it said when it was ready. */
  readonly opened: Opened;
  /** Whether its models may round to TF32 where they run on CUDA. */
  readonly tf32: boolean;
  /** Where operators of its models ran: of each that has run, if it is on CUDA or asked for that. */
  readonly placements: readonly Placement[];
  /** Buffers in `transfer` are given up, others copied. ModelError `ERR_ONNX_RUN`, `ERR_ONNX_CLOSED`. */
  call<Result>(name: string, argument: unknown, transfer?: ArrayBuffer[]): Promise<Result>;
  /** Lets queued calls end, frees the models and ends the thread. */
  close(): Promise<void>;
}

/** Flags of the threads that are open. */
const open = new Set<Int32Array>();
const LONGEST_WAIT_MS = 30_000;

// Ending a thread that is inside ONNX Runtime aborts the whole process, so an exit waits until each has come out.
process.on('exit', () => {
  for (const flags of open) Atomics.store(flags, Flag.stop, 1);
  for (const flags of open) Atomics.wait(flags, Flag.busy, 1, LONGEST_WAIT_MS);
});

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts a thread that runs `file`, which calls `serve`. ModelError `ERR_ONNX_LOAD` when ONNX Runtime refuses the model,
 * `ERR_CUDA_UNAVAILABLE` when the setup's `device` is `cuda` and CUDA does not load.
 */
export async function startThread<Opened>(file: URL, setup: { device: Device }): Promise<Thread<Opened>> {
  const tf32 = setup.device !== 'cpu' && allowsTf32();
  const placements: Placement[] = [];
  const flags = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(file, {
    workerData: { flags, setup } satisfies ThreadOptions<object>,
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

  const ready = new Promise<Opened>((resolve, reject) => {
    const stop = (code: string, message: string, cause?: unknown) => {
      const error = new ModelError(code, message, { cause });
      reject(error);
      fail(error);
    };
    worker.on('message', (reply: Reply) => {
      switch (reply.type) {
        case 'opened':
          return resolve(reply.value as Opened);
        case 'refused':
          return stop(reply.code, refusal(reply.code, reply.message));
        case 'placed':
          placements.push(reply.placement);
          return warnOfFallback(reply.placement);
        case 'result':
          waiting.get(reply.id)?.resolve(reply.value);
          break;
        case 'failed':
          waiting.get(reply.id)?.reject(new ModelError(reply.code, reply.message));
      }
      waiting.delete(reply.id);
      if (waiting.size === 0) worker.unref();
    });
    worker.on('error', (cause) =>
      stop('ERR_ONNX_WORKER', `The thread of ONNX Runtime failed: ${cause.message}`, cause),
    );
    worker.on('exit', () => stop('ERR_ONNX_CLOSED', 'The session was closed.'));
  });

  let opened: Opened;
  try {
    opened = await ready;
  } catch (error) {
    await exited;
    throw error;
  }
  worker.unref();

  let nextId = 0;
  return {
    opened,
    tf32,
    placements,
    call<Result>(name: string, argument: unknown, transfer?: ArrayBuffer[]) {
      if (closing) return Promise.reject(new ModelError('ERR_ONNX_CLOSED', 'The session is closed.'));
      const id = nextId++;
      return new Promise<Result>((resolve, reject) => {
        send({ type: 'call', id, name, argument }, transfer);
        waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
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

/** Lists of operators that have been warned of. */
const warned = new Set<string>();

function warnOfFallback(placement: Placement): void {
  const list = operatorsOnCpu([placement])?.join(', ');
  if (!list || warned.has(list)) return;
  warned.add(list);
  process.emitWarning(
    `Some operators of a model on CUDA ran on the CPU, which costs time but changes nothing else: ${list}. Please report this with the output of \`coregain doctor --json\`.`,
    { type: 'CoregainWarning', code: 'COREGAIN_CPU_FALLBACK' },
  );
}

function refusal(code: string, message: string): string {
  return code === 'ERR_CUDA_UNAVAILABLE'
    ? `CUDA cannot be used: ${message}. Install ONNX Runtime's CUDA libraries with \`npm run install:cuda\`, or use the CPU.`
    : `ONNX Runtime could not load the model: ${message}`;
}
