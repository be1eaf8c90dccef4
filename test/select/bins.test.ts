import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { native } from '#lib/native.js';
import type { Progress } from '#lib/progress.js';
import { partition } from '#lib/select/bins.js';
import { naivePartition } from '#lib/select/naive.js';
import type { Gain, Partition, Remainder } from '#lib/select/types.js';
import { cloud, clouds } from './data.js';
import { oracle } from './oracle.js';

const GAINS: Gain[] = ['sqeuclidean', 'cosine'];
const levels = native().cpu().available;

/** Rows, features, bins: all paths of the arithmetic, remainders, and the ends of the ranges. */
const SHAPES: [rows: number, cols: number, bins: number][] = [
  [40, 8, 4],
  [37, 5, 6],
  [23, 1, 3],
  [12, 33, 12],
  [19, 16, 1],
  [1, 3, 1],
];

function expectOrder(result: Partition, { order, bins }: { order: number[]; bins: number[] }): void {
  expect([...result.order]).toEqual(order);
  expect([...result.bins]).toEqual(bins);
}

describe('the order is that of exact arithmetic', () => {
  describe.each(Object.keys(clouds))('%s', (name) => {
    test.each(GAINS)('%s', async (gain) => {
      for (const type of ['float32', 'float64'] as const) {
        for (const [i, [rows, cols, bins]] of SHAPES.entries()) {
          const matrix = cloud(name, 100 + i, rows, cols, type);
          for (const remainder of ['spread', 'drop'] as const) {
            const expected = oracle(matrix, { bins, gain, remainder });
            for (const threads of [1, 2, 7]) {
              expectOrder(await partition(matrix, { bins, gain, remainder, threads }), expected);
            }
          }
        }
      }
    });
  });

  test.each(levels)('on every SIMD level: %s', async (simd) => {
    for (const name of Object.keys(clouds)) {
      for (const gain of GAINS) {
        const matrix = cloud(name, 7, 31, 19);
        const { data, rows, cols } = matrix;
        const control = new Int32Array(new SharedArrayBuffer(8));
        const job = { data, rows, cols, bins: 4, gain, remainder: 'spread' as const, threads: 2, simd, control };
        const result = await native().greedyBins(job);
        expect(result.simd).toBe(simd);
        const expected = oracle(matrix, { bins: 4, gain });
        expect([name, gain, ...result.order]).toEqual([name, gain, ...expected.order]);
      }
    }
  });

  test.each(['isotropic', 'embeddingLike', 'mixture', 'sphere', 'farFromOrigin', 'huge', 'tiny'])(
    'cosine of %s: rounding the unit vectors to float64 does not change the real order',
    async (name) => {
      for (let seed = 0; seed < 4; seed++) {
        const matrix = cloud(name, seed, 40, 6);
        const real = oracle(matrix, { bins: 4, gain: 'cosine', realCosine: true });
        expectOrder(await partition(matrix, { bins: 4, gain: 'cosine' }), real);
      }
    },
  );

  test('ties do occur in these data, so that the lowest row is really asked for', () => {
    for (const name of ['duplicates', 'allEqual', 'integerGrid', 'nearTies', 'zeros']) {
      expect([name, oracle(cloud(name, 100, 40, 8), { bins: 4, gain: 'sqeuclidean' }).ties > 0]).toEqual([name, true]);
    }
  });
});

test('float64 values beyond the range of their squares', async () => {
  for (const power of [-1060, -700, -399, 390, 410, 1000]) {
    for (const gain of GAINS) {
      const matrix = cloud('isotropic', 11, 24, 3, 'float64');
      for (let i = 0; i < matrix.data.length; i++) matrix.data[i]! *= 2 ** (power / 2) * 2 ** (power / 2);
      expectOrder(await partition(matrix, { bins: 3, gain }), oracle(matrix, { bins: 3, gain }));
    }
  }
});

