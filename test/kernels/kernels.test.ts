/** The public kernels, held against plain float64 sums: every result is within the bound that comes with it. */
import { openKernels } from 'coregain';
import { expect, test } from 'vitest';
import { type Kernels, type KernelsOptions, PRECISIONS, type Precision } from '#lib/kernels/kernels.js';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { native } from '#lib/native.js';
import { cloud } from '../select/data.js';

const matrix = cloud('embeddingLike', 3, 150, 37);
const all = Array.from({ length: matrix.rows }, (_, i) => i);
const onDevice = native().cuda().available;
/** What this machine can run; on a machine with a GPU all four precisions of it. */
const ways: [Precision, 'cpu' | 'cuda'][] = [
  ['fp32', 'cpu'],
  ['int8', 'cpu'],
  ...(onDevice ? PRECISIONS.map((precision): [Precision, 'cuda'] => [precision, 'cuda']) : []),
];

const row = ({ data, cols }: EmbeddingMatrix, i: number) => data.subarray(i * cols, (i + 1) * cols);
const product = (m: EmbeddingMatrix, a: number, b: number) => row(m, a).reduce((s, v, j) => s + v * row(m, b)[j]!, 0);
const square = (m: EmbeddingMatrix, a: number, b: number) =>
  Array.from(row(m, a)).reduce((s, v, j) => s + (v - row(m, b)[j]!) ** 2, 0);

/** As `normalize` defines it. */
function unit(m: EmbeddingMatrix): EmbeddingMatrix {
  const data = new Float32Array(m.data.length);
  for (let i = 0; i < m.rows; i++) {
    const length = Math.sqrt(product(m, i, i));
    for (let j = 0; j < m.cols; j++) data[i * m.cols + j] = m.data[i * m.cols + j]! / length;
  }
  return { ...m, data };
}

async function using<T>(options: KernelsOptions, body: (kernels: Kernels) => Promise<T>): Promise<T> {
  const kernels = await openKernels(matrix, options);
  try {
    return await body(kernels);
  } finally {
    await kernels.close();
  }
}

function expectWithin(got: ArrayLike<number>, want: readonly number[], bound: ArrayLike<number>) {
  expect(got).toHaveLength(want.length);
  for (const [i, value] of want.entries()) {
    // the twin's own rounding
    expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(bound[i]! + 1e-6 * Math.abs(value));
    expect(Number.isFinite(bound[i])).toBe(true);
  }
}

for (const [precision, device] of ways) {
  test(`${device} ${precision}: distances of lists and of all pairs`, () =>
    using({ precision, device, threads: 2 }, async (kernels) => {
      expect(kernels).toMatchObject({ precision, rows: 150, cols: 37 });
      const queries = [3, 149, 3];
      const some = await kernels.distances({ queries });
      for (const [q, query] of queries.entries()) {
        const squares = some.squares.subarray(q * 150, (q + 1) * 150);
        const want = all.map((i) => square(matrix, query, i));
        expectWithin(squares, want, new Float64Array(150).fill(some.bound[q]!));
      }
      const whole = await kernels.distances();
      expect(whole.squares.subarray(450, 600)).toEqual(some.squares.subarray(0, 150));
    }));

  test(`${device} ${precision}: the gain of every row, by both gains`, () =>
    using({ precision, device, normalize: true }, async (kernels) => {
      const m = unit(matrix);
      const members = all.filter((i) => i % 5 !== 0);
      const chosen = members.filter((i) => i % 3 === 0);
      const sign = (p: number) => (chosen.includes(p) ? 1 : -1);
      const euclidean = await kernels.gains({ chosen, members });
      const want = all.map((x) => members.reduce((sum, p) => sum + sign(p) * square(m, p, x), 0));
      expectWithin(euclidean.gains, want, euclidean.bound);
      const cosine = await kernels.gains({ chosen, members, gain: 'cosine' });
      const twin = all.map((x) => members.reduce((sum, p) => sum - sign(p) * (0.5 + product(m, p, x) / 2), 0));
      expectWithin(cosine.gains, twin, cosine.bound);
    }));

  test(`${device} ${precision}: facility-location gains`, () =>
    using({ precision, device, normalize: true }, async (kernels) => {
      const m = unit(matrix);
      const reached = Float32Array.from(all, (i) => (i % 10) / 10);
      const candidates = [0, 7, 149];
      const { gains, bound } = await kernels.facilityLocationGains({ candidates, reached });
      const want = candidates.map((c) =>
        all.reduce((sum, v) => sum + Math.max(0, 0.5 + product(m, v, c) / 2 - reached[v]!), 0),
      );
      expectWithin(gains, want, bound);
      expect((await kernels.facilityLocationGains()).gains).toHaveLength(150);
    }));

  test(`${device} ${precision}: k-center, one centre after the other`, () =>
    using({ precision, device }, async (kernels) => {
      const centres = [4];
      let state = await kernels.kCenterUpdate({ centres });
      const bound = state.bound.slice();
      for (let round = 0; round < 5; round++) {
        const next = state.farthest;
        expect(state.nearest[next]).toBe(Math.max(...state.nearest));
        centres.push(next);
        state = await kernels.kCenterUpdate({ centres: [next], nearest: state.nearest });
        // of the distances to that centre; the nearest one may be older
        for (const i of all) bound[i] = Math.max(bound[i]!, state.bound[i]!);
      }
      const want = all.map((i) => Math.min(...centres.map((c) => square(matrix, i, c))));
      expectWithin(state.nearest, want, bound);
    }));

  test(`${device} ${precision}: the k nearest rows are exact`, () =>
    using({ precision, device }, async (kernels) => {
      const k = 6;
      const { rows, distances } = await kernels.nearest({ k });
      for (const i of all) {
        const want = all
          .filter((j) => j !== i)
          .map((j) => [square(matrix, i, j), j] as const)
          .sort(([a, p], [b, q]) => a - b || p - q)
          .slice(0, k);
        expect(Array.from(rows.subarray(i * k, (i + 1) * k))).toEqual(want.map(([, j]) => j));
        for (const [r, [squared]] of want.entries()) expect(distances[i * k + r]! ** 2).toBeCloseTo(squared, 9);
      }
    }));
}

