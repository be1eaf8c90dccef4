import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';
import { nearestDistances } from './nearest.js';
import { median } from './quantiles.js';

/**
 * Median distance to the nearest other row over the median distance of pairs: about 0.55 in data where every sample is for
 * itself, 0.02 in clips of near-duplicates (the built-in scenes of both regimes, docs/diagnostics.md). Both medians are over the rows
 * `queries`, whose neighbours are looked for among all rows: a sample of the rows has lost its near-duplicates.
 * @param x [N, d]. NaN where all rows are equal.
 */
export function nearestOverMedian(x: EmbeddingMatrix, queries: Int32Array): number {
  const { data, cols } = x;
  const pairs = new Float64Array((queries.length * (queries.length - 1)) / 2);
  let pair = 0;
  queries.forEach((a, i) => {
    for (const b of queries.subarray(i + 1)) {
      pairs[pair++] = Math.sqrt(squaredDistance(data, a * cols, data, b * cols, cols));
    }
  });
  return median(nearestDistances(x, queries)) / median(pairs);
}

export type Expectation = 'selection can help' | 'nothing to gain expected' | 'between the regimes studied';

/**
 * What to expect of selection before any training: an expectation, not a verdict. The thresholds are guesses between the two
 * regimes that were measured (docs/diagnostics.md): ratio 0.55 and all rows effective, where nothing beat random, against
 * 0.02 and 7 %, where covering did.
 */
export function expectationOf(nearestOverMedian: number, effectiveShare: number): Expectation {
  if (nearestOverMedian <= 0.2 && effectiveShare <= 0.3) return 'selection can help';
  if (nearestOverMedian >= 0.4 && effectiveShare >= 0.7) return 'nothing to gain expected';
  return 'between the regimes studied';
}
