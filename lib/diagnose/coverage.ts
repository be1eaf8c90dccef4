import type { EmbeddingMatrix } from '../matrix.js';
import { squaredDistance } from './distances.js';

/** Mean over all rows of the distance to the nearest of the rows `chosen`: what a coverage strategy makes small. */
export function coverageCost({ data, rows, cols }: EmbeddingMatrix, chosen: Int32Array): number {
  let sum = 0;
  for (let row = 0; row < rows; row++) {
    let least = Infinity;
    for (const other of chosen) {
      least = Math.min(least, squaredDistance(data, row * cols, data, other * cols, cols));
    }
    sum += Math.sqrt(least);
  }
  return sum / rows;
}
