import { describe, expect, test } from 'vitest';
import { type DrawOptions, draw, parseBudget } from '#lib/select/draw.js';
import { below, stream } from '#lib/select/random.js';
import type { Partition } from '#lib/select/types.js';

/** A partition of `rows` rows into bins of the given sizes, rows shuffled, the rest in no bin. */
function bins(rows: number, sizes: number[]): Partition {
  const words = stream(99, 0);
  const shuffled = Int32Array.from({ length: rows }, (_, i) => i);
  for (let i = rows - 1; i > 0; i--) {
    const j = below(words, i + 1);
    [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
  }
  const order = shuffled.slice(
    0,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const binOf = new Int32Array(rows).fill(-1);
  let at = 0;
  for (const [bin, size] of sizes.entries()) for (let i = 0; i < size; i++) binOf[order[at++]!] = bin;
  const engine = {
    name: 'test',
    device: 'cpu',
    simd: '',
    threads: 1,
    seconds: 0,
    dotProducts: 0,
    float64Decisions: 0,
    exactDecisions: 0,
  };
  return { bins: binOf, order, gains: new Float64Array(order.length), binCount: sizes.length, engine };
}

const perBin = ({ bins, binCount }: Partition, rows: Int32Array) =>
  Array.from({ length: binCount }, (_, bin) => rows.filter((row) => bins[row] === bin).length);

const hundred = bins(100, [20, 20, 20, 20, 20]);

describe('parseBudget', () => {
  test.each<[number | string, number, number]>([
    [0.2, 100, 20],
    ['0.2', 100, 20],
    ['20%', 100, 20],
    ['20 %', 100, 20],
    [' 12.5% ', 1000, 125],
    [20, 100, 20],
    ['20', 100, 20],
    [1, 100, 1],
    ['1', 100, 1],
    ['100%', 100, 100],
    [100, 100, 100],
    [1e-9, 100, 1], // at least one row
    ['0.0001%', 100, 1],
    [0.29, 100, 29], // 0.29 * 100 = 28.999999999999996
    [0.125, 100, 13], // 12.5: half up
    ['.5', 10, 5],
    ['2e3', 5000, 2000],
    [0.999999, 100, 100],
  ])('%j of %d rows: %d', (budget, rows, expected) => {
    expect(parseBudget(budget, rows)).toBe(expected);
  });

  test.each([0, -0.1, -5, 101, 1.5, '0', '0%', '101%', '-20%', '20%%', '%', '', ' ', 'all', '0x10', '1,000', '1.5'])(
    'refuses %j of 100 rows',
    (budget) => {
      expect(() => parseBudget(budget, 100)).toThrow(
        expect.objectContaining({
          code: 'ERR_OUT_OF_RANGE',
          message: expect.stringMatching(
            /^`budget` must be a fraction in \(0, 1\), a percentage .* in 1\.\.100, but it is /,
          ),
        }),
      );
    },
  );

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('refuses %d', (budget) => {
    expect(() => parseBudget(budget, 100)).toThrow(RangeError);
  });

  test.each([undefined, null, [20], 20n])('refuses the type of %s', (budget) => {
    expect(() => parseBudget(budget as unknown as number, 100)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
    );
  });
});

describe('draw', () => {
  test('never changes: golden rows for a seed', () => {
    // From a port of the draw to Python.
    expect([...draw(hundred, { budget: 10, seed: 7 }).rows]).toEqual([5, 63, 2, 57, 35, 73, 69, 18, 75, 74]);
    expect([...draw(bins(11, [4, 4, 3]), { budget: '50%' }).rows]).toEqual([4, 9, 8, 6, 3, 7]);
  });

  test.each([1, 2, 5, 17, 50, 99, 100])(
    '%d rows: exactly that many, without repetition, in the order of the partition',
    (budget) => {
      const { rows, seed, partition } = draw(hundred, { budget, seed: 3 });
      expect(rows).toBeInstanceOf(Int32Array);
      expect(rows).toHaveLength(budget);
      expect(new Set(rows).size).toBe(budget);
      const places = [...rows].map((row) => hundred.order.indexOf(row));
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(seed).toBe(3);
      expect(partition).toBe(hundred);
    },
  );

  test('bins give in proportion to their size', () => {
    expect(perBin(hundred, draw(hundred, { budget: 20 }).rows)).toEqual([4, 4, 4, 4, 4]);
    expect(perBin(hundred, draw(hundred, { budget: 0.22 }).rows)).toEqual([5, 5, 4, 4, 4]);
    const uneven = bins(60, [30, 20, 10]);
    expect(perBin(uneven, draw(uneven, { budget: 12 }).rows)).toEqual([6, 4, 2]);
  });

  test('the same seed gives the same rows, another seed others', () => {
    const rows = (seed: number) => [...draw(hundred, { budget: 20, seed }).rows].join();
    expect(rows(1)).toBe(rows(1));
    expect(new Set(Array.from({ length: 100 }, (_, seed) => rows(seed))).size).toBe(100);
    expect([...draw(hundred, { budget: 20 }).rows].join()).toBe(rows(0));
  });

  test('every row of a bin is drawn equally often over many seeds (chi-square), and so is every pair', () => {
    const partition = bins(30, [10, 10, 10]);
    const rounds = 6000;
    const counts = new Array<number>(30).fill(0);
    const pairs = new Map<string, number>();
    for (let seed = 0; seed < rounds; seed++) {
      const { rows } = draw(partition, { budget: 9, seed });
      for (const row of rows) counts[row]!++;
      const first = [...rows].filter((row) => partition.bins[row] === 0);
      for (const a of first)
        for (const b of first) if (a < b) pairs.set(`${a},${b}`, (pairs.get(`${a},${b}`) ?? 0) + 1);
    }
    // In a bin, sum (count - np)^2 / (np(1 - p)) * 9/10 is chi-square of 9 degrees: the ten counts always sum to 3 n.
    const expected = rounds * 0.3;
    const chiSquare = counts.reduce((sum, count) => sum + (count - expected) ** 2 / (rounds * 0.3 * 0.7), 0) * 0.9;
    expect(chiSquare).toBeLessThan(55.48); // 27 degrees of freedom, p = 0.001
    expect(pairs.size).toBe(45);
    for (const count of pairs.values())
      expect(Math.abs(count - rounds / 15)).toBeLessThan(4.5 * Math.sqrt(rounds / 15));
  });

  test('a larger budget keeps what a smaller one drew', () => {
    const small = new Set(draw(hundred, { budget: 20, seed: 5 }).rows);
    const large = new Set(draw(hundred, { budget: 50, seed: 5 }).rows);
    for (const row of small) expect(large).toContain(row);
  });

  test('another bin changes nothing in the ones before', () => {
    const { order, bins: binOf } = hundred;
    const four = { ...hundred, order: order.slice(0, 80), binCount: 4 };
    const kept = Int32Array.from(binOf, (bin) => (bin === 4 ? -1 : bin));
    const some = draw({ ...four, bins: kept }, { budget: 40, seed: 2 }).rows;
    const all = draw(hundred, { budget: 50, seed: 2 }).rows;
    expect([...all.slice(0, 40)]).toEqual([...some]);
  });
});

describe('include and exclude', () => {
  const member = (bin: number, nth: number) => hundred.order[20 * bin + nth]!;

  test('included rows are there and count towards the quota of their bin', () => {
    const include = [member(2, 0), member(2, 5), member(4, 19)];
    for (let seed = 0; seed < 50; seed++) {
      const { rows } = draw(hundred, { budget: 20, seed, include });
      expect(rows).toHaveLength(20);
      for (const row of include) expect(rows).toContain(row);
      expect(perBin(hundred, rows)).toEqual([4, 4, 4, 4, 4]);
    }
  });

  test('excluded rows never are', () => {
    const exclude = Int32Array.from({ length: 10 }, (_, i) => member(1, i));
    for (let seed = 0; seed < 200; seed++) {
      const { rows } = draw(hundred, { budget: 20, seed, exclude });
      expect(rows.filter((row) => exclude.includes(row))).toHaveLength(0);
      expect(perBin(hundred, rows)).toEqual([4, 4, 4, 4, 4]);
    }
  });

  test('the exclusion of a row that was not drawn changes nothing', () => {
    const before = draw(hundred, { budget: 20, seed: 9 }).rows;
    const idle = hundred.order.filter((row) => !before.includes(row)).slice(0, 30);
    expect(draw(hundred, { budget: 20, seed: 9, exclude: idle }).rows).toEqual(before);
  });

  test('a bin without enough rows is made up for by the others', () => {
    const exclude = [...hundred.order.slice(20, 39)];
    expect(perBin(hundred, draw(hundred, { budget: 50, exclude }).rows)).toEqual([13, 1, 12, 12, 12]);
  });

  test('more included rows in a bin than its quota: the others give less', () => {
    const include = [...hundred.order.slice(0, 12)];
    expect(perBin(hundred, draw(hundred, { budget: 20, include }).rows)).toEqual([12, 2, 2, 2, 2]);
  });

  test('everything can be included, or all that is left after exclusion drawn', () => {
    expect(draw(hundred, { budget: 100, include: hundred.order }).rows).toEqual(hundred.order);
    const exclude = [...hundred.order.slice(0, 30)];
    expect([...draw(hundred, { budget: 70, exclude }).rows]).toEqual([...hundred.order.slice(30)]);
  });

  test('rows in no bin are drawn only if they are included; they come last', () => {
    const dropped = bins(23, [7, 7, 7]);
    const outside = [...dropped.bins.keys()].filter((row) => dropped.bins[row] === -1);
    expect(outside).toHaveLength(2);
    for (let seed = 0; seed < 50; seed++) {
      expect(draw(dropped, { budget: 21, seed }).rows).toEqual(dropped.order);
    }
    const { rows } = draw(dropped, { budget: 8, include: outside.toReversed() });
    expect([...rows.slice(-2)]).toEqual(outside);
    expect(perBin(dropped, rows)).toEqual([2, 2, 2]);
  });

  test.each<[DrawOptions, string]>([
    [{ budget: 20, include: [100] }, '`include[0]` must be an integer in 0..99, but it is 100.'],
    [{ budget: 20, exclude: [3, -1] }, '`exclude[1]` must be an integer in 0..99, but it is -1.'],
    [{ budget: 20, include: [1.5] }, '`include[0]` must be an integer'],
    [{ budget: 20, include: ['a'] as unknown as number[] }, '`include[0]` must be an integer'],
    [{ budget: 20, include: 5 as unknown as number[] }, '`include` must be a list of row numbers'],
    [{ budget: 20, include: [4, 5, 4] }, '`include[2]` must be a row that is not in the list before, but it is 4.'],
    [
      { budget: 20, include: [4], exclude: [4] },
      '`exclude[0]` must be a row that is not in `include` as well, but it is 4.',
    ],
    [
      { budget: 2, include: [1, 2, 3] },
      '`include` must be at most as many rows as the budget (2), but it is "3 rows".',
    ],
    [
      { budget: 99, exclude: [1, 2] },
      '`budget` must be at most 98, the number of rows that are not excluded, but it is 99.',
    ],
    [{ budget: 20, seed: -1 }, '`seed` must be an integer >= 0, but it is -1.'],
    [{ budget: 20, seed: 0.5 }, '`seed`'],
  ])('refuses %j', (options, message) => {
    expect(() => draw(hundred, options)).toThrow(message);
  });

  test('refuses a budget that only rows in no bin could fill', () => {
    expect(() => draw(bins(23, [7, 7, 7]), { budget: 22 })).toThrow(
      '`budget` must be at most 21, the number of rows that are in a bin and not excluded, but it is 22.',
    );
  });
});