describe('larger data', () => {
  test.each(['isotropic', 'embeddingLike', 'mixture', 'sphere'])(
    '%s: same as the float64 twin, for both gains',
    async (name) => {
      for (const gain of GAINS) {
        const matrix = cloud(name, 1, 600, 48);
        const twin = naivePartition(matrix, { bins: 7, gain });
        const result = await partition(matrix, { bins: 7, gain });
        expectOrder(result, { order: [...twin.order], bins: [...twin.bins] });
        const scale = Math.max(...twin.gains.map(Math.abs));
        for (const [i, value] of result.gains.entries())
          expect(Math.abs(value - twin.gains[i]!)).toBeLessThan(1e-10 * scale);
      }
    },
  );

  test('equal for 1, 2 and 7 threads and on every SIMD level, 1,500 x 96', async () => {
    const matrix = cloud('embeddingLike', 5, 1500, 96);
    const results: number[][] = [];
    for (const simd of levels) {
      for (const threads of [1, 2, 7]) {
        const control = new Int32Array(new SharedArrayBuffer(8));
        const job = { ...matrix, bins: 10, gain: 'sqeuclidean' as const, remainder: 'spread' as const };
        const result = await native().greedyBins({ ...job, threads, simd, control });
        expect(result.threads).toBe(threads);
        results.push([...result.order]);
      }
    }
    for (const order of results) expect(order).toEqual(results[0]);
  });
});

test('gains are those of the formula', async () => {
  for (const gain of GAINS) {
    for (const name of ['isotropic', 'huge', 'someZeroRows', 'integerGrid']) {
      const matrix = cloud(name, 3, 30, 6);
      const { gains, order } = await partition(matrix, { bins: 3, gain });
      const twin = naivePartition(matrix, { bins: 3, gain });
      if (name !== 'integerGrid' && name !== 'someZeroRows') expect(order).toEqual(twin.order);
      const scale = Math.max(...twin.gains.map(Math.abs));
      for (const [i, value] of gains.entries())
        expect(Math.abs(value - twin.gains[i]!)).toBeLessThanOrEqual(1e-11 * scale);
    }
  }
  const matrix = cloud('isotropic', 3, 30, 6);
  const exact = oracle(matrix, { bins: 3, gain: 'sqeuclidean' });
  const { gains } = await partition(matrix, { bins: 3, gain: 'sqeuclidean' });
  for (const [i, value] of gains.entries()) expect(value / (Number(exact.gains[i]) * exact.unit)).toBeCloseTo(1, 12);
});

test("the paper's code: its bins and its order (golden/multimae-paper/dq_bins)", async () => {
  const file = readFileSync(new URL('../golden/select/dq_bins.safetensors', import.meta.url));
  const headerLength = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const bytes = (name: string) => {
    const [from, to] = header[name]!.data_offsets;
    return new Uint8Array(file.subarray(8 + headerLength + from, 8 + headerLength + to)).buffer;
  };
  const [rows, cols] = header.embeddings!.shape as [number, number];
  const [bins, size] = header.bins_greedy_order!.shape as [number, number];
  const order = [...new BigInt64Array(bytes('bins_greedy_order'))].map(Number);
  const sorted = [...new BigInt64Array(bytes('bins_sorted'))].map(Number);
  const matrix = { data: new Float32Array(bytes('embeddings')), rows, cols };
  const result = await partition(matrix, { bins, gain: 'cosine', remainder: 'drop' });
  expect([...result.order]).toEqual(order);
  for (let bin = 0; bin < bins; bin++) {
    const members = [...result.bins.keys()].filter((row) => result.bins[row] === bin);
    expect(members).toEqual(sorted.slice(bin * size, (bin + 1) * size));
  }
});

