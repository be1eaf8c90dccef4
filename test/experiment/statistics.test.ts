import { expect, test } from 'vitest';
import {
  detectable,
  deviation,
  expectedLargest,
  holm,
  interval,
  normalCdf,
  normalQuantile,
  signFlip,
  studentCdf,
  studentQuantile,
} from '#lib/experiment/statistics.js';

// Figures of this file were computed with SciPy 1.17.

const TEN = [0.031, -0.012, 0.044, 0.027, 0.065, -0.003, 0.018, 0.112, 0.039, 0.022];
const FIVE = TEN.slice(0, 5);

test('normal and Student distributions', () => {
  for (const [x, p] of [
    [-3, 0.00134989803163],
    [-1, 0.158655253931],
    [0, 0.5],
    [0.5, 0.691462461274],
    [1.96, 0.97500210485178],
    [5, 0.99999971334843],
  ] as const) {
    expect(normalCdf(x)).toBeCloseTo(p, 12);
    expect(normalQuantile(p)).toBeCloseTo(x, 5);
  }
  expect([normalCdf(-9), normalCdf(9)]).toEqual([0, 1]);
  for (const [t, freedom, p] of [
    [1, 1, 0.75],
    [2, 2, 0.90824829],
    [2.5, 3, 0.956146676],
    [0.7, 4, 0.738749917],
    [1.96, 9, 0.959177797],
    [3, 30, 0.997305018],
  ] as const)
    expect(studentCdf(t, freedom)).toBeCloseTo(p, 8);
  for (const [freedom, p80, p975] of [
    [1, 1.376382, 12.706205],
    [2, 1.06066, 4.302653],
    [3, 0.978472, 3.182446],
    [4, 0.940965, 2.776445],
    [7, 0.89603, 2.364624],
    [30, 0.853767, 2.042272],
  ] as const) {
    expect(studentQuantile(0.8, freedom)).toBeCloseTo(p80, 5);
    expect(studentQuantile(0.975, freedom)).toBeCloseTo(p975, 5);
  }
});

test('few values: the interval of Student', () => {
  const { mean, low, high } = interval(FIVE, 0);
  expect(mean).toBeCloseTo(0.031, 12);
  expect(low).toBeCloseTo(-0.00406464, 8);
  expect(high).toBeCloseTo(0.06606464, 8);
});

test('eight values and more: the BCa bootstrap, to the noise of 10,000 resamples, the same for equal seeds', () => {
  const { mean, low, high } = interval(TEN, 3);
  expect(mean).toBeCloseTo(0.0343, 12);
  // Of 2,000,000 resamples: 0.0176 to 0.0604; the plain percentile interval ends at 0.0530.
  expect(Math.abs(low - 0.0176)).toBeLessThan(0.001);
  expect(Math.abs(high - 0.0604)).toBeLessThan(0.002);
  expect(interval(TEN, 3)).toEqual({ mean, low, high });
  // Mirrored values have the mirrored interval.
  const mirrored = interval(
    TEN.map((value) => -value),
    3,
  );
  expect(mirrored.low).toBeCloseTo(-high, 2);
  expect(mirrored.high).toBeCloseTo(-low, 2);
});

test('where there is nothing to say: one value, equal values, values that are not finite', () => {
  expect(interval([2], 0)).toEqual({ mean: 2, low: -Infinity, high: Infinity });
  expect(interval([2, 2, 2], 0)).toEqual({ mean: 2, low: 2, high: 2 });
  for (const count of [3, 9]) {
    const { low, high } = interval([...new Array(count - 1).fill(1), Infinity], 0);
    expect([low, high]).toEqual([NaN, NaN]);
  }
});

test('sign flips: all patterns, exactly', () => {
  expect(signFlip([1, 1, 1], 0)).toBe(2 / 8);
  // Sums 5, 3, 3, 1 and their negatives; seen is 3.
  expect(signFlip([3, -1, 1], 0)).toBe(6 / 8);
  expect(signFlip([0, 0], 0)).toBe(1);
  expect(signFlip([1], 0)).toBe(1);
  expect(signFlip(TEN, 0)).toBe(8 / 1024);
});

test('sign flips: of many differences a seeded part, close to the exact p', () => {
  const many = Array.from({ length: 20 }, (_, i) => (i % 10 === 0 ? -1 : 1));
  // P(at least 18 of 20 signs alike) by the binomial distribution.
  const exact = (2 * (1 + 20 + 190)) / 2 ** 20;
  const p = signFlip(many, 1);
  expect(Math.abs(p - exact)).toBeLessThan(2e-4);
  expect(signFlip(many, 1)).toBe(p);
});

test('Holm', () => {
  const corrected = holm([0.01, 0.04, 0.03, 0.005]);
  for (const [i, p] of [0.03, 0.06, 0.06, 0.02].entries()) expect(corrected[i]).toBeCloseTo(p, 12);
  expect(holm([0.6, 0.9])).toEqual([1, 1]);
  expect(holm([])).toEqual([]);
});

test('what so many differences can detect', () => {
  expect(deviation(FIVE)).toBeCloseTo(0.0282400425, 10);
  expect(detectable(FIVE)).toBeCloseTo(0.046948397, 8);
  expect(detectable([1])).toBe(Infinity);
});

test('the best of m numbers without an effect', () => {
  for (const [count, expected] of [
    [1, 0],
    [2, 0.5641895835],
    [3, 0.8462843753],
    [5, 1.1629644736],
    [12, 1.6292276399],
  ] as const)
    expect(expectedLargest(count)).toBeCloseTo(expected, 4);
});
