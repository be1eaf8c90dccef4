/** The little linear algebra of the diagnostics, on float64 matrices; all of it runs in a worker thread. */
import { Matrix } from 'ml-matrix';
import type { EmbeddingMatrix } from '../matrix.js';

export interface Dense extends EmbeddingMatrix {
  readonly data: Float64Array;
}

/** A float64 copy with the column means taken off. */
export function centred({ data, rows, cols }: EmbeddingMatrix): Dense {
  const mean = new Float64Array(cols);
  for (let i = 0, o = 0; i < rows; i++) for (let j = 0; j < cols; j++) mean[j]! += data[o++]! / rows;
  const out = new Float64Array(rows * cols);
  for (let i = 0, o = 0; i < rows; i++) for (let j = 0; j < cols; j++, o++) out[o] = data[o]! - mean[j]!;
  return { data: out, rows, cols };
}

/** X^T Y over rows `from`..`to` - 1, [dx, dy]. */
export function cross(x: Dense, y: Dense, from = 0, to = x.rows): Float64Array {
  const out = new Float64Array(x.cols * y.cols);
  for (let i = from; i < to; i++) {
    for (let j = 0; j < x.cols; j++) {
      const value = x.data[i * x.cols + j]!;
      for (let k = 0, o = j * y.cols, q = i * y.cols; k < y.cols; k++) out[o++]! += value * y.data[q++]!;
    }
  }
  return out;
}

/** |X^T Y|_F^2. */
export function crossSquares(x: Dense, y: Dense): number {
  return cross(x, y).reduce((sum, value) => sum + value * value, 0);
}

export function toMatrix(data: Float64Array, rows: number, cols: number): Matrix {
  return Matrix.from1DArray(rows, cols, data);
}

/** Zero columns on the right. */
export function padded({ data, rows, cols }: Dense, wanted: number): Dense {
  if (cols === wanted) return { data, rows, cols };
  const out = new Float64Array(rows * wanted);
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * cols, (i + 1) * cols), i * wanted);
  return { data: out, rows, cols: wanted };
}
