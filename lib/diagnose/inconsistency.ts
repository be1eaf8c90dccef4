import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';
import { kNearest } from './nearest.js';
import { median } from './quantiles.js';

/** Neighbours that a sample is compared with. */
const NEIGHBOURS = 10;

/**
 * How much a sample's y disagrees with the y of samples that look alike in x:
 *
 *     score_i = |y_i - mean of y over the 10 nearest rows in x|^2 / median over samples
 *
 * About 1 for most; a sample whose modalities were swapped or mislabelled stands out, where the data are redundant enough to
 * have look-alikes. O(N d) for each of the rows `queries`; look-alikes are found among all rows.
 * @param x [N, dx]. @param y [N, dy], row i of the same sample.
 * @returns scores of `queries`.
 */
export function inconsistency(x: EmbeddingMatrix, y: EmbeddingMatrix, queries: Int32Array): Float64Array {
  const centre = new Float64Array(y.cols);
  const scores = Float64Array.from(queries, (query) => {
    const near = kNearest(x, query, Math.min(NEIGHBOURS, x.rows - 1));
    centre.fill(0);
    for (const row of near) {
      for (let k = 0, o = row * y.cols; k < y.cols; k++) centre[k]! += y.data[o++]! / near.length;
    }
    return squaredDistance(y.data, query * y.cols, centre, 0, y.cols);
  });
  const usual = median(scores);
  return usual === 0 ? scores : scores.map((score) => score / usual);
}
