/** Sieve-streaming against its own definition in float64, and against greedy over all rows. */
import { describe, expect, test } from 'vitest';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { maximize } from '#lib/select/maximize.js';
import { setFunction } from '#lib/select/objectives/formulas.js';
import { plan } from '#lib/select/objectives/plan.js';
import type { Objective } from '#lib/select/objectives/types.js';
import { type SieveOptions, sieveStream } from '#lib/select/sieve.js';
import { cloud } from './data.js';

const ground = cloud('mixture', 3, 300, 4);
const part = (matrix: EmbeddingMatrix, from: number, to: number): EmbeddingMatrix => ({
  data: matrix.data.slice(from * matrix.cols, to * matrix.cols),
  rows: to - from,
  cols: matrix.cols,
});
const reference = part(ground, 200, 260);
const stream = part(ground, 0, 200);

async function sieved(options: SieveOptions, batches: number[]) {
  const sieve = sieveStream(options);
  let from = 0;
  for (const size of batches) {
    await sieve.partialFit(part(stream, from, from + size));
    from += size;
  }
  return sieve.finish();
}

/** Algorithm 3 of the paper, over any set function of rows of the stream. */
function twin(f: (set: readonly number[]) => number, rows: number, budget: number, epsilon: number) {
  const sets = new Map<number, number[]>();
  let m = 0;
  for (let row = 0; row < rows; row++) {
    m = Math.max(m, f([row]));
    const base = Math.log1p(epsilon);
    const low = Math.ceil(Math.log(m) / base);
    const high = Math.floor(Math.log(2 * budget * m) / base);
    for (const i of sets.keys()) if (i < low) sets.delete(i);
    for (let i = low; i <= high; i++) if (!sets.has(i)) sets.set(i, []);
    for (const [i, set] of sets) {
      if (set.length === budget) continue;
      const wanted = ((1 + epsilon) ** i / 2 - f(set)) / (budget - set.length);
      if (f([...set, row]) - f(set) >= wanted) set.push(row);
    }
  }
  const ordered = [...sets].sort(([a], [b]) => a - b).map(([, set]) => set);
  return ordered.reduce((best, set) => (f(set) > f(best) + 1e-9 ? set : best));
}

/** f over rows of the stream, where the points to cover are the reference. */
function facilityLocation(similarity: 'cosine' | 'rbf') {
  // Both below each other: reference first, so that the objective of the query variants is the one wanted (eta = 0).
  const objective: Objective = { name: 'facility-location-query-mi', query: reference, eta: 0, similarity, gamma: 0.3 };
  return setFunction(plan(stream, { objective, budget: 1 }).parts[0]!, stream, reference);
}

describe('as its definition', () => {
  test.each(['cosine', 'rbf'] as const)('facility location, %s', async (similarity) => {
    const objective = { name: 'facility-location', reference, similarity, gamma: 0.3 } as const;
    const result = await sieved({ objective, budget: 8, epsilon: 0.2 }, [200]);
    const f = facilityLocation(similarity);
    const expected = twin(f, 200, 8, 0.2);
    expect([...result.rows]).toEqual(expected);
    expect(result.value).toBeCloseTo(f(expected), 3);
    expect(result.seen).toBe(200);
  });
  test.each(['cosine', 'rbf'] as const)('log-determinant, %s', async (similarity) => {
    const objective = { name: 'log-determinant', similarity, gamma: 0.3 } as const;
    const result = await sieved({ objective, budget: 8, epsilon: 0.2 }, [200]);
    const f = setFunction(plan(stream, { objective, budget: 1 }).parts[0]!, stream, undefined);
    const expected = twin(f, 200, 8, 0.2);
    expect([...result.rows]).toEqual(expected);
    expect(result.value).toBeCloseTo(f(expected), 9);
    expect(result.gains.reduce((a, b) => a + b)).toBeCloseTo(result.value, 9);
  });
});

