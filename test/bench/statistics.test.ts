import { expect, test } from 'vitest';
import { exponentOf, spreadOf, sweepShare } from '#lib/bench/statistics.js';

test('median of odd and even counts, smallest and largest', () => {
  expect(spreadOf([3])).toEqual({ median: 3, min: 3, max: 3 });
  expect(spreadOf([10, 2, 9])).toEqual({ median: 9, min: 2, max: 10 });
  expect(spreadOf([10, 2, 9, 1])).toEqual({ median: 5.5, min: 1, max: 10 });
});

test('the exponent of a power law is found, whatever its factor', () => {
  const points = [100, 250, 4000].map((n) => [n, 3e-7 * n ** 1.42] as const);
  expect(exponentOf(points)).toBeCloseTo(1.42, 10);
});

test('least squares: points off the line weigh as in the normal equation', () => {
  const points = [
    [1, 1],
    [Math.E, Math.E],
    [Math.E ** 2, Math.E ** 5],
  ] as const;
  expect(exponentOf(points)).toBeCloseTo(2.5, 10); // slope of (0,0), (1,1), (2,5)
});

test('no exponent without two different N', () => {
  expect(exponentOf([])).toBeUndefined();
  expect(exponentOf([[5, 1]])).toBeUndefined();
  expect(
    exponentOf([
      [5, 1],
      [5, 2],
    ]),
  ).toBeUndefined();
});

test('the share of a sweep is what counting its rows gives', () => {
  let done = 0;
  let all = 0;
  for (let t = 0; t < 95; t++) {
    if (t < 20) done += 97 - t;
    all += 97 - t;
  }
  expect(sweepShare(97, 95, 20)).toBeCloseTo(done / all, 12);
  expect(sweepShare(97, 95, 95)).toBe(1);
});
