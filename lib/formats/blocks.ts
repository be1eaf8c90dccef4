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

type Room = (Float32Array | Float64Array)[];

/** Two blocks that `readBlocks` fills in turn. */
export function blockRoom(file: EmbeddingRows, blockRows: number): Room {
  return roomFor(file, Math.min(blockRows, file.rows) * file.cols);
}

function roomFor({ dtype, rows, cols, path }: EmbeddingRows, length: number): Room {
  const make = () => sharedFloats(dtype, length, path);
  return length < rows * cols ? [make(), make()] : [make()];
}

/**
 * Rows from `first` to the last.
 * @param room of `blockRoom`.
 * @throws {DataError} of the file; rejects with `signal.reason` when aborted.
 */
export async function* readBlocks(
  file: EmbeddingRows,
  first: number,
  room: Room,
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
export function columnRoom(file: EmbeddingRows, count: number): Room {
  return roomFor(file, file.rows * Math.min(count, file.cols));
}

/**
 * All rows of each column, from the first to the last column, of a file that has `readColumns`.
 * @param lead columns of the first block, at most those of a block: nobody works while it is read.
 * @param room of `columnRoom`.
 * @throws as `readBlocks`.
 */
export async function* readColumnBlocks(
  file: EmbeddingRows,
  lead: number,
  room: Room,
  { signal }: Pick<JobOptions, 'signal'> = {},
): AsyncGenerator<ColumnBlock> {
  const { rows, cols } = file;
  const most = room[0]!.length / rows;
  const read = async (turn: number) => {
    const first = turn === 0 ? 0 : lead + (turn - 1) * most;
    const count = Math.min(turn === 0 ? lead : most, cols - first);
    const data = room[turn % room.length]!.subarray(0, rows * count);
    await file.readColumns!(first, count, data);
    return { data, first, count };
  };
  yield* inTurn(1 + Math.ceil((cols - lead) / most), read, signal);
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
