import type { Partition, Selection } from '../types.js';

/**
 * A selection whose rows a strategy chose itself: they are bin 0, in the order in which they were chosen, and all other
 * rows are in no bin.
 */
export function ranked(
  rows: Int32Array,
  gains: Float64Array,
  count: number,
  seed: number,
  engine: Partition['engine'],
): Selection {
  const bins = new Int32Array(count).fill(-1);
  for (const row of rows) bins[row] = 0;
  return { partition: { bins, order: rows, gains, binCount: 1, engine }, rows, seed };
}
