import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';
import { median } from './quantiles.js';

/** Neighbours that a sample is compared with. */
const NEIGHBOURS = 10;

/**
 * How much a sample's y disagrees with the y of samples that look alike in x:
 *
 *     score_i = |y_i - mean of y over the 10 nearest rows in x|^2 / median over samples
 *
 * About 1 for most; a sample whose modalities were swapped or mislabelled stands out, where the data are redundant enough to
 * have look-alikes. O(N^2 d).
 * @param x [N, dx]. @param y [N, dy], row i of the same sample.
 */
export function inconsistency(x: EmbeddingMatrix, y: EmbeddingMatrix): Float64Array {
  const { rows } = x;
  const count = Math.min(NEIGHBOURS, rows - 1);
  const scores = new Float64Array(rows);
  const distances = new Float64Array(rows);
  const order = new Int32Array(rows);
  const centre = new Float64Array(y.cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < rows; j++) {
      distances[j] = j === i ? Infinity : squaredDistance(x.data, i * x.cols, x.data, j * x.cols, x.cols);
      order[j] = j;
    }
    order.sort((a, b) => distances[a]! - distances[b]! || a - b);
    centre.fill(0);
    for (let n = 0; n < count; n++) {
      for (let k = 0, o = order[n]! * y.cols; k < y.cols; k++) centre[k]! += y.data[o + k]! / count;
    }
    scores[i] = squaredDistance(y.data, i * y.cols, centre, 0, y.cols);
  }
  const usual = median(scores);
  return usual === 0 ? scores : scores.map((score) => score / usual);
}
