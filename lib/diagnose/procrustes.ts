import { SVD } from 'ml-matrix';
import { cross, type Dense, padded, toMatrix } from './dense.js';
import { type Quantiles, quantiles } from './quantiles.js';

/**
 * Cosine of each sample's x, rotated, with its y: the rotation is the orthogonal Procrustes solution (Schönemann 1966),
 *
 *     R = argmin |X R - Y|_F over orthogonal R = U V^T,      X^T Y = U S V^T
 *
 * fitted on the other half of the rows (even rows for odd ones and the reverse), so that no sample is judged by a rotation
 * that has seen it: fitted on all, cosines of independent data grow to 1 as features approach rows in number. The narrower
 * of x and y gets zero columns. Independent data give 0 on average.
 * @param x [N, kx], centred columns. @param y [N, ky], the same.
 */
export function procrustesCosines(x: Dense, y: Dense): Quantiles {
  const cols = Math.max(x.cols, y.cols);
  const [a, b] = [halves(padded(x, cols)), halves(padded(y, cols))];
  const cosines: number[] = [];
  for (const fit of [0, 1] as const) {
    const { leftSingularVectors: u, rightSingularVectors: v } = new SVD(toMatrix(cross(a[fit], b[fit]), cols, cols));
    const rotation = u.mmul(v.transpose()).to1DArray();
    const [from, to] = [a[1 - fit]!, b[1 - fit]!];
    const rotated = new Float64Array(cols);
    for (let i = 0; i < from.rows; i++) {
      rotated.fill(0);
      for (let j = 0; j < cols; j++) {
        const value = from.data[i * cols + j]!;
        for (let k = 0; k < cols; k++) rotated[k]! += value * rotation[j * cols + k]!;
      }
      cosines.push(cosine(rotated, to.data.subarray(i * cols, (i + 1) * cols)));
    }
  }
  return quantiles(cosines);
}

function halves({ data, rows, cols }: Dense): [Dense, Dense] {
  const take = (first: 0 | 1): Dense => {
    const count = Math.floor((rows + 1 - first) / 2);
    const out = new Float64Array(count * cols);
    for (let i = 0; i < count; i++) {
      const row = 2 * i + first;
      out.set(data.subarray(row * cols, (row + 1) * cols), i * cols);
    }
    return { data: out, rows: count, cols };
  };
  return [take(0), take(1)];
}

/** 0 where one of them is zero. */
function cosine(a: Float64Array, b: Float64Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let j = 0; j < a.length; j++) {
    ab += a[j]! * b[j]!;
    aa += a[j]! ** 2;
    bb += b[j]! ** 2;
  }
  return aa * bb === 0 ? 0 : ab / Math.sqrt(aa * bb);
}
