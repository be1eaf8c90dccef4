import { setImmediate } from 'node:timers/promises';
import { isFloat32Array, isSharedArrayBuffer } from 'node:util/types';
import { sharedFloats } from './formats/npy.js';
import type { EmbeddingMatrix } from './matrix.js';

/** About 5 ms of copying: timers run in between. */
const CHUNK_BYTES = 8 << 20;

/**
 * The values of a matrix on a SharedArrayBuffer, where no transfer can free them while native threads read them: the
 * array itself if it is there already, else a copy that is made without blocking the event loop.
 * @param source how messages call the matrix.
 * @throws {TypeError} `ERR_DETACHED` if the memory is transferred away meanwhile; rejects with `signal.reason` when aborted.
 */
export async function sharedData(
  { data, rows, cols }: EmbeddingMatrix,
  source: string,
  signal?: AbortSignal,
): Promise<Float32Array | Float64Array> {
  if (isSharedArrayBuffer(data.buffer)) return data;
  const length = rows * cols;
  const copy = sharedFloats(isFloat32Array(data) ? 'float32' : 'float64', length, source);
  const step = CHUNK_BYTES / data.BYTES_PER_ELEMENT;
  for (let from = 0; from < length; from += step) {
    // A detached array has length 0; one on a resizable buffer may have shrunk.
    if (data.length !== length) throw detached(source);
    copy.set(data.subarray(from, Math.min(from + step, length)), from);
    await setImmediate();
    signal?.throwIfAborted();
  }
  return copy;
}

function detached(source: string): TypeError {
  const message =
    `The memory of ${source} was transferred or resized while it was being read. ` +
    'Keep it until the call has ended, or put the values on a SharedArrayBuffer.';
  return Object.assign(new TypeError(message), { code: 'ERR_DETACHED' });
}
