import type { EmbeddingMatrix } from '../matrix.js';
import { below, stream } from '../select/random.js';

/** At most `most` seeded rows in ascending order, all of them where there are no more. */
export function someRows(rows: number, most: number, seed: number): Int32Array {
  const order = Int32Array.from({ length: rows }, (_, i) => i);
  if (rows <= most) return order;
  const random = stream(seed, 4);
  for (let i = 0; i < most; i++) {
    const j = i + below(random, rows - i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order.slice(0, most).sort();
}

/** Multiplications of a search by brute force: some seconds. */
const MOST_PRODUCTS = 6e9;
const LEAST_QUERIES = 50;

/** At most `most` seeded rows, as many as there is time for to look for their neighbours among all rows. */
export function queriesOf({ rows, cols }: EmbeddingMatrix, most: number, seed: number): Int32Array {
  const affordable = Math.max(LEAST_QUERIES, Math.floor(MOST_PRODUCTS / (rows * cols)));
  return someRows(rows, Math.min(most, affordable), seed);
}

export function takeRows({ data, cols }: EmbeddingMatrix, rows: Int32Array): EmbeddingMatrix {
  const out = new (data.constructor as Float32ArrayConstructor)(rows.length * cols);
  rows.forEach((row, i) => {
    out.set(data.subarray(row * cols, (row + 1) * cols) as Float32Array, i * cols);
  });
  return { data: out, rows: rows.length, cols };
}
