/** The rows that a device is tried on, from seeds. */
import { random } from '../data/random.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';

export type FloatType = 'float32' | 'float64';

/**
 * Embeddings as they come: a few groups, and a row in eight that repeats an earlier one.
 * @returns [rows, cols] on a SharedArrayBuffer.
 */
export function embeddings(rows: number, cols: number, dtype: FloatType, seed: number): EmbeddingMatrix {
  const source = random(seed);
  const normal = () => source.uniform(-1, 1) + source.uniform(-1, 1) + source.uniform(-1, 1);
  const centres = Float64Array.from({ length: 7 * cols }, normal);
  const matrix = empty(rows, cols, dtype);
  for (let i = 0; i < rows; i++) {
    if (i > 0 && source.integer(0, 7) === 0) {
      const from = source.integer(0, i - 1) * cols;
      matrix.data.copyWithin(i * cols, from, from + cols);
      continue;
    }
    const centre = source.integer(0, 6) * cols;
    for (let j = 0; j < cols; j++) matrix.data[i * cols + j] = centres[centre + j]! + 0.4 * normal();
  }
  return matrix;
}

/** Rows of -1, 0 and 1, as `embeddings`: many gains are equal, and only the number of a row decides. */
export function grid(rows: number, cols: number, dtype: FloatType, seed: number): EmbeddingMatrix {
  const source = random(seed);
  const matrix = empty(rows, cols, dtype);
  for (let i = 0; i < rows * cols; i++) matrix.data[i] = source.integer(-1, 1);
  return matrix;
}

/** float32 rows whose variances fall as i^-2, turned by reflections, about a mean that is not 0; as `embeddings`. */
export function spectrum(rows: number, cols: number, seed: number): EmbeddingMatrix & { data: Float32Array } {
  const source = random(seed);
  const normal = () => source.uniform(-1, 1) + source.uniform(-1, 1) + source.uniform(-1, 1);
  const turns = [0, 1, 2].map(() => Float64Array.from({ length: cols }, normal));
  const matrix = empty(rows, cols, 'float32');
  const row = new Float64Array(cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) row[j] = normal() / (j + 1);
    for (const turn of turns) {
      let [along, squares] = [0, 0];
      for (let j = 0; j < cols; j++) {
        along += turn[j]! * row[j]!;
        squares += turn[j]! * turn[j]!;
      }
      for (let j = 0; j < cols; j++) row[j]! -= ((2 * along) / squares) * turn[j]!;
    }
    for (let j = 0; j < cols; j++) matrix.data[i * cols + j] = row[j]! + 3;
  }
  return matrix as EmbeddingMatrix & { data: Float32Array };
}

function empty(rows: number, cols: number, dtype: FloatType): EmbeddingMatrix {
  return { data: sharedFloats(dtype, rows * cols, 'The rows of the trial'), rows, cols };
}
