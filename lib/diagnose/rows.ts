import type { EmbeddingMatrix } from '../matrix.js';
import { someRows } from '../select/random.js';

/** Stream of the random numbers of diagnostics. */
export const ROWS_STREAM = 4;

/** Multiplications of a search by brute force: some seconds. */
const MOST_PRODUCTS = 6e9;
const LEAST_QUERIES = 50;

/** At most `most` seeded rows, as many as there is time for to look for their neighbours among all rows. */
export function queriesOf({ rows, cols }: EmbeddingMatrix, most: number, seed: number): Int32Array {
  const affordable = Math.max(LEAST_QUERIES, Math.floor(MOST_PRODUCTS / (rows * cols)));
  return someRows(rows, Math.min(most, affordable), seed, ROWS_STREAM);
}

export function takeRows({ data, cols }: EmbeddingMatrix, rows: Int32Array): EmbeddingMatrix {
  const out = new (data.constructor as Float32ArrayConstructor)(rows.length * cols);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * cols, (row + 1) * cols) as Float32Array, i * cols);
  });
  return { data: out, rows: rows.length, cols };
}
