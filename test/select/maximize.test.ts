/** Every objective under every optimizer that it allows, held against the formulas in float64. */
import { describe, expect, test } from 'vitest';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { type MaximizeOptions, maximize } from '#lib/select/maximize.js';
import { naiveMaximize } from '#lib/select/objectives/naive.js';
import { type Mixture, OBJECTIVES, type Objective } from '#lib/select/objectives/types.js';
import { stream } from '#lib/select/random.js';
import { cloud, clouds } from './data.js';
import { expectGreedy, objectives, sparse } from './objectives.js';

const matrix = cloud('embeddingLike', 5, 50, 6);
const all = Object.entries(objectives(matrix));
const exact = all.filter(([name]) => !name.startsWith('facility-location') && !name.startsWith('saturated'));
const isSubmodular = (objective: Objective) => OBJECTIVES[objective.name].submodular;

test('the list has every objective', () => {
  expect(new Set(all.map(([, { name }]) => name))).toEqual(new Set(Object.keys(OBJECTIVES)));
});

describe.each(all)('%s', (name, objective) => {
  test('naive agrees with the formula at every step', async () => {
    const options: MaximizeOptions = { objective, budget: 20, optimizer: 'naive' };
    const result = await maximize(matrix, options);
    expect(result.rows).toHaveLength(20);
    expect(result.engine).toMatchObject({ optimizer: 'naive' });
    expectGreedy(matrix, options, result);
  });

  test.runIf(isSubmodular(objective))('lazy chooses what naive chooses, with fewer looks', async () => {
    const naive = await maximize(matrix, { objective, budget: 20, optimizer: 'naive' });
    const lazy = await maximize(matrix, { objective, budget: 20, optimizer: 'lazy' });
    expect(lazy.rows).toEqual(naive.rows);
    expect(lazy.gains).toEqual(naive.gains);
    // With a cap, few bounds drop: all rows may have to be looked at.
    if (objective.name === 'facility-location-mi') expect(lazy.evaluations).toBeLessThanOrEqual(naive.evaluations);
    else expect(lazy.evaluations).toBeLessThan(naive.evaluations);
  });

  test('stochastic draws the sample of its twin', async () => {
    const options: MaximizeOptions = { objective, budget: 10, optimizer: 'stochastic', seed: 11, epsilon: 0.3 };
    const result = await maximize(matrix, options);
    const twin = naiveMaximize(matrix, options);
    expect(result.evaluations).toBe(twin.evaluations);
    // A tie that float32 decides otherwise changes all that follows.
    if (exact.some(([other]) => other === name)) expect(result.rows).toEqual(twin.rows);
    else expect(Math.abs(result.value - twin.value)).toBeLessThan(0.05 * Math.abs(twin.value));
  });

  test('does not depend on the number of threads, and continues what it began', async () => {
    const one = await maximize(matrix, { objective, budget: 20, threads: 1 });
    for (const threads of [2, 7]) {
      const { engine, ...rest } = await maximize(matrix, { objective, budget: 20, threads });
      expect(engine.threads).toBe(threads);
      expect(rest).toEqual({ rows: one.rows, gains: one.gains, value: one.value, evaluations: one.evaluations });
    }
    const begun = await maximize(matrix, { objective, budget: 8 });
    const continued = await maximize(matrix, { objective, budget: 20, initialSelection: begun.rows });
    expect(continued.rows).toEqual(one.rows);
  });
});

test.each(exact)('%s: the twin has the same order', async (_, objective) => {
  const twin = naiveMaximize(matrix, { objective, budget: 15, optimizer: 'naive' });
  expect((await maximize(matrix, { objective, budget: 15 })).rows).toEqual(twin.rows);
});

/** Rows that are equally similar up to rounding: which of them are the nearest five is not defined. */
const AMBIGUOUS_NEIGHBOURS = ['integerGrid', 'parallelVectors', 'farFromOrigin', 'nearTies'];

test.each(Object.keys(clouds))('%s: right, whatever the data', async (kind) => {
  for (const type of ['float32', 'float64'] as const) {
    const points = cloud(kind, 3, 24, 3, type);
    for (const objective of Object.values(objectives(points, 2))) {
      if ('neighbours' in objective && AMBIGUOUS_NEIGHBOURS.includes(kind)) continue;
      const options = { objective, budget: 12 };
      expectGreedy(points, options, await maximize(points, options));
    }
  }
});

test('random shapes, budgets, include and exclude', async () => {
  const words = stream(77, 0);
  const kinds = ['isotropic', 'duplicates', 'allEqual', 'zeros', 'someZeroRows', 'sphere', 'mixture'];
  for (let round = 0; round < 60; round++) {
    const rows = 3 + (words() % 30);
    const points = cloud(kinds[round % kinds.length]!, round, rows, 1 + (words() % 5));
    const list = Object.entries(objectives(points, round));
    const [, objective] = list[words() % list.length]!;
    const budget = 1 + (words() % (rows - 2)); // two rows are private
    const free = [...Array(rows).keys()].filter((row) => row !== 0 && row !== Math.floor(rows / 2));
    const include = budget > 1 ? [free[words() % free.length]!] : [];
    const exclude = free.filter((row) => !include.includes(row)).slice(0, Math.max(0, rows - 2 - budget - 1));
    const options = { objective, budget, include, exclude: exclude.slice(0, 2) };
    const result = await maximize(points, options);
    expect(result.rows).toHaveLength(budget);
    expectGreedy(points, options, result);
  }
});

