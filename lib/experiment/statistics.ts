/** Statistics of paired differences, few and honest. */
import { stream } from '../select/random.js';
import type { Interval } from './types.js';

const RESAMPLES = 10_000;
/** Up to this many differences all sign patterns are tried. */
const EXACT_SIGNS = 16;

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Standard deviation of a sample (n - 1). */
export function deviation(values: readonly number[]): number {
  const centre = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1));
}

/**
 * Mean with its 95 % interval by the bias-corrected and accelerated bootstrap (Efron 1987), 10,000 seeded resamples. With
 * few values the bootstrap is too narrow, so below eight the interval is Student's, which assumes normal differences; with
 * one value there is no interval: both ends are infinite.
 */
export function interval(values: readonly number[], seed: number): Interval {
  const centre = mean(values);
  const n = values.length;
  if (n < 2) return { mean: centre, low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
  if (!values.every(Number.isFinite)) return { mean: centre, low: Number.NaN, high: Number.NaN };
  if (values.every((value) => value === values[0])) return { mean: centre, low: centre, high: centre };
  if (n < 8) {
    const half = (studentQuantile(0.975, n - 1) * deviation(values)) / Math.sqrt(n);
    return { mean: centre, low: centre - half, high: centre + half };
  }
  const random = stream(seed, 1);
  const means = Float64Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[Math.floor(random() * 2 ** -32 * n)]!;
    return sum / n;
  }).sort();
  const below = means.filter((value) => value < centre).length / RESAMPLES;
  const bias = normalQuantile(Math.min(Math.max(below, 0.5 / RESAMPLES), 1 - 0.5 / RESAMPLES));
  // Jackknife: the mean without value i differs from the mean by (mean - value) / (n - 1).
  const cubes = values.reduce((sum, value) => sum + (value - centre) ** 3, 0);
  const squares = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  const acceleration = cubes / (6 * squares ** 1.5);
  const at = (quantile: number) => {
    const z = bias + normalQuantile(quantile);
    const corrected = normalCdf(bias + z / (1 - acceleration * z));
    return means[Math.min(RESAMPLES - 1, Math.max(0, Math.floor(corrected * RESAMPLES)))]!;
  };
  return { mean: centre, low: at(0.025), high: at(0.975) };
}

/**
 * Two-sided p of the sign-flip test of "the differences are symmetric about 0": the share of all 2^n sign patterns whose
 * |mean| is at least that seen; beyond 16 differences of 65,536 seeded ones. With n differences p cannot be below 2 / 2^n.
 */
export function signFlip(differences: readonly number[], seed: number): number {
  const n = differences.length;
  const seen = Math.abs(differences.reduce((sum, value) => sum + value, 0)) * (1 - 1e-12);
  const exact = n <= EXACT_SIGNS;
  const random = stream(seed, 2);
  const patterns = exact ? 2 ** n : 2 ** EXACT_SIGNS;
  let extreme = 0;
  for (let pattern = 0; pattern < patterns; pattern++) {
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const flip = exact ? (pattern >> i) & 1 : random() & 1;
      sum += flip ? -differences[i]! : differences[i]!;
    }
    if (Math.abs(sum) >= seen) extreme++;
  }
  return exact ? extreme / patterns : (extreme + 1) / (patterns + 1);
}

/** Holm's correction (1979): p values of a family, such that the chance of any false find stays below the level. */
export function holm(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const corrected = new Array<number>(values.length);
  let largest = 0;
  order.forEach((index, rank) => {
    largest = Math.max(largest, Math.min(1, (values.length - rank) * values[index]!));
    corrected[index] = largest;
  });
  return corrected;
}

/**
 * The smallest |mean difference| that a two-sided t-test at 5 % finds in 8 of 10 experiments with as many differences of
 * the same spread: (t_0.975 + t_0.8) s / sqrt(n), the usual approximation. Infinite with fewer than two.
 */
export function detectable(differences: readonly number[]): number {
  const n = differences.length;
  if (n < 2) return Number.POSITIVE_INFINITY;
  return ((studentQuantile(0.975, n - 1) + studentQuantile(0.8, n - 1)) * deviation(differences)) / Math.sqrt(n);
}

/** Expected largest of `count` independent standard normal numbers: the integral of x d(Phi(x)^count). */
export function expectedLargest(count: number): number {
  const step = 1 / 64;
  let sum = 0;
  for (let x = -8; x < 8; x += step) {
    sum += (x + step / 2) * (normalCdf(x + step) ** count - normalCdf(x) ** count);
  }
  return sum;
}

/** Abramowitz and Stegun 7.1.26 is not enough here: a continued series for the error function, to about 1e-12. */
export function normalCdf(x: number): number {
  if (x < -8) return 0;
  if (x > 8) return 1;
  let sum = x;
  let term = x;
  for (let i = 3; Math.abs(term) > 1e-17 * Math.abs(sum); i += 2) {
    term *= (x * x) / i;
    sum += term;
  }
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI);
}

/** Inverse of a rising function by bisection. */
function inverse(of: (x: number) => number, value: number, low: number, high: number): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 200 && b - a > 1e-12 * Math.max(1, Math.abs(a)); i++) {
    const middle = (a + b) / 2;
    if (of(middle) < value) a = middle;
    else b = middle;
  }
  return (a + b) / 2;
}

export function normalQuantile(p: number): number {
  return inverse(normalCdf, p, -8, 8);
}

/** Quantile p >= 0.5 of Student's t with `freedom` degrees of freedom, integers >= 1. */
export function studentQuantile(p: number, freedom: number): number {
  return inverse((t) => studentCdf(t, freedom), p, 0, 1e4);
}

/** P(T < t) for t >= 0: finite sums for integer degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4). */
export function studentCdf(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const cosine = Math.cos(angle) ** 2;
  let term = freedom % 2 === 1 ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = freedom % 2 === 1 ? 3 : 2; k <= freedom - 1; k += 2) {
    term *= (cosine * (k - 1)) / k;
    if (k <= freedom - 2) sum += term;
  }
  const within = freedom % 2 === 1 ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return 0.5 + within / 2;
}
