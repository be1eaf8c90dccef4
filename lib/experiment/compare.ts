/** Arms against random subsets: retention, paired change, how sure that is, and a verdict in words. */
import { stream } from '../select/random.js';
import { detectable, deviation, holm, interval, mean, signFlip, studentCdf } from './statistics.js';
import type { Comparison, Interval, RunResult, Task, Verdict } from './types.js';

/** Metrics that verdicts are about; lower is better. */
const PRIMARY: Readonly<Record<Task, string>> = { depth: 'rmse', count: 'error', shape: 'error' };
const LEVEL = 0.05;
/** Where the full data are not this much better than random, the share of the gap that is closed means nothing. */
const LEAST_HEADROOM = 0.01;
const IMAGE_RESAMPLES = 2000;

export interface CompareOptions {
  /** Of the bootstrap. */
  readonly seed?: number | undefined;
  /** Clip of each validation image: images of one clip are drawn together. Every image for itself if not given. */
  readonly clips?: readonly (string | number)[] | undefined;
}

/**
 * One row for every arm, budget, protocol, and for the best and the last point of the runs.
 *
 * Runs are paired: within one draw of the data set and training seed, an arm's metric is divided by the mean of all random
 * subsets there; the mean over training seeds is the one number that a draw contributes. Intervals and tests are over
 * draws. Holm's correction is over the arms of one task, budget, protocol and point.
 *
 * An arm *beats random* (is *worse than random*) where the corrected p is below 0.05. With few draws no p of the sign-flip
 * test can be that small (2 / 2^n at best, times the number of arms); then a t-test must find the difference at 0.05 divided
 * by the number of arms, and all draws must agree in sign. Else: *no difference seen*.
 */
export function compareArms(runs: readonly RunResult[], options: CompareOptions = {}): Comparison[] {
  const found: Comparison[] = [];
  const groups = groupBy(
    runs.filter(({ arm }) => arm !== 'full'),
    ({ task, protocol, budget }) => JSON.stringify([task, protocol, budget]),
  );
  for (const group of groups.values()) {
    const { task } = group[0]!;
    const full = runs.filter((run) => run.arm === 'full' && run.task === task);
    for (const at of ['best', 'last'] as const) found.push(...compareGroup(group, full, at, options));
  }
  return found;
}

function compareGroup(
  group: readonly RunResult[],
  full: readonly RunResult[],
  at: 'best' | 'last',
  { seed = 0, clips }: CompareOptions,
): Comparison[] {
  const { task, budget, protocol } = group[0]!;
  const metric = PRIMARY[task];
  const metricOf = (run: RunResult) => (at === 'best' ? run.curve[run.best]! : run.curve.at(-1)!).metrics[metric]!;
  const random = group.filter(({ arm }) => arm === 'random');
  const arms = groupBy(group, ({ arm }) => arm);
  const tested: { comparison: Comparison; differences: number[] }[] = [];
  const plain: Comparison[] = [];
  for (const [arm, own] of arms) {
    const draws = [...groupBy(own, ({ draw }) => draw).entries()];
    const change: number[] = [];
    const retention: number[] = [];
    const closure: number[] = [];
    for (const [draw, ofDraw] of draws) {
      const pairs = [...groupBy(ofDraw, ({ trainSeed }) => trainSeed).entries()].map(([trainSeed, list]) => ({
        arm: mean(list.map(metricOf)),
        random: meanOf(random, draw, trainSeed, metricOf),
        full: meanOf(full, draw, trainSeed, metricOf),
      }));
      retention.push(mean(pairs.map((pair) => pair.full / pair.arm)));
      change.push(mean(pairs.map((pair) => pair.arm / pair.random - 1)));
      closure.push(mean(pairs.map((pair) => (pair.random - pair.arm) / (pair.random - pair.full))));
    }
    const headroom = mean(
      draws.map(([draw]) => 1 - meanOf(full, draw, undefined, metricOf) / meanOf(random, draw, undefined, metricOf)),
    );
    const images = arm === 'random' || at === 'best' ? undefined : overImages(own, random, seed, clips);
    const comparison: Comparison = {
      task,
      arm,
      budget,
      protocol,
      metric,
      at,
      draws: draws.length,
      runs: own.length,
      value: interval(
        draws.map(([, list]) => mean(list.map(metricOf))),
        seed,
      ),
      retention: interval(retention, seed),
      change: interval(change, seed),
      ...(images && { changeOverImages: images }),
      ...(headroom > LEAST_HEADROOM && arm !== 'random' && { gapClosure: interval(closure, seed) }),
      p: arm === 'random' ? 1 : signFlip(change, seed),
      pHolm: 1,
      detectable: detectable(change),
      verdict: 'no difference seen',
    };
    if (arm === 'random') plain.push({ ...comparison, detectable: spreadOfRandom(own, metricOf) });
    else tested.push({ comparison, differences: change });
  }
  const corrected = holm(tested.map(({ comparison }) => comparison.p));
  const judged = tested.map(({ comparison, differences }, i) => {
    const pHolm = corrected[i]!;
    return { ...comparison, pHolm, verdict: verdictOf(differences, pHolm, tested.length) };
  });
  return [...plain, ...judged];
}

