import { outOfRange, wrongType } from '../check.js';
import type { ReportInput } from './types.js';

/** One bin and what was drawn from it. */
export interface BinSummary {
  /** -1 for rows that are in no bin (`remainder: 'drop'`). */
  readonly bin: number;
  readonly size: number;
  /** Chosen rows in the order of the partition. */
  readonly drawn: readonly number[];
}

/** The counts that several parts of the report share. */
export interface Summary {
  /** N. */
  readonly rowCount: number;
  readonly chosenCount: number;
  /** One entry a bin, in order of construction. */
  readonly bins: readonly BinSummary[];
  /** Rows in no bin; some of them may have been drawn because they had to be. */
  readonly leftOut: BinSummary;
  /** int32 [N]: position of a row among those of its bin, -1 where the partition has no order for it. */
  readonly ranks: Int32Array;
  /** uint8 [N]: 1 where the row is in the coreset. */
  readonly chosen: Uint8Array;
  /** What to call a row. */
  readonly idOf: (row: number) => string;
}

/**
 * Counts a selection, after checking that all parts of the input speak of the same rows.
 * Throws TypeError (`ERR_INVALID_ARG_TYPE`) or RangeError (`ERR_OUT_OF_RANGE`) naming the part that does not fit.
 */
export function summarise(input: ReportInput): Summary {
  const { partition, rows } = input.selection;
  const rowCount = partition.bins.length;
  checkLengths(input, rowCount);

  const sizes = new Int32Array(partition.binCount + 1);
  partition.bins.forEach((bin, row) => {
    if (bin < -1 || bin >= partition.binCount) {
      throw outOfRange(`selection.partition.bins[${row}]`, `a bin in -1..${partition.binCount - 1}`, bin);
    }
    sizes[bin + 1]!++;
  });

  const ranks = new Int32Array(rowCount).fill(-1);
  const placed = new Int32Array(partition.binCount + 1);
  partition.order.forEach((row, i) => {
    checkRow(`selection.partition.order[${i}]`, row, rowCount);
    ranks[row] = placed[partition.bins[row]! + 1]!++;
  });

  const chosen = new Uint8Array(rowCount);
  const drawn: number[][] = Array.from(sizes, () => []);
  rows.forEach((row, i) => {
    checkRow(`selection.rows[${i}]`, row, rowCount);
    chosen[row] = 1;
    drawn[partition.bins[row]! + 1]!.push(row);
  });

  const [leftOut, ...bins] = drawn.map((rows, i) => ({ bin: i - 1, size: sizes[i]!, drawn: rows }));
  return { rowCount, chosenCount: rows.length, bins, leftOut: leftOut!, ranks, chosen, idOf: naming(input) };
}

function checkLengths({ selection, projection, dataset, ids }: ReportInput, rowCount: number): void {
  const { order, gains } = selection.partition;
  if (!(projection instanceof Float32Array)) throw wrongType('projection', 'a Float32Array [N, 2]', projection);
  const perRow = `for the ${rowCount} rows of the partition`;
  if (projection.length !== 2 * rowCount) {
    throw outOfRange('projection.length', `${2 * rowCount}, two ${perRow}`, projection.length);
  }
  const bad = projection.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw outOfRange(`projection row ${bad >> 1}`, 'finite', projection[bad]);
  if (dataset && dataset.samples.length !== rowCount) {
    throw outOfRange('dataset.samples.length', `${rowCount}, one ${perRow}`, dataset.samples.length);
  }
  if (ids && ids.length !== rowCount) throw outOfRange('ids.length', `${rowCount}, one ${perRow}`, ids.length);
  if (gains.length !== order.length) {
    throw outOfRange('selection.partition.gains.length', `${order.length}, the length of the order`, gains.length);
  }
}

function checkRow(name: string, row: number, rowCount: number): void {
  if (row < 0 || row >= rowCount) throw outOfRange(name, `a row in 0..${rowCount - 1}`, row);
}

function naming({ ids, dataset }: ReportInput): (row: number) => string {
  if (ids) return (row) => ids[row]!;
  if (dataset) return (row) => dataset.samples[row]!.id;
  return (row) => `row ${row}`;
}
