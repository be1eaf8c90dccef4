/** What a thread of ONNX Runtime and the one that started it say to each other. */
import type { Placement } from './placement.js';

export interface ThreadOptions<Setup> {
  /** On a SharedArrayBuffer, see `Flag`. */
  flags: Int32Array;
  setup: Setup;
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

export type Request = { type: 'call'; id: number; name: string; argument: unknown } | { type: 'close' };

export type Reply =
  | { type: 'opened'; value: unknown }
  | { type: 'refused'; code: string; message: string }
  | { type: 'placed'; placement: Placement }
  | { type: 'result'; id: number; value: unknown }
  | { type: 'failed'; id: number; code: string; message: string };
