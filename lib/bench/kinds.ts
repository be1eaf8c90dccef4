/** Synthetic embeddings, the same for the same seed on every machine. */
import { stream, type Words } from '../select/random.js';
import type { Kind } from './types.js';

export const KINDS = ['real', 'iso', 'mix', 'sph'] as const satisfies readonly Kind[];

const CENTRES = 50;

/** Standard normal numbers by Box and Muller, both of each pair. */
function normals(words: Words): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((words() + 0.5) / 2 ** 32));
    const angle = (2 * Math.PI * (words() + 0.5)) / 2 ** 32;
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/**
 * Makes the rows of a kind of embeddings one after the other, each `cols` long; a prefix does not depend on how many
 * follow.
 *
 * - `real`: like a transformer's: variance 1 / (j + 1) along axis j, a common mean of the same length, unit norm
 * - `iso`: independent standard normal features
 * - `mix`: 50 Gaussians of deviation 0.7 around normal centres, unit norm
 * - `sph`: uniform on the unit sphere
 */
export function rowMaker(kind: Kind, cols: number, seed: number): (row: Float32Array) => void {
  const words = stream(seed, KINDS.indexOf(kind));
  const normal = normals(words);
  const slope = Float64Array.from({ length: cols }, (_, j) => 1 / Math.sqrt(j + 1));
  const mean = Float64Array.from({ length: cols }, normal);
  const stretch = Math.hypot(...slope) / Math.hypot(...mean);
  const centres = Float64Array.from({ length: kind === 'mix' ? CENTRES * cols : 0 }, normal);

  return (row) => {
    const spread = Math.exp(0.15 * normal());
    const centre = (words() % CENTRES) * cols;
    let square = 0;
    for (let j = 0; j < cols; j++) {
      let value = normal();
      if (kind === 'real') value = stretch * mean[j]! + spread * slope[j]! * value;
      if (kind === 'mix') value = centres[centre + j]! + 0.7 * value;
      row[j] = value;
      square += value * value;
    }
    if (kind === 'iso') return;
    const length = Math.sqrt(square);
    for (let j = 0; j < cols; j++) row[j] = row[j]! / length;
  };
}