describe('shape of the result', () => {
  test.each<[Remainder, number[]]>([
    ['spread', [5, 5, 5, 4, 4]],
    ['drop', [4, 4, 4, 4, 4]],
  ])('%s: bins of %j from 23 rows', async (remainder, sizes) => {
    const { bins, order, gains, binCount, engine } = await partition(cloud('isotropic', 1, 23, 4), {
      bins: 5,
      remainder,
    });
    expect(binCount).toBe(5);
    expect(sizes.map((_, bin) => bins.filter((b) => b === bin).length)).toEqual(sizes);
    expect([...order].map((row) => bins[row])).toEqual(sizes.flatMap((size, bin) => new Array(size).fill(bin)));
    expect(new Set(order).size).toBe(order.length);
    expect(gains).toHaveLength(order.length);
    expect(bins.filter((bin) => bin === -1)).toHaveLength(23 - order.length);
    expect(engine).toMatchObject({ simd: levels[0], threads: native().cpu().threads });
    expect(engine.dotProducts).toBeGreaterThan(0);
  });

  test('a plain ArrayBuffer, a view into one, and shared memory give the same', async () => {
    const shared = cloud('mixture', 2, 500, 40);
    const data = new Float32Array(shared.data.length + 3).subarray(3);
    data.set(shared.data as Float32Array);
    const [a, b] = await Promise.all([shared, { ...shared, data }].map((matrix) => partition(matrix, { bins: 5 })));
    expect(a!.order).toEqual(b!.order);
  });

  test('reports progress, upwards, and once at the end', async () => {
    const seen: Progress[] = [];
    const matrix = cloud('isotropic', 1, 12_000, 64);
    await partition(matrix, { bins: 10, threads: 1, engine: 'sweep', onProgress: (progress) => seen.push(progress) });
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toEqual({ stage: 'select', done: 12_000, total: 12_000, unit: 'points' });
    expect(seen.filter(({ done }) => done === 12_000)).toHaveLength(1);
    for (let i = 1; i < seen.length; i++) expect(seen[i]!.done).toBeGreaterThan(seen[i - 1]!.done);
  });

  test('an error in the progress callback is the error of the call', async () => {
    const onProgress = () => {
      throw new Error('cannot draw the bar');
    };
    const call = partition(cloud('isotropic', 1, 12_000, 64), { bins: 10, threads: 1, onProgress });
    await expect(call).rejects.toThrow('cannot draw the bar');
  });
});

describe('refuses', () => {
  const good: EmbeddingMatrix = cloud('isotropic', 1, 6, 2);
  const bad = (matrix: unknown, options: unknown = { bins: 2 }) =>
    expect(partition(matrix as EmbeddingMatrix, options as { bins: number })).rejects;

  test.each([
    [undefined, 'ERR_INVALID_ARG_TYPE', '`embeddings` must be an EmbeddingMatrix'],
    [{ ...good, data: [1, 2] }, 'ERR_INVALID_ARG_TYPE', '`embeddings.data` must be a Float32Array or Float64Array'],
    [{ ...good, data: new Int32Array(12) }, 'ERR_INVALID_ARG_TYPE', '`embeddings.data`'],
    [{ ...good, rows: 0 }, 'ERR_OUT_OF_RANGE', '`embeddings.rows` must be an integer in 1..'],
    [{ ...good, rows: 2.5 }, 'ERR_OUT_OF_RANGE', '`embeddings.rows`'],
    [{ ...good, rows: 2 ** 31 }, 'ERR_OUT_OF_RANGE', '`embeddings.rows`'],
    [{ ...good, cols: '2' }, 'ERR_INVALID_ARG_TYPE', '`embeddings.cols`'],
    [
      { ...good, rows: 5 },
      'ERR_OUT_OF_RANGE',
      '`embeddings.data.length` must be rows * cols = 5 * 2 = 10, but it is 12',
    ],
  ])('matrix %#', async (matrix, code, message) => {
    await bad(matrix).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test.each([
    [{ bins: 0 }, '`bins` must be an integer in 1..6, but it is 0.'],
    [{ bins: 7 }, '`bins` must be an integer in 1..6, but it is 7.'],
    [{ bins: 1.5 }, '`bins`'],
    [{}, '`bins` must be an integer in 1..6, but it is undefined'],
    [{ bins: 2, gain: 'euclid' }, '`gain` must be one of sqeuclidean, cosine, but it is "euclid".'],
    [{ bins: 2, remainder: 'keep' }, '`remainder` must be one of spread, drop'],
    [{ bins: 2, threads: -1 }, '`threads`'],
    [{ bins: 2, threads: 1e9 }, '`threads`'],
  ])('options %j', async (options, message) => {
    await bad(good, options).toThrow(message);
  });

  test.each([
    ['float32', Number.NaN],
    ['float32', Number.POSITIVE_INFINITY],
    ['float64', Number.NEGATIVE_INFINITY],
  ] as const)('%s %d, naming row and column', async (type, value) => {
    for (const gain of GAINS) {
      const matrix = cloud('isotropic', 1, 100, 7, type);
      matrix.data[53 * 7 + 4] = value;
      await expect(partition(matrix, { bins: 3, gain }, 'X.npy')).rejects.toMatchObject({
        name: 'DataError',
        code: 'ERR_NOT_FINITE',
        message: expect.stringMatching(new RegExp(`^X\\.npy has ${value} in row 53, column 4 .*Remove or repair`)),
      });
    }
  });
});
