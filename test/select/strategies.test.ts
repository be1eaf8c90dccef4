/** Strategies against plain float64 loops written from their formulas. */
import { expect, test } from 'vitest';
import { draw } from '#lib/select/draw.js';
import { STRATEGIES, select } from '#lib/select/select.js';
import { densityBalanced, inclusionProbabilities } from '#lib/select/strategies/densityBalanced.js';
import { herding, naiveHerding } from '#lib/select/strategies/herding.js';
import { clusterStrata, groupStrata, oneStratum } from '#lib/select/strategies/strata.js';
import { atOnce } from '#lib/steps.js';
import { cloud } from './data.js';

const KINDS = ['isotropic', 'mixture', 'duplicates', 'allEqual', 'integerGrid'] as const;
const squared = (data: ArrayLike<number>, cols: number, a: number, b: number) => {
  let sum = 0;
  for (let j = 0; j < cols; j++) sum += (data[a * cols + j]! - data[b * cols + j]!) ** 2;
  return sum;
};

test('every strategy gives exactly the budget, keeps what must be in and leaves out what must not, and repeats itself', async () => {
  const matrix = cloud('mixture', 3, 240, 6);
  const groups = Array.from({ length: 240 }, (_, row) => row % 7);
  for (const strategy of STRATEGIES) {
    const options = { strategy, bins: 4, groups, budget: 0.2, seed: 9, include: [5, 77], exclude: [6, 100, 239] };
    const first = await select(matrix, { ...options, threads: 1 });
    const again = await select(matrix, { ...options, threads: 3 });
    expect(first.rows, strategy).toHaveLength(48);
    expect(new Set(first.rows).size, strategy).toBe(48);
    expect([...first.rows], strategy).toEqual(expect.arrayContaining([5, 77]));
    for (const row of [6, 100, 239]) expect([...first.rows], strategy).not.toContain(row);
    expect(again.rows, strategy).toEqual(first.rows);
    const all = await select(matrix, { strategy, bins: 4, groups, budget: 240 });
    expect(
      [...all.rows].sort((a, b) => a - b),
      strategy,
    ).toEqual(Array.from({ length: 240 }, (_, row) => row));
  }
});

test('random draws uniformly: every row about equally often', () => {
  const counts = new Int32Array(20);
  for (let seed = 0; seed < 2000; seed++)
    for (const row of draw(oneStratum(20), { budget: 5, seed }).rows) counts[row]!++;
  // 500 +- 5 standard deviations of 19
  for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(97);
});

