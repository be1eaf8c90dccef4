/** Rows or columns of a file in blocks, the next one read while the caller works on this one. */
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
  const read = async (turn: number) => {
    const row = first + turn * most;
    const count = Math.min(most, rows - row);
    const data = await file.read(row, count, room[turn % room.length]!.subarray(0, count * cols));
    return { data, first: row, rows: count };
  };
  yield* inTurn(Math.ceil((rows - first) / most), read, signal);
}

export interface ColumnBlock {
  /** [N, count] on a SharedArrayBuffer; overwritten once the caller asks for the next block but one. */
  readonly data: Float32Array | Float64Array;
  readonly first: number;
  readonly count: number;
}

/** Two blocks that `readColumnBlocks` fills in turn. */
export function columnRoom(file: EmbeddingRows, count: number): (Float32Array | Float64Array)[] {
  return blockRoom({ ...file, cols: file.rows, rows: file.cols }, count);
}

/**
 * All rows of each column, from the first to the last column, of a file that has `readColumns`.
 * @param room of `columnRoom`.
 * @throws as `readBlocks`.
 */
export async function* readColumnBlocks(
  file: EmbeddingRows,
  room: (Float32Array | Float64Array)[],
  { signal }: Pick<JobOptions, 'signal'> = {},
): AsyncGenerator<ColumnBlock> {
  const { rows, cols } = file;
  const most = room[0]!.length / rows;
  const read = async (turn: number) => {
    const first = turn * most;
    const count = Math.min(most, cols - first);
    const data = room[turn % room.length]!.subarray(0, rows * count);
    await file.readColumns!(first, count, data);
    return { data, first, count };
  };
  yield* inTurn(Math.ceil(cols / most), read, signal);
}

async function* inTurn<Block>(count: number, read: (turn: number) => Promise<Block>, signal: AbortSignal | undefined) {
  let pending = read(0);
  try {
    for (let turn = 0; turn < count; turn++) {
      const block = await pending;
      signal?.throwIfAborted();
      if (turn + 1 < count) pending = read(turn + 1);
      yield block;
    }
  } finally {
    // Whoever stops early must not close the file under a read.
    await pending.catch(() => {});
  }
}