test('gains take kept sums, made row by row, and give what lists give', () =>
  using({ device: 'cpu' }, async (kernels) => {
    const members = all.filter((i) => i % 2 === 0);
    const kept = await kernels.sum({ rows: members });
    let chosen = await kernels.sum({ rows: [] });
    for (const row of [4, 10, 2]) chosen = await kernels.sum({ rows: [row], onto: chosen });
    expect([kept.count, chosen.count]).toEqual([75, 3]);
    const lists = await kernels.gains({ chosen: [4, 10, 2], members });
    const sums = await kernels.gains({ chosen, members: kept });
    expectWithin(sums.gains, Array.from(lists.gains), lists.bound);
    const whole = await kernels.gains({ chosen });
    expect(whole).toEqual(await kernels.gains({ chosen, members: await kernels.sum() }));
    expect(whole).toEqual(await kernels.gains({ chosen }));

    await expect(kernels.sum({ rows: [10], onto: chosen })).rejects.toThrow(
      '`rows` must be a list that names each row once',
    );
    await expect(kernels.sum({ rows: [1, 1] })).rejects.toThrow('`rows` must be a list that names each row once');
    const odd = await kernels.sum({ rows: [3] });
    await expect(kernels.gains({ chosen: odd, members: kept })).rejects.toThrow('`chosen` must be a list of members');
    await using({ device: 'cpu' }, async (others) => {
      await expect(others.gains({ chosen })).rejects.toThrow(
        '`chosen` must be a list of rows, or a sum made by these kernels',
      );
    });
  }));

test('the same bits for every number of threads', async () => {
  for (const precision of ['fp32', 'int8'] as const) {
    const results = await Promise.all(
      [1, 3].map((threads) => using({ precision, threads, device: 'cpu' }, (kernels) => kernels.distances())),
    );
    expect(results[0]).toEqual(results[1]);
  }
});

test('calls made at once are queued; one that is aborted does not stop the next', () =>
  using({ device: 'cpu' }, async (kernels) => {
    const aborted = kernels.nearest({ k: 3, signal: AbortSignal.abort(new Error('enough')) });
    const [first, second] = [kernels.distances({ queries: [1] }), kernels.nearest({ k: 3 })];
    await expect(aborted).rejects.toThrow('enough');
    expect((await first).squares).toHaveLength(150);
    expect((await second).rows).toHaveLength(450);
  }));

test('wrong options are refused in words', async () => {
  await expect(openKernels(matrix, { precision: 'tf32', device: 'cpu' })).rejects.toMatchObject({
    code: 'ERR_PRECISION',
  });
  await expect(openKernels(matrix, { precision: 'fp8' as 'fp32' })).rejects.toThrow('`precision` must be one of fp32');
  if (!onDevice) await expect(openKernels(matrix, { device: 'cuda' })).rejects.toMatchObject({ code: 'ERR_DEVICE' });
  const kernels = await openKernels(matrix, { device: 'cpu' });
  await expect(kernels.gains({ chosen: [], gain: 'cosine' })).rejects.toThrow('normalize');
  await expect(kernels.gains({ chosen: [5], members: [4] })).rejects.toThrow('`chosen` must be a list of members');
  await expect(kernels.distances({ queries: [150] })).rejects.toThrow('`queries[0]` must be an integer in 0..149');
  await expect(kernels.nearest({ k: 150 })).rejects.toThrow('`k`');
  await kernels.close();
  await expect(kernels.nearest({ k: 1 })).rejects.toMatchObject({ code: 'ERR_KERNELS_CLOSED' });
  await kernels.close();
  const bad = { ...matrix, data: matrix.data.slice() };
  bad.data[37 * 8 + 5] = Number.NaN;
  await expect(openKernels(bad, { device: 'cpu' })).rejects.toMatchObject({ code: 'ERR_NOT_FINITE' });
});
