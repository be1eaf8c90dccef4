/** What a session and its worker thread say to each other. */

export interface WorkerOptions {
  modelPath: string;
  threads: number;
  device: 'auto' | 'cpu' | 'cuda';
  /** On a SharedArrayBuffer, see `Flag`. */
  flags: Int32Array;
}

/** Cells of `flags`; each is 0 or 1. */
export const Flag = {
  /** The thread is inside ONNX Runtime. */
  busy: 0,
  /** The process ends: enter ONNX Runtime no more. */
  stop: 1,
} as const;

/** A tensor as it crosses the thread border. */
export interface SessionTensor {
  readonly data: Float32Array | Int32Array | BigInt64Array;
  readonly dims: readonly number[];
}

export type Request =
  | { type: 'run'; id: number; feeds: Record<string, SessionTensor>; outputs: readonly string[] }
  | { type: 'close' };

export type Reply =
  | { type: 'opened'; provider: 'cpu' | 'cuda' }
  | { type: 'refused'; code: string; message: string }
  | { type: 'result'; id: number; outputs: Record<string, SessionTensor> }
  | { type: 'failed'; id: number; message: string };
