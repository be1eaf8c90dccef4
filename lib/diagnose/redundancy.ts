import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';
import { median } from './quantiles.js';

/**
 * Median distance to the nearest other row over the median distance of all pairs: about 0.56 in data where every sample is for
 * itself, 0.04 in clips of near-duplicates (the two regimes of our study, at 4,000 rows). O(N^2 d).
 * @param x [N, d]. NaN where all rows are equal.
 */
export function nearestOverMedian({ data, rows, cols }: EmbeddingMatrix): number {
  const nearest = new Float64Array(rows).fill(Infinity);
  const all = new Float64Array((rows * (rows - 1)) / 2);
  let pair = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = i + 1; j < rows; j++) {
      const distance = Math.sqrt(squaredDistance(data, i * cols, data, j * cols, cols));
      all[pair++] = distance;
      nearest[i] = Math.min(nearest[i]!, distance);
      nearest[j] = Math.min(nearest[j]!, distance);
    }
  }
  return median(nearest) / median(all);
}

export type Expectation = 'selection can help' | 'nothing to gain expected' | 'between the regimes studied';

/**
 * What to expect of selection before any training: an expectation, not a verdict. Thresholds lie between the two regimes of
 * our study: ratio 0.56 and 88 % effective rows, where nothing beat a stratified random draw, against 0.04 and 5 %, where
 * coverage and density balancing did.
 */
export function expectationOf(nearestOverMedian: number, effectiveShare: number): Expectation {
  if (nearestOverMedian <= 0.2 && effectiveShare <= 0.3) return 'selection can help';
  if (nearestOverMedian >= 0.4 && effectiveShare >= 0.7) return 'nothing to gain expected';
  return 'between the regimes studied';
}
