import { Matrix, solve } from 'ml-matrix';
import type { LinearModel } from '../reduce/linearModel.js';
import { shuffled } from '../select/random.js';

/** Features that are predicted, and as many to predict them from. */
const MOST_FEATURES = 2048;

/** Numbers of dimensions that are tried. */
export function candidates(most: number): number[] {
  const found = new Set<number>();
  for (let k = 1; k < most; k = Math.max(k + 1, Math.round(k * 1.3))) found.add(k);
  return [...found, most];
}

/**
 * Bi-cross-validation of the number of principal components (Owen and Perry 2009): of each held-back row one half of the
 * features is predicted from the other half through the first k components of the other rows, x_B = V_B (V_A^T V_A)^-1 V_A^T x_A.
 * Reconstruction of rows from all their own features only ever gets better with k; this gets worse where components are noise.
 *
 * @param model fitted on other rows. @param data [rows, model.inputs], held back.
 * @returns for each k of `ks` the squared errors [rows], summed over the predicted features.
 */
export function predictionErrors(
  model: LinearModel,
  data: Float32Array | Float64Array,
  rows: number,
  ks: readonly number[],
  seed: number,
): Float64Array[] {
  const features = shuffled(model.inputs, seed, 5);
  const half = Math.min(MOST_FEATURES, Math.floor(model.inputs / 2));
  const [known, wanted] = [features.subarray(0, half), features.subarray(half, 2 * half)];
  const at = (row: number, feature: number) => data[row * model.inputs + feature]! - model.mean[feature]!;
  const given = new Matrix(half, rows);
  const truth = new Matrix(half, rows);
  for (let i = 0; i < rows; i++) {
    for (let f = 0; f < half; f++) {
      given.set(f, i, at(i, known[f]!));
      truth.set(f, i, at(i, wanted[f]!));
    }
  }
  return ks.map((k) => {
    const part = (of: Int32Array) => {
      const matrix = new Matrix(half, k);
      for (let f = 0; f < half; f++) {
        for (let c = 0; c < k; c++) matrix.set(f, c, model.components[c * model.inputs + of[f]!]!);
      }
      return matrix;
    };
    const from = part(known);
    const normal = from.transpose().mmul(from);
    // Two components may be the same on one half of the features.
    for (let c = 0; c < k; c++) normal.set(c, c, normal.get(c, c) + 1e-9);
    const scores = solve(normal, from.transpose().mmul(given));
    const miss = Matrix.sub(truth, part(wanted).mmul(scores));
    return Float64Array.from({ length: rows }, (_, i) =>
      miss.getColumn(i).reduce((sum, value) => sum + value * value, 0),
    );
  });
}
