/** Rows of a file in blocks, the next one read while the caller works on this one. */
import type { JobOptions } from '../progress.js';
import { sharedFloats } from './npy.js';
import type { EmbeddingRows } from './source.js';

export interface RowBlock {
  /** [rows, cols] on a SharedArrayBuffer; overwritten once the caller asks for the next block but one. */
  readonly data: Float32Array | Float64Array;
  readonly first: number;
  readonly rows: number;
}

/** Two blocks that `readBlocks` fills in turn. */
export function blockRoom(file: EmbeddingRows, blockRows: number): (Float32Array | Float64Array)[] {
  const make = () => sharedFloats(file.dtype, Math.min(blockRows, file.rows) * file.cols, file.path);
  return blockRows < file.rows ? [make(), make()] : [make()];
}

/**
 * Rows from `first` to the last.
 * @param room of `blockRoom`.
 * @throws {DataError} of the file; rejects with `signal.reason` when aborted.
 */
export async function* readBlocks(
  file: EmbeddingRows,
  first: number,
  room: (Float32Array | Float64Array)[],
  { signal }: Pick<JobOptions, 'signal'> = {},
): AsyncGenerator<RowBlock> {
  const { rows, cols } = file;
  const most = room[0]!.length / cols;
  const read = (row: number, turn: number) => {
    const count = Math.min(most, rows - row);
    return file.read(row, count, room[turn % room.length]!.subarray(0, count * cols));
  };
  let pending = read(first, 0);
  try {
    for (let row = first, turn = 0; row < rows; turn++) {
      const data = await pending;
      signal?.throwIfAborted();
      const count = data.length / cols;
      const next = row + count;
      if (next < rows) pending = read(next, turn + 1);
      yield { data, first: row, rows: count };
      row = next;
    }
  } finally {
    // Whoever stops early must not close the file under a read.
    await pending.catch(() => {});
  }
}
