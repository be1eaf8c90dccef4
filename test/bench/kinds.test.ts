import { expect, test } from 'vitest';
import { KINDS, rowMaker } from '#lib/bench/kinds.js';
import type { Kind } from '#lib/bench/types.js';

function rows(kind: Kind, count: number, cols: number, seed = 0): Float32Array[] {
  const next = rowMaker(kind, cols, seed);
  return Array.from({ length: count }, () => {
    const row = new Float32Array(cols);
    next(row);
    return row;
  });
}
const norm = (row: Float32Array) => Math.hypot(...row);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, j) => sum + value * b[j]!, 0);

test.each(KINDS)('%s: the same for a seed, another for another, a prefix of a longer one', (kind) => {
  expect(rows(kind, 5, 7)).toEqual(rows(kind, 9, 7).slice(0, 5));
  expect(rows(kind, 5, 7, 1)).not.toEqual(rows(kind, 5, 7));
});

test.each(['real', 'mix', 'sph'] as const)('%s has unit norm', (kind) => {
  for (const row of rows(kind, 50, 33)) expect(norm(row)).toBeCloseTo(1, 5);
});

test('iso: zero mean, unit variance; sph: no common direction', () => {
  const all = rows('iso', 2000, 8).flatMap((row) => [...row]);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const variance = all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length;
  expect(Math.abs(mean)).toBeLessThan(0.03); // 4 standard errors
  expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  const [first, ...others] = rows('sph', 2000, 8);
  expect(Math.abs(others.reduce((sum, row) => sum + dot(first!, row), 0) / others.length)).toBeLessThan(0.04);
});

test('real has a common mean; mix has 50 clusters', () => {
  const [first, ...others] = rows('real', 500, 64);
  expect(others.reduce((sum, row) => sum + dot(first!, row), 0) / others.length).toBeGreaterThan(0.3);
  // Same centre: cosine about 1 / (1 + 0.49); other centre: about 0.
  const mixed = rows('mix', 400, 256);
  const centres: Float32Array[] = [];
  for (const row of mixed) if (!centres.some((centre) => dot(centre, row) > 0.4)) centres.push(row);
  expect(centres.length).toBe(50);
});
