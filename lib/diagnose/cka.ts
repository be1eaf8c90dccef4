import type { EmbeddingMatrix } from '../matrix.js';
import { centred, crossSquares } from './dense.js';

export interface Cka {
  /** In [0, 1]; 1 = equal up to rotation and scale. */
  readonly value: number;
  /** What random pairs of the same rows give on average: it grows towards 1 as features approach rows in number. */
  readonly chance: number;
}

/**
 * Linear centred kernel alignment (Kornblith et al., ICML 2019, eq. 5), from features, without an N x N matrix:
 *
 *     CKA = |Y^T X|_F^2 / (|X^T X|_F |Y^T Y|_F),      X, Y with the column means taken off
 *
 * `chance` is its mean over all pairings of the rows: E |Y^T P X|_F^2 = tr(X^T X) tr(Y^T Y) / (N - 1) for a uniform
 * permutation P, because centred Gram matrices have zero row sums.
 * @param x [N, dx]. @param y [N, dy], row i of the same sample. NaN where one of them does not vary.
 */
export function linearCka(x: EmbeddingMatrix, y: EmbeddingMatrix): Cka {
  const [a, b] = [centred(x), centred(y)];
  const scale = Math.sqrt(crossSquares(a, a) * crossSquares(b, b));
  const trace = (m: typeof a) => m.data.reduce((sum, value) => sum + value * value, 0);
  return { value: crossSquares(a, b) / scale, chance: (trace(a) * trace(b)) / (x.rows - 1) / scale };
}
