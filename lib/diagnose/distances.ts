import type { EmbeddingMatrix } from '../matrix.js';

/**
 * Spearman's rank correlation of all pairwise Euclidean distances |x_i - x_j| and |y_i - y_j|, i < j (representational
 * similarity analysis, Kriegeskorte et al. 2008): 1 where both modalities order the pairs alike, 0 on average where they
 * are independent. N (N - 1) / 2 pairs of each.
 * @param x [N, dx]. @param y [N, dy], row i of the same sample. NaN where all distances of one are equal.
 */
export function distanceCorrelation(x: EmbeddingMatrix, y: EmbeddingMatrix): number {
  const [a, b] = [ranks(pairwise(x)), ranks(pairwise(y))];
  const centre = (a.length - 1) / 2;
  let [ab, aa, bb] = [0, 0, 0];
  for (let p = 0; p < a.length; p++) {
    const [u, v] = [a[p]! - centre, b[p]! - centre];
    ab += u * v;
    aa += u * u;
    bb += v * v;
  }
  return ab / Math.sqrt(aa * bb);
}

/** Float32: distances of equal pairs that only rounding tells apart become ties. */
function pairwise({ data, rows, cols }: EmbeddingMatrix): Float32Array {
  const out = new Float32Array((rows * (rows - 1)) / 2);
  let p = 0;
  for (let i = 0; i < rows; i++) {
    for (let j = i + 1; j < rows; j++) out[p++] = Math.sqrt(squaredDistance(data, i * cols, data, j * cols, cols));
  }
  return out;
}

type Floats = Float32Array | Float64Array;

/** Between the `cols` values from `a` and those from `b`. */
export function squaredDistance(x: Floats, a: number, y: Floats, b: number, cols: number): number {
  let sum = 0;
  for (let j = 0; j < cols; j++) {
    const difference = x[a + j]! - y[b + j]!;
    sum += difference * difference;
  }
  return sum;
}

/** Ranks from 0; ties get their mean rank. */
function ranks(values: Float32Array): Float64Array {
  const sorted = values.toSorted();
  // Where the run of a value starts and ends, by bisection.
  return Float64Array.from(values, (value) => (bound(sorted, value, false) + bound(sorted, value, true) - 1) / 2);
}

/** How many of the sorted values are below `value`, or at most `value`. */
function bound(sorted: Float32Array, value: number, inclusive: boolean): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value || (inclusive && sorted[middle] === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}
