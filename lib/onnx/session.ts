import { availableParallelism } from 'node:os';
import type { SessionTensor } from './messages.js';
import { type Execution, operatorsOnCpu, type Placement, type Provider } from './placement.js';
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
export interface OnnxSession extends Execution {
  /** Where the operators were in the first run; undefined before it, and where nothing asked for it. */
  readonly placement: Placement | undefined;
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
 * Loads the model file in a new thread; `placement` asks where its operators run, which is known on CUDA anyway. ModelError `ERR_ONNX_LOAD` when ONNX Runtime refuses it,
 * `ERR_CUDA_UNAVAILABLE` when `device` is `cuda` and CUDA does not load.
 */
export async function openSession(
  modelPath: string,
  options: SessionOptions & { placement?: boolean } = {},
): Promise<OnnxSession> {
  const { threads = 0, device = 'auto', placement = false } = options;
  const setup: SessionSetup = { modelPath, threads: threads || availableParallelism(), device, placement };
  const thread = await startThread<Provider>(new URL('./worker.js', import.meta.url), setup);
  const provider = thread.opened;
  return {
    provider,
    tf32: thread.tf32 && provider === 'cuda',
    get placement() {
      return thread.placements[0];
    },
    get onCpu() {
      return operatorsOnCpu(thread.placements);
    },
    run: (feeds, outputs, transfer) => thread.call('run', { feeds, outputs } satisfies SessionRun, transfer),
    close: thread.close,
  };
}
