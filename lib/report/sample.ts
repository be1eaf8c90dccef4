import { random } from '../data/random.js';

/** `count` positions spread evenly over 0..length-1, ends included, in ascending order; all of them if they are few. */
export function spread(length: number, count: number): number[] {
  if (length <= count) return Array.from({ length }, (_, i) => i);
  if (count === 1) return [0];
  return Array.from({ length: count }, (_, i) => Math.round((i * (length - 1)) / (count - 1)));
}

/**
 * A uniform random subset of `count` of the rows for which `keep` holds, ascending, the same on every call.
 * Selection sampling (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S): one pass, exact count.
 * `total` is how many rows `keep` holds for.
 */
export function randomSubset(rowCount: number, keep: (row: number) => boolean, total: number, count: number): number[] {
  const stream = random(rowCount, total, count);
  const subset: number[] = [];
  let left = total;
  for (let row = 0; row < rowCount && subset.length < count; row++) {
    if (!keep(row)) continue;
    if (stream.uniform(0, left) < count - subset.length) subset.push(row);
    left--;
  }
  return subset;
}
