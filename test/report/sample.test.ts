import { expect, it } from 'vitest';
import { randomSubset, spread } from '#lib/report/sample.js';

it('spreads evenly with both ends, or takes all', () => {
  expect(spread(3, 5)).toEqual([0, 1, 2]);
  expect(spread(11, 3)).toEqual([0, 5, 10]);
  expect(spread(9, 1)).toEqual([0]);
  expect(spread(0, 4)).toEqual([]);
  const many = spread(1000, 37);
  expect(new Set(many).size).toBe(37);
  expect([many[0], many.at(-1)]).toEqual([0, 999]);
});

it('draws exactly as many rows as asked, only such as are kept, ascending, the same each time', () => {
  const odd = (row: number) => row % 2 === 1;
  const subset = randomSubset(10_001, odd, 5000, 700);
  expect(subset).toHaveLength(700);
  expect(subset.every(odd)).toBe(true);
  expect([...subset].sort((a, b) => a - b)).toEqual(subset);
  expect(new Set(subset).size).toBe(700);
  expect(randomSubset(10_001, odd, 5000, 700)).toEqual(subset);
  expect(randomSubset(10_001, odd, 5000, 5000)).toHaveLength(5000);
  expect(randomSubset(10, odd, 5, 0)).toEqual([]);
});

it('draws rows of all parts alike', () => {
  const subset = randomSubset(100_000, () => true, 100_000, 10_000);
  // Hypergeometric with a standard deviation of 28.5 about 1000: six of them.
  for (let part = 0; part < 10; part++) {
    const count = subset.filter((row) => Math.floor(row / 10_000) === part).length;
    expect(Math.abs(count - 1000)).toBeLessThan(171);
  }
});
