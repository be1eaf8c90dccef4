import { SVD } from 'ml-matrix';
import { cross, type Dense, toMatrix } from './dense.js';

export interface Cca {
  /** Mean of the canonical correlations, in [0, 1]. */
  readonly mean: number;
  /** Canonical correlations, descending; as many as the smaller number of components. */
  readonly correlations: readonly number[];
  /** Principal components of x and y that were compared. */
  readonly components: readonly [x: number, y: number];
  /** Root mean square that independent data give. */
  readonly chance: number;
}

/**
 * Canonical correlations (Hotelling 1936) of principal component scores: with columns scaled to unit variance these are
 * the singular values of X^T Y / (N - 1). Truncation to principal components is what makes the number mean something:
 * with as many components as rows every correlation is 1 (SVCCA, Raghu et al., NeurIPS 2017).
 *
 * `chance` is the root mean square of the correlations where the modalities are independent,
 * sqrt(max(kx, ky) / (N - 1)): E |X^T Y|_F^2 / (N - 1)^2 = kx ky / (N - 1), spread over min(kx, ky) of them.
 * @param x [N, kx], centred columns, uncorrelated. @param y [N, ky], the same.
 */
export function canonicalCorrelations(x: Dense, y: Dense): Cca {
  const between = cross(whitened(x), whitened(y));
  const correlations = new SVD(toMatrix(between, x.cols, y.cols), { autoTranspose: true }).diagonal
    .slice(0, Math.min(x.cols, y.cols))
    // Rounding alone takes them over 1.
    .map((value) => Math.min(1, value));
  return {
    mean: correlations.reduce((sum, value) => sum + value, 0) / correlations.length,
    correlations,
    components: [x.cols, y.cols],
    chance: Math.sqrt(Math.max(x.cols, y.cols) / (x.rows - 1)),
  };
}

/** Columns of length 1. */
function whitened({ data, rows, cols }: Dense): Dense {
  const out = Float64Array.from(data);
  for (let j = 0; j < cols; j++) {
    let squares = 0;
    for (let o = j; o < data.length; o += cols) squares += data[o]! ** 2;
    const length = Math.sqrt(squares);
    for (let o = j; o < data.length; o += cols) out[o]! /= length;
  }
  return { data: out, rows, cols };
}
