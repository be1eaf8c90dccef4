import { availableParallelism } from 'node:os';
import type { SessionTensor } from './messages.js';
import { startThread } from './thread.js';
import type { SessionRun, SessionSetup } from './worker.js';

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

/**
 * Loads the model file in a new thread. ModelError `ERR_ONNX_LOAD` when ONNX Runtime refuses it,
 * `ERR_CUDA_UNAVAILABLE` when `device` is `cuda` and CUDA does not load.
 */
export async function openSession(modelPath: string, options: SessionOptions = {}): Promise<OnnxSession> {
  const { threads = 0, device = 'auto' } = options;
  const setup: SessionSetup = { modelPath, threads: threads || availableParallelism(), device };
  const thread = await startThread<'cpu' | 'cuda'>(new URL('./worker.js', import.meta.url), setup);
  return {
    provider: thread.opened,
    run: (feeds, outputs, transfer) => thread.call('run', { feeds, outputs } satisfies SessionRun, transfer),
    close: thread.close,
  };
}
