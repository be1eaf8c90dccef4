import type { Spread } from './types.js';

/** Median, smallest and largest of one or more numbers. */
export function spreadOf(numbers: readonly number[]): Spread {
  const sorted = numbers.toSorted((a, b) => a - b);
  const median = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

/** p of the y = c * x^p that fits best: least squares of log y over log x. Undefined with fewer than two different x. */
export function exponentOf(points: readonly (readonly [x: number, y: number])[]): number | undefined {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const meanOf = (axis: 0 | 1) => logs.reduce((sum, log) => sum + log[axis], 0) / logs.length;
  const [x, y] = [meanOf(0), meanOf(1)];
  const variance = logs.reduce((sum, log) => sum + (log[0] - x) ** 2, 0);
  if (!(variance > 1e-12)) return undefined;
  return logs.reduce((sum, log) => sum + (log[0] - x) * (log[1] - y), 0) / variance;
}

/**
 * Share of a sweep's work that its first `steps` steps are: step t looks at the N - t points that are left.
 * `points` is the number of steps of the whole run.
 */
export function sweepShare(rows: number, points: number, steps: number): number {
  const work = (t: number) => t * rows - (t * (t - 1)) / 2;
  return work(steps) / work(points);
}
