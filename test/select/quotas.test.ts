import { describe, expect, test } from 'vitest';
import { quotas } from '#lib/select/quotas.js';
import { below, stream } from '#lib/select/random.js';

const open = (...sizes: number[]) => sizes.map((size) => ({ size, low: 0, high: size }));

describe('without bounds: largest remainder', () => {
  test.each<[number, number[], number[]]>([
    [10, [10, 10, 10, 10, 10], [2, 2, 2, 2, 2]],
    [12, [10, 10, 10, 10, 10], [3, 3, 2, 2, 2]], // ties to the lowest bin
    [1, [10, 10, 10], [1, 0, 0]],
    [29, [10, 10, 10], [10, 10, 9]],
    [10, [6, 3, 1], [6, 3, 1]],
    [5, [6, 3, 1], [3, 2, 0]], // shares 3, 1.5, 0.5: the tie goes to bin 1
    [4, [7, 7, 6], [2, 1, 1]], // shares 1.4, 1.4, 1.2
    [0, [4, 4], [0, 0]],
  ])('%d of %j: %j', (total, sizes, expected) => {
    expect(quotas(total, open(...sizes))).toEqual(expected);
  });

  test('exact where doubles are not: products beyond 2^53', () => {
    // shares 2^30 + 0.5 -+ 2^-32: a double cannot tell the fractions apart, and would give the row to bin 0
    const [a, b] = [2 ** 31 - 2, 2 ** 31];
    expect(quotas(2 ** 31 - 1, open(a, b))).toEqual([2 ** 30 - 1, 2 ** 30]);
    expect(quotas(2 ** 31 + 1, open(a, b))).toEqual([2 ** 30, 2 ** 30 + 1]);
  });
});

describe('with bounds', () => {
  test('rows that must be drawn count towards the quota of their bin', () => {
    expect(
      quotas(10, [
        { size: 20, low: 3, high: 20 },
        { size: 20, low: 0, high: 20 },
      ]),
    ).toEqual([5, 5]);
  });

  test('what a bin must give beyond its share, the others give less, evenly', () => {
    expect(
      quotas(12, [
        { size: 20, low: 9, high: 20 },
        { size: 20, low: 0, high: 20 },
        { size: 20, low: 0, high: 20 },
      ]),
    ).toEqual([9, 2, 1]);
  });

  test('what a bin lacks comes from the bins with room, evenly', () => {
    expect(
      quotas(12, [
        { size: 20, low: 0, high: 1 },
        { size: 20, low: 0, high: 20 },
        { size: 20, low: 0, high: 20 },
      ]),
    ).toEqual([1, 6, 5]);
  });
});

test('1,000 random cases: the total, the bounds, and no unfairness that the bounds do not force', () => {
  const words = stream(3, 0);
  for (let round = 0; round < 1000; round++) {
    const shares = Array.from({ length: 1 + below(words, 12) }, () => {
      const size = 1 + below(words, 30);
      const high = below(words, size + 1);
      return { size, low: below(words, high + 1), high };
    });
    const low = shares.reduce((sum, share) => sum + share.low, 0);
    const high = shares.reduce((sum, share) => sum + share.high, 0);
    const rows = shares.reduce((sum, share) => sum + share.size, 0);
    const total = low + below(words, high - low + 1);
    const result = quotas(total, shares);
    expect(result.reduce((sum, quota) => sum + quota, 0)).toBe(total);
    for (const [i, a] of shares.entries()) {
      expect(result[i]).toBeGreaterThanOrEqual(a.low);
      expect(result[i]).toBeLessThanOrEqual(a.high);
      for (const [j, b] of shares.entries()) {
        // If bin i could give a row more and bin j one less, bin j is not further above its share than i would be then.
        if (i === j || result[i] === a.high || result[j] === b.low) continue;
        const excess = (bin: number, quota: number) => quota - (total * shares[bin]!.size) / rows;
        expect(excess(j, result[j]!)).toBeLessThanOrEqual(excess(i, result[i]! + 1) + 1e-9);
      }
    }
  }
});