/** Mean over the runs of a draw (and training seed). */
function meanOf(
  runs: readonly RunResult[],
  draw: number,
  trainSeed: number | undefined,
  metricOf: (run: RunResult) => number,
): number {
  const own = runs.filter((run) => run.draw === draw && (trainSeed === undefined || run.trainSeed === trainSeed));
  return mean(own.map(metricOf));
}

function verdictOf(differences: readonly number[], pHolm: number, arms: number): Verdict {
  const better = mean(differences) < 0;
  // The smallest p of n differences is 2 / 2^n.
  const reachable = (arms * 2) / 2 ** differences.length < LEVEL;
  const sure = reachable ? pHolm < LEVEL : differences.length >= 3 && sureOfFew(differences, arms);
  if (!sure) return 'no difference seen';
  return better ? 'beats random' : 'worse than random';
}

/** Bonferroni's level for Student's t, and one sign. */
function sureOfFew(differences: readonly number[], arms: number): boolean {
  const sign = Math.sign(differences[0]!);
  if (!differences.every((value) => Math.sign(value) === sign)) return false;
  return studentP(differences) * arms < LEVEL;
}

/** Two-sided p of the one-sample t-test. */
function studentP(differences: readonly number[]): number {
  const n = differences.length;
  const t = Math.abs(mean(differences)) / (deviation(differences) / Math.sqrt(n));
  return Number.isFinite(t) ? 2 * (1 - studentCdf(t, n - 1)) : 0;
}

/**
 * The change in rmse (or error) when validation images are resampled instead of draws, clips as a whole; every run keeps
 * its own subset, so this says how much the choice of images matters.
 */
function overImages(
  own: readonly RunResult[],
  random: readonly RunResult[],
  seed: number,
  clips: CompareOptions['clips'],
): Interval | undefined {
  const pairs = own.flatMap((run) => {
    const others = random.filter(({ draw, trainSeed }) => draw === run.draw && trainSeed === run.trainSeed);
    return others.length === 0 || run.perImage.length === 0 ? [] : [{ run, others }];
  });
  if (pairs.length === 0) return undefined;
  const words = stream(seed, 3);
  const root = own[0]!.task === 'depth' ? Math.sqrt : (value: number) => value;
  const changeOf = (weights: (images: number) => Float64Array) =>
    mean(
      pairs.map(({ run, others }) => {
        const weight = weights(run.perImage.length);
        const metric = (images: readonly number[]) => {
          let sum = 0;
          let total = 0;
          images.forEach((value, i) => {
            if (Number.isNaN(value)) return;
            sum += weight[i]! * value;
            total += weight[i]!;
          });
          return root(sum / total);
        };
        return metric(run.perImage) / mean(others.map((other) => metric(other.perImage))) - 1;
      }),
    );
  const centre = changeOf((images) => new Float64Array(images).fill(1));
  const changes = Float64Array.from({ length: IMAGE_RESAMPLES }, () =>
    changeOf((images) => resample(images, words, clips)),
  ).sort();
  const at = (quantile: number) => changes[Math.floor(quantile * IMAGE_RESAMPLES)]!;
  return { mean: centre, low: at(0.025), high: at(0.975) };
}

/** How often each image is drawn when as many clips are drawn as there are. */
function resample(images: number, words: () => number, clips: CompareOptions['clips']): Float64Array {
  const weights = new Float64Array(images);
  if (!clips || clips.length !== images) {
    for (let i = 0; i < images; i++) weights[Math.floor(words() * 2 ** -32 * images)]!++;
    return weights;
  }
  const members = [
    ...groupBy(
      clips.map((clip, image) => ({ clip, image })),
      ({ clip }) => clip,
    ).values(),
  ];
  for (let i = 0; i < members.length; i++) {
    for (const { image } of members[Math.floor(words() * 2 ** -32 * members.length)]!) weights[image]!++;
  }
  return weights;
}

/** Standard deviation of the random subsets about the mean of their draw, relative to it. */
function spreadOfRandom(runs: readonly RunResult[], metricOf: (run: RunResult) => number): number {
  const residuals = [...groupBy(runs, ({ draw, trainSeed }) => `${draw} ${trainSeed}`).values()].flatMap((list) => {
    const centre = mean(list.map(metricOf));
    return list.length < 2
      ? []
      : list.map((run) => ({ square: (metricOf(run) / centre - 1) ** 2, share: (list.length - 1) / list.length }));
  });
  const freedom = residuals.reduce((sum, { share }) => sum + share, 0);
  return Math.sqrt(residuals.reduce((sum, { square }) => sum + square, 0) / freedom);
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
