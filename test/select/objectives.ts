/** Objectives over a cloud, and what must hold for every greedy result: the formulas agree with each step. */
import { expect } from 'vitest';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import type { Maximization, MaximizeOptions } from '#lib/select/maximize.js';
import { setFunction } from '#lib/select/objectives/formulas.js';
import { gather, plan } from '#lib/select/objectives/plan.js';
import type { Objective, SparseRows } from '#lib/select/objectives/types.js';
import { stream } from '#lib/select/random.js';
import { cloud } from './data.js';

/** Rows with about a quarter of the columns each, values in (0, 1]; some rows are empty. */
export function sparse(seed: number, rows: number, cols: number): SparseRows {
  const words = stream(seed, 7);
  const offsets = new Int32Array(rows + 1);
  const indices: number[] = [];
  const values: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < cols; c++) {
      if (words() % 4 !== 0) continue;
      indices.push(c);
      values.push((1 + (words() % 8)) / 8);
    }
    offsets[row + 1] = indices.length;
  }
  return { rows, cols, offsets, indices: Int32Array.from(indices), values: Float64Array.from(values) };
}

/** Every objective over a matrix, by a name for the test. */
export function objectives(matrix: EmbeddingMatrix, seed = 1): Record<string, Objective> {
  const { rows, cols } = matrix;
  const query = cloud('isotropic', seed + 100, 4, cols);
  const away = [0, Math.floor(rows / 2)];
  const concepts = sparse(seed, rows, 9);
  const weights = Array.from({ length: 9 }, (_, c) => c % 4);
  const similar = (similarity: 'cosine' | 'rbf'): [string, Objective][] => [
    [`graph-cut ${similarity}`, { name: 'graph-cut', similarity }],
    [`graph-cut lambda 0.4 ${similarity}`, { name: 'graph-cut', similarity, lambda: 0.4 }],
    [`facility-location ${similarity}`, { name: 'facility-location', similarity }],
    [
      `facility-location sparse ${similarity}`,
      { name: 'facility-location', similarity, neighbours: Math.min(5, rows) },
    ],
    [`log-determinant ${similarity}`, { name: 'log-determinant', similarity }],
    [`log-determinant ridge 0.01 ${similarity}`, { name: 'log-determinant', similarity, ridge: 0.01 }],
    [`saturated-coverage ${similarity}`, { name: 'saturated-coverage', similarity, alpha: 0.2 }],
    [`facility-location-mi ${similarity}`, { name: 'facility-location-mi', similarity, query, eta: 0.9 }],
    [`facility-location-query-mi ${similarity}`, { name: 'facility-location-query-mi', similarity, query, eta: 0.3 }],
    [`facility-location-cg ${similarity}`, { name: 'facility-location-cg', similarity, private: away, nu: 0.7 }],
    [`graph-cut-mi ${similarity}`, { name: 'graph-cut-mi', similarity, query }],
    [`graph-cut-cg ${similarity}`, { name: 'graph-cut-cg', similarity, private: away, nu: 2, lambda: 0.6 }],
    [`log-determinant-mi ${similarity}`, { name: 'log-determinant-mi', similarity, query, eta: 0.8 }],
    [
      `log-determinant-cg ${similarity}`,
      { name: 'log-determinant-cg', similarity, private: query, nu: 0.9, ridge: 0.1 },
    ],
  ];
  return Object.fromEntries([
    ...similar('cosine'),
    ...similar('rbf'),
    ['squared-distance', { name: 'squared-distance' }],
    ['k-center', { name: 'k-center' }],
    ['disparity-sum', { name: 'disparity-sum' }],
    ['disparity-min', { name: 'disparity-min' }],
    ['set-cover', { name: 'set-cover', concepts, weights }],
    ['probabilistic-set-cover', { name: 'probabilistic-set-cover', concepts }],
    ['feature-based sqrt', { name: 'feature-based', features: concepts }],
    ['feature-based log', { name: 'feature-based', features: concepts, concave: 'log', weights }],
    ['feature-based inverse', { name: 'feature-based', features: concepts, concave: 'inverse' }],
  ]);
}

/** Float32 products stand behind these. */
const isCoverage = (name: string) => name.startsWith('facility-location') || name === 'saturated-coverage';

/**
 * Holds a greedy result against the formulas: at each step the chosen row has the largest gain, up to rounding; no equal row
 * with a lower number was free; gains and value are those of the formulas.
 */
export function expectGreedy(matrix: EmbeddingMatrix, options: MaximizeOptions, result: Maximization): void {
  const planned = plan(matrix, options);
  const parts = planned.parts.map((part) => {
    const examples = part.examples && gather(part.examples, matrix.data, matrix.cols);
    return { weight: part.weight, name: part.name, f: setFunction(part, matrix, examples) };
  });
  const f = (set: readonly number[]) => parts.reduce((sum, { weight, f: one }) => sum + weight * one(set), 0);
  const { data, cols, rows: count } = matrix;
  const row = (i: number) => data.subarray(i * cols, (i + 1) * cols).join();
  const coverage = parts.some(({ name }) => isCoverage(name));
  const dense = parts.every(({ name }) => !name.includes('set-cover') && name !== 'feature-based');
  const kCenter = parts[0]!.name === 'k-center';

  const chosen: number[] = [];
  expect(new Set(result.rows).size).toBe(result.rows.length);
  result.rows.forEach((picked, step) => {
    const before = f(chosen);
    const free = [...planned.allowed.keys()].filter((i) => planned.allowed[i] === 1 && !chosen.includes(i));
    expect(free).toContain(picked);
    const gains = new Map(free.map((i) => [i, f([...chosen, i]) - before]));
    const scale = Math.abs(before) + Math.max(...[...gains.values()].map(Math.abs));
    const tolerance = 1e-9 * scale + 1e-12 + (coverage ? 3e-6 * count : 0);
    if (!kCenter) {
      expect(Math.abs(result.gains[step]! - gains.get(picked)!)).toBeLessThanOrEqual(tolerance);
      if (step >= planned.initial.length) {
        expect(Math.max(...gains.values()) - gains.get(picked)!).toBeLessThanOrEqual(2 * tolerance);
      }
    }
    if (dense && step >= planned.initial.length) {
      expect(free.filter((i) => i < picked && row(i) === row(picked))).toEqual([]);
    }
    chosen.push(picked);
  });
  const value = f(chosen);
  expect(Math.abs(result.value - value)).toBeLessThanOrEqual(
    1e-8 * Math.abs(value) + 1e-9 + (coverage ? 3e-6 * count : 0),
  );
}