test('round robin: equal numbers of each group while it has rows, whatever their sizes', async () => {
  const groups = ['a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'b', 'b', 'b', 'c'];
  const { rows } = draw(groupStrata(groups), { budget: 7, quota: 'equal' });
  const taken = [...rows].map((row) => groups[row]).sort();
  expect(taken).toEqual(['a', 'a', 'a', 'b', 'b', 'b', 'c']);
  const matrix = cloud('isotropic', 1, 12, 2);
  await expect(select(matrix, { strategy: 'round-robin', budget: 2 })).rejects.toThrow('one group a row');
});

test('herding is the naive loop', async () => {
  for (const kind of KINDS) {
    const matrix = cloud(kind, 5, 60, 4);
    const { rows, partition } = await herding(matrix, { budget: 25 });
    // the mean is taken off in float32: where gaps are that small the order may differ
    const naive = naiveHerding(matrix, 25);
    if (kind === 'isotropic' || kind === 'mixture') expect([...rows], kind).toEqual(naive);
    else expect(new Set(rows).size, kind).toBe(25);
    expect(partition.gains).toHaveLength(25);
  }
});

test('k-means: every row is in the cluster of the nearest mean, and seeds repeat', async () => {
  for (const kind of KINDS) {
    const matrix = cloud(kind, 7, 300, 5);
    const { data, cols, rows } = matrix;
    const partition = await clusterStrata(matrix, { clusters: 6, seed: 2 });
    expect(partition.engine.why, kind).not.toContain('not converged');
    const means = Array.from({ length: partition.binCount }, (_, bin) => {
      const members = [...partition.bins.keys()].filter((row) => partition.bins[row] === bin);
      expect(members.length, kind).toBeGreaterThan(0);
      return Array.from(
        { length: cols },
        (_, j) => members.reduce((sum, i) => sum + data[i * cols + j]!, 0) / members.length,
      );
    });
    for (let row = 0; row < rows; row++) {
      const distances = means.map((mean) => mean.reduce((sum, m, j) => sum + (data[row * cols + j]! - m) ** 2, 0));
      const own = distances[partition.bins[row]!]!;
      expect(own, `${kind} ${row}`).toBeLessThanOrEqual(Math.min(...distances) + 1e-5);
    }
    const again = await clusterStrata(matrix, { clusters: 6, seed: 2, threads: 3 });
    expect(again.bins, kind).toEqual(partition.bins);
  }
});

test('k-means with fewer different rows than clusters leaves the empty ones out', async () => {
  const { binCount, bins } = await clusterStrata(cloud('allEqual', 1, 20, 3), { clusters: 5 });
  expect(binCount).toBe(1);
  expect(new Set(bins)).toEqual(new Set([0]));
});

test('density: inclusion probabilities follow the counted neighbours', async () => {
  for (const kind of ['isotropic', 'mixture', 'duplicates'] as const) {
    const matrix = cloud(kind, 11, 200, 3);
    const { partition } = await densityBalanced(matrix, { budget: 30, fraction: 0.4, seed: 1 });
    const eps = Number(/eps ([\d.e+-]+)/.exec(partition.engine.why)![1]);
    // eps is printed with four digits: a pair that near to it may be counted either way
    const near = (row: number, factor: number) => {
      let count = 0;
      for (let other = 0; other < 200; other++) if (squared(matrix.data, 3, row, other) <= (eps * factor) ** 2) count++;
      return count;
    };
    const certain = Array.from({ length: 200 }, (_, row) => row).filter((row) => near(row, 0.999) === near(row, 1.001));
    const weights = Float64Array.from({ length: 200 }, (_, row) => 1 / near(row, 1));
    const p = atOnce(inclusionProbabilities(weights, new Uint8Array(200), 30));
    const position = new Map([...partition.order].map((row, at) => [row, at]));
    for (const row of certain) {
      const at = position.get(row);
      if (at !== undefined && certain.length === 200) expect(partition.gains[at]).toBeCloseTo(p[row]!, 10);
    }
    expect(partition.order).toHaveLength(30);
  }
});

test('inclusion probabilities sum to the budget, stay at most 1, and are proportional below it', () => {
  const weights = Float64Array.from([10, 1, 1, 2, 0, 4]);
  const p = atOnce(inclusionProbabilities(weights, Uint8Array.from([0, 0, 1, 0, 0, 0]), 3));
  expect(p[2]).toBe(1);
  expect(p[4]).toBe(0);
  expect(p[0]).toBe(1);
  expect(p.reduce((sum, value) => sum + value)).toBeCloseTo(3, 12);
  expect(p[5]! / p[3]!).toBeCloseTo(2, 12);
  expect(p[3]! / p[1]!).toBeCloseTo(2, 12);
});

test('crowded places are thinned out: 5 % of heavy clips', async () => {
  // 190 frames of one place, 10 rows each somewhere of its own
  const data = new Float32Array(200 * 2);
  for (let row = 0; row < 200; row++) {
    data[2 * row] = row < 190 ? 0.001 * Math.sin(row) : 10 * Math.cos(row);
    data[2 * row + 1] = row < 190 ? 0.001 * Math.cos(row) : 10 * Math.sin(row);
  }
  const matrix = { data, rows: 200, cols: 2 };
  const { rows } = await densityBalanced(matrix, { budget: 11, fraction: 2 });
  expect([...rows].filter((row) => row >= 190).length).toBeGreaterThanOrEqual(5);
  const random = draw(oneStratum(200), { budget: 11 });
  expect([...random.rows].filter((row) => row >= 190).length).toBeLessThan(5);
});

test('bad input and aborts', async () => {
  const matrix = cloud('isotropic', 1, 50, 3);
  await expect(select(matrix, { strategy: 'best' as 'bins', budget: 5 })).rejects.toThrow(
    '`strategy` must be one of bins, random',
  );
  await expect(select(matrix, { budget: 5 })).rejects.toThrow('`bins` must be an integer in 1..50');
  await expect(densityBalanced(matrix, { budget: 5, fraction: 0 })).rejects.toThrow('`fraction` must be a number > 0');
  await expect(clusterStrata(matrix, { clusters: 51 })).rejects.toThrow('`clusters` must be an integer in 1..50');
  const bad = { ...matrix, data: Float32Array.from(matrix.data) };
  bad.data[31] = Number.NaN;
  for (const strategy of ['dbal', 'kmeans', 'herding'] as const)
    await expect(select(bad, { strategy, budget: 5 })).rejects.toThrow(/row 10/i);
  const huge = { ...matrix, data: Float32Array.from(matrix.data, (value) => value * 1e30) };
  await expect(herding(huge, { budget: 5 })).rejects.toThrow('Scale the embeddings');
  for (const strategy of ['dbal', 'kmeans', 'herding'] as const) {
    const large = cloud('isotropic', 1, 20_000, 32);
    const controller = new AbortController();
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 5);
    const options = { strategy, budget: 5000, clusters: 500, maxRounds: 1000, signal: controller.signal };
    await expect(select(large, options), strategy).rejects.toBe(reason);
  }
});
