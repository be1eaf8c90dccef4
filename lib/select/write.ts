/** The files of a selection. `run.json` comes last: a folder that has it is whole. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { outOfRange } from '../check.js';
import { writeAtomically } from '../files.js';
import { writeNpy } from '../formats/npy.js';
import type { SelectedSample } from './samples.js';
import type { Selection } from './types.js';

export interface WriteSelectionOptions {
  /** One for each of the N rows; without them the id of a row is its number. */
  samples?: readonly SelectedSample[] | undefined;
  signal?: AbortSignal | undefined;
}

export interface SelectionFiles {
  readonly coreset: string;
  readonly bins: string;
  readonly order: string;
}

/** Rows that are formatted and written together; the event loop is free in between. */
const LINES_PER_WRITE = 4096;

/**
 * Writes, each atomically, into `folder`, which is made if it is missing:
 *
 *     coreset.jsonl   a line for each chosen row, in the order of `selection.rows`: `id`, `row`, `bin`, `rank` (place
 *                     among all rows of its bin in the order of selection, from 0), `gain` (when it was put into the
 *                     bin), `paths` where the sample has them. A row that is in no bin has bin -1, rank null, gain null.
 *     bins.npy        int32 [N], bin of each row; -1: in none
 *     order.npy       int64 [n], rows in the order of selection, bin after bin
 *
 * The `run.json` of an earlier run is removed first, because from then on it would speak of other files.
 * @throws {RangeError} unless there is one sample a row; rejects with `signal.reason` when aborted.
 */
export async function writeSelection(
  folder: string,
  selection: Selection,
  options: WriteSelectionOptions = {},
): Promise<SelectionFiles> {
  const { samples, signal } = options;
  const { bins, order } = selection.partition;
  if (samples && samples.length !== bins.length) {
    throw outOfRange('samples.length', `${bins.length}, one for each row of the partition`, samples.length);
  }
  signal?.throwIfAborted();
  const files = {
    coreset: join(folder, 'coreset.jsonl'),
    bins: join(folder, 'bins.npy'),
    order: join(folder, 'order.npy'),
  };
  await rm(join(folder, 'run.json'), { force: true });
  await writeNpy(files.bins, { data: bins, shape: [bins.length] });
  await writeNpy(files.order, { data: int64(order), shape: [order.length] });
  await writeAtomically(files.coreset, async (file) => {
    const describe = rowDescriber(selection, samples);
    const { rows } = selection;
    for (let from = 0; from < rows.length; from += LINES_PER_WRITE) {
      signal?.throwIfAborted();
      const lines = Array.from(rows.subarray(from, from + LINES_PER_WRITE), (row) => JSON.stringify(describe(row)));
      await file.appendFile(`${lines.join('\n')}\n`);
    }
  });
  return files;
}

/** What coreset.jsonl says of a row. */
export function rowDescriber(
  { partition }: Selection,
  samples: readonly SelectedSample[] | undefined,
): (row: number) => {
  id: string;
  row: number;
  bin: number;
  rank: number | null;
  gain: number | null;
  paths?: SelectedSample['paths'];
} {
  const { bins, order, gains, binCount } = partition;
  const starts = new Int32Array(binCount);
  const positions = new Int32Array(bins.length).fill(-1);
  // Bins are contiguous in the order, so the first place of a bin is where it is first met, going backwards.
  for (let i = order.length - 1; i >= 0; i--) {
    positions[order[i]!] = i;
    starts[bins[order[i]!]!] = i;
  }
  return (row: number) => {
    const bin = bins[row]!;
    const at = positions[row]!;
    const { id, paths } = samples?.[row] ?? { id: String(row) };
    const place = at < 0 ? { rank: null, gain: null } : { rank: at - starts[bin]!, gain: gains[at]! };
    return { id, row, bin, ...place, ...(paths && { paths }) };
  };
}

/** Row numbers are never negative, so their upper halves are zero: no BigInt is made for each. Little-endian, as .npy is. */
function int64(values: Int32Array): BigInt64Array {
  const halves = new Int32Array(2 * values.length);
  for (let i = 0; i < values.length; i++) halves[2 * i] = values[i]!;
  return new BigInt64Array(halves.buffer);
}
