/** Neighbours by brute force: exact, for as many rows as there is time for, among all rows. */
import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';

/** Distance of each of the rows `queries` to the nearest other row. */
export function nearestDistances({ data, rows, cols }: EmbeddingMatrix, queries: Int32Array): Float64Array {
  return Float64Array.from(queries, (query) => {
    let least = Infinity;
    for (let other = 0; other < rows; other++) {
      if (other === query) continue;
      least = Math.min(least, squaredDistance(data, query * cols, data, other * cols, cols));
    }
    return Math.sqrt(least);
  });
}

/** The `k` rows nearest to a row, itself passed over, nearest first, ties to the lower row. */
export function kNearest({ data, rows, cols }: EmbeddingMatrix, row: number, k: number): Int32Array {
  const found: { row: number; distance: number }[] = [];
  for (let candidate = 0; candidate < rows; candidate++) {
    if (candidate === row) continue;
    const distance = squaredDistance(data, row * cols, data, candidate * cols, cols);
    if (found.length === k && distance >= found[k - 1]!.distance) continue;
    let at = Math.min(found.length, k - 1);
    while (at > 0 && found[at - 1]!.distance > distance) {
      found[at] = found[at - 1]!;
      at--;
    }
    found[at] = { row: candidate, distance };
  }
  return Int32Array.from(found, (neighbour) => neighbour.row);
}