test.each(all)('%s: one column, budget N', async (_, objective) => {
  const points = cloud('isotropic', 9, 20, 1);
  const fitted = objectives(points)[_]!;
  const exclude = OBJECTIVES[objective.name].parameters.includes('private') ? 18 : 20;
  const options = {
    objective: fitted,
    budget: 'data' in ((fitted as { private?: object }).private ?? {}) ? 20 : exclude,
  };
  const result = await maximize(points, options);
  expect(result.rows).toHaveLength(options.budget);
  expectGreedy(points, options, result);
});

describe('mixtures', () => {
  const mixture: Mixture = [
    { weight: 2, objective: { name: 'facility-location' } },
    { weight: 0.5, objective: { name: 'log-determinant', similarity: 'rbf' } },
    { weight: 3, objective: { name: 'set-cover', concepts: sparse(1, 50, 9) } },
  ];
  test('their gains are weighted sums, and lazy is exact for submodular ones', async () => {
    const options = { objective: mixture, budget: 15 };
    const result = await maximize(matrix, options);
    expect(result.engine.optimizer).toBe('lazy');
    expectGreedy(matrix, options, result);
    expect((await maximize(matrix, { ...options, optimizer: 'naive' })).rows).toEqual(result.rows);
  });
  test('with a part that is not submodular, naive by default', async () => {
    const objective: Mixture = [...mixture, { weight: 0.1, objective: { name: 'disparity-sum' } }];
    const result = await maximize(matrix, { objective, budget: 15 });
    expect(result.engine.optimizer).toBe('naive');
    expectGreedy(matrix, { objective, budget: 15 }, result);
  });
});

test('modalities: columns times the root of their weight', async () => {
  const modalities = [
    { cols: 2, weight: 9 },
    { cols: 4, weight: 0.25 },
  ];
  const scaled: EmbeddingMatrix = { ...matrix, data: matrix.data.map((value, at) => value * (at % 6 < 2 ? 3 : 0.5)) };
  const query = cloud('isotropic', 3, 3, 6);
  const scaledQuery = { ...query, data: query.data.map((value, at) => value * (at % 6 < 2 ? 3 : 0.5)) };
  const before = matrix.data.slice();
  const weighted = await maximize(matrix, { objective: { name: 'graph-cut-mi', query }, budget: 10, modalities });
  const expected = await maximize(scaled, { objective: { name: 'graph-cut-mi', query: scaledQuery }, budget: 10 });
  expect(weighted.rows).toEqual(expected.rows);
  expect(weighted.gains).toEqual(expected.gains);
  expect(matrix.data).toEqual(before); // the caller's memory is left alone
});

describe('sparse rows as the first argument', () => {
  const rows = sparse(4, 40, 12);
  test.each([{ name: 'set-cover' }, { name: 'probabilistic-set-cover' }, { name: 'feature-based' }] as const)(
    '$name',
    async (objective) => {
      const result = await maximize(rows, { objective, budget: 10 });
      const twin = naiveMaximize(rows, { objective, budget: 10 });
      expect(result.rows).toEqual(twin.rows);
      expect(result.value).toBeCloseTo(twin.value, 10);
    },
  );
  test('features of dense rows', async () => {
    const points: EmbeddingMatrix = { ...matrix, data: matrix.data.map(Math.abs) };
    const options = { objective: { name: 'feature-based', concave: 'log' } as const, budget: 10 };
    expect((await maximize(points, options)).rows).toEqual(naiveMaximize(points, options).rows);
  });
});

describe('costs', () => {
  const costs = Float64Array.from({ length: 50 }, (_, i) => 1 + ((i * 7) % 10));
  const objective = { name: 'facility-location' } as const;
  test('within the limit, and as the twin', async () => {
    for (const maxCost of [3, 12, 30, 1000]) {
      const options = { objective, costs, maxCost };
      const result = await maximize(matrix, options);
      const spent = result.rows.reduce((sum, row) => sum + costs[row]!, 0);
      expect(spent).toBeLessThanOrEqual(maxCost);
      expect(result.rows).toEqual(naiveMaximize(matrix, options).rows);
      expect((await maximize(matrix, { ...options, optimizer: 'naive' })).rows).toEqual(result.rows);
    }
  });
  test('one dear row beats many cheap ones where gain per cost is misled', async () => {
    // row 0: one concept for 1; row 1: ten concepts for 11 of 11
    const concepts = {
      rows: 2,
      cols: 11,
      offsets: Int32Array.of(0, 1, 11),
      indices: Int32Array.from({ length: 11 }, (_, c) => c),
    };
    const result = await maximize(concepts, { objective: { name: 'set-cover' }, costs: [1, 11], maxCost: 11 });
    expect([...result.rows]).toEqual([1]);
    expect(result.value).toBe(10);
  });
  test('stops where nothing more is gained', async () => {
    const concepts = { rows: 3, cols: 1, offsets: Int32Array.of(0, 1, 2, 3), indices: Int32Array.of(0, 0, 0) };
    const result = await maximize(concepts, { objective: { name: 'set-cover' }, costs: [2, 1, 1], maxCost: 10 });
    expect([...result.rows]).toEqual([1]);
  });
});

describe('bidirectional', () => {
  test.each([
    { name: 'graph-cut', lambda: 0.9 },
    { name: 'graph-cut', similarity: 'rbf' },
    { name: 'graph-cut-cg', private: [3, 9], lambda: 0.7 },
  ] as const)('%j: the choices of its twin, by seed', async (objective) => {
    const results = [];
    for (const seed of [0, 1, 2]) {
      const options: MaximizeOptions = { objective, optimizer: 'bidirectional', seed, exclude: [7], include: [20] };
      const result = await maximize(matrix, options);
      expect(result.rows).toEqual(naiveMaximize(matrix, options).rows);
      expect(result.rows[0]).toBe(20);
      expect(result.rows).not.toContain(7);
      results.push(result.rows.join());
    }
    expect(new Set(results).size).toBeGreaterThan(1);
  });
});