describe.each([
  { name: 'facility-location', reference },
  { name: 'log-determinant', similarity: 'rbf', gamma: 0.3 },
] as const)('$name', (objective) => {
  test('depends neither on the batches nor on the threads', async () => {
    const one = await sieved({ objective, budget: 10, threads: 1 }, [200]);
    expect(await sieved({ objective, budget: 10, threads: 7 }, [1, 16, 17, 100, 66])).toEqual(one);
    expect(one.rows.length).toBeLessThanOrEqual(10);
  });
  test('is worth at least half of greedy', async () => {
    const result = await sieved({ objective, budget: 10, epsilon: 0.1 }, [100, 100]);
    const same: Objective =
      objective.name === 'log-determinant'
        ? objective
        : { name: 'facility-location-query-mi', query: reference, eta: 0 };
    const greedy = await maximize(stream, { objective: same, budget: 10 });
    expect(result.value).toBeGreaterThan((0.5 - 0.1) * greedy.value);
    expect(result.value).toBeLessThan(greedy.value * 1.05);
  });
});

test('float64 rows and a float64 stream', async () => {
  const wide = { ...stream, data: Float64Array.from(stream.data) };
  const sieve = sieveStream({ objective: { name: 'facility-location', reference }, budget: 5 });
  await sieve.partialFit(wide);
  const single = await sieved({ objective: { name: 'facility-location', reference }, budget: 5 }, [200]);
  expect((await sieve.finish()).rows).toEqual(single.rows);
});

test('goes on after a result; calls without waiting keep their order', async () => {
  const sieve = sieveStream({ objective: { name: 'facility-location', reference }, budget: 5 });
  expect(await sieve.finish()).toMatchObject({ value: 0, seen: 0 });
  await Promise.all([sieve.partialFit(part(stream, 0, 50)), sieve.partialFit(part(stream, 50, 120))]);
  expect((await sieve.finish()).seen).toBe(120);
  await sieve.partialFit(part(stream, 120, 200));
  expect(await sieve.finish()).toEqual(
    await sieved({ objective: { name: 'facility-location', reference }, budget: 5 }, [200]),
  );
});

test('more rows wanted than come, and equal rows', async () => {
  const equal = cloud('allEqual', 1, 20, 3);
  const sieve = sieveStream({ objective: { name: 'log-determinant' }, budget: 50 });
  await sieve.partialFit(equal);
  const { rows, value } = await sieve.finish();
  expect(new Set(rows).size).toBe(rows.length);
  expect(value).toBeCloseTo(Math.log(1 + rows.length), 9);
});

describe('errors', () => {
  const objective = { name: 'facility-location', reference } as const;
  test.each([
    [{ objective, budget: 0 }, /`budget`/],
    [{ objective, budget: '20%' }, /`budget`/],
    [{ objective, budget: 3, epsilon: 1 }, /`epsilon`/],
    [{ objective: { name: 'k-center' }, budget: 3 }, /`objective\.name`/],
    [{ objective: { name: 'facility-location' }, budget: 3 }, /reference` must be an EmbeddingMatrix/],
    [{ objective: { name: 'log-determinant', ridge: 0.5 }, budget: 3 }, /ridge` must be at least 1/],
    [{ objective: { name: 'log-determinant', similarity: 'rbf' }, budget: 3 }, /gamma` must be given/],
  ])('%j', (options, message) => {
    expect(() => sieveStream(options as SieveOptions)).toThrow(message);
  });
  test('a batch of another width or type, or with NaN, leaves the stream as it was', async () => {
    const sieve = sieveStream({ objective, budget: 5 });
    await sieve.partialFit(part(stream, 0, 100));
    await expect(sieve.partialFit(cloud('isotropic', 1, 5, 3))).rejects.toThrow(/batch\.cols` must be 4/);
    const wide = { ...stream, data: Float64Array.from(stream.data) };
    await expect(sieve.partialFit(wide)).rejects.toThrow(/batch\.data` must be a Float32Array/);
    const bad = part(stream, 100, 200);
    bad.data[9] = Number.NaN;
    await expect(sieve.partialFit(bad)).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/^The batch has NaN in row 2, column 1/),
    });
    await sieve.partialFit(part(stream, 100, 200));
    expect(await sieve.finish()).toEqual(await sieved({ objective, budget: 5 }, [200]));
  });
  test('abort ends the stream', async () => {
    const controller = new AbortController();
    const rows = cloud('isotropic', 1, 4000, 16);
    const sieve = sieveStream({ objective: { name: 'log-determinant' }, budget: 200, signal: controller.signal });
    const call = sieve.partialFit(rows);
    setTimeout(() => controller.abort(), 30);
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    await expect(sieve.partialFit(rows)).rejects.toMatchObject({ name: 'AbortError' });
    await expect(sieve.finish()).rejects.toMatchObject({ name: 'AbortError' });
  });
});
