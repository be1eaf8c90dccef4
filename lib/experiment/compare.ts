/** Arms against random subsets: retention, paired change, how sure that is, and a verdict in words. */
import { stream } from '../select/random.js';
import { conditionsOf, groupBy, pairsOfDraws } from './pairs.js';
import { detectable, deviation, expectedLargest, holm, interval, mean, signFlip, studentCdf } from './statistics.js';
import { type Comparison, type Interval, PRIMARY, type RunResult, type Verdict } from './types.js';

const LEVEL = 0.05;
/** Where the full data are not this much better than random, the share of the gap that is closed means nothing. */
const LEAST_HEADROOM = 0.01;
const IMAGE_RESAMPLES = 2000;

/** The images that the runs of one draw were validated on. */
export interface ValidationImages {
  /** Equal where draws share their images, which then are resampled together. */
  readonly identity: string;
  /** Clip of each image, in the order of `perImage`: images of one clip are resampled together. Each for itself if not given. */
  readonly clips?: readonly (string | number)[] | undefined;
}

export interface CompareOptions {
  /** Of the bootstrap. */
  readonly seed?: number | undefined;
  /** By draw; images of their own for each draw if not given. */
  readonly validation?: readonly ValidationImages[] | undefined;
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
  return conditionsOf(runs).flatMap((group) => {
    const full = runs.filter((run) => run.arm === 'full' && run.task === group[0]!.task);
    return (['best', 'last'] as const).flatMap((at) => compareGroup(group, full, at, options));
  });
}

function compareGroup(
  group: readonly RunResult[],
  full: readonly RunResult[],
  at: 'best' | 'last',
  { seed = 0, validation }: CompareOptions,
): Comparison[] {
  const { task, budget, protocol } = group[0]!;
  const metric = PRIMARY[task];
  const metricOf = (run: RunResult) => (at === 'best' ? run.curve[run.best]! : run.curve.at(-1)!).metrics[metric]!;
  const random = group.filter(({ arm }) => arm === 'random');
  const arms = groupBy(group, ({ arm }) => arm);
  const tested: { comparison: Comparison; differences: number[] }[] = [];
  const plain: Comparison[] = [];
  for (const [arm, own] of arms) {
    const draws = pairsOfDraws(own, random, full, metricOf);
    const overDraws = (of: (pair: (typeof draws)[number][number]) => number) =>
      draws.map((pairs) => mean(pairs.map(of)));
    const change = overDraws((pair) => pair.arm / pair.random - 1);
    const headroom = mean(overDraws((pair) => 1 - pair.full / pair.random));
    const closure = overDraws((pair) => (pair.random - pair.arm) / (pair.random - pair.full));
    const images = arm === 'random' || at === 'best' ? undefined : overImages(own, random, seed, validation);
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
        overDraws((pair) => pair.arm),
        seed,
      ),
      retention: interval(
        overDraws((pair) => pair.full / pair.arm),
        seed,
      ),
      change: interval(change, seed),
      ...(images && { changeOverImages: images }),
      ...(headroom > LEAST_HEADROOM && arm !== 'random' && { gapClosure: interval(closure, seed) }),
      // Where random makes no error at all, nothing can be said relative to it.
      p: arm === 'random' || !change.every(Number.isFinite) ? 1 : signFlip(change, seed),
      pHolm: 1,
      detectable: detectable(change),
      verdict: 'no difference seen',
    };
    if (arm === 'random') plain.push({ ...comparison, ...chanceOf(own, arms.size - 1, metricOf) });
    else tested.push({ comparison, differences: change });
  }
  const corrected = holm(tested.map(({ comparison }) => comparison.p));
  const judged = tested.map(({ comparison, differences }, i) => {
    const pHolm = corrected[i]!;
    return { ...comparison, pHolm, verdict: verdictOf(differences, pHolm, tested.length) };
  });
  return [...plain, ...judged];
}

function verdictOf(differences: readonly number[], pHolm: number, arms: number): Verdict {
  if (!differences.every(Number.isFinite)) return 'no difference seen';
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
  if (sign === 0 || !differences.every((value) => Math.sign(value) === sign)) return false;
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
  validation: CompareOptions['validation'],
): Interval | undefined {
  const pairs = own.flatMap((run) => {
    const others = random.filter(({ draw, trainSeed }) => draw === run.draw && trainSeed === run.trainSeed);
    return others.length === 0 || run.perImage.length === 0 ? [] : [{ run, others }];
  });
  if (pairs.length === 0) return undefined;
  const words = stream(seed, 3);
  const root = own[0]!.task === 'depth' ? Math.sqrt : (value: number) => value;
  const setOf = ({ draw }: RunResult) => validation?.[draw]?.identity ?? draw;
  /** Runs that were validated on the same images have the same weights of them. */
  const changeOf = (weightsOf: (run: RunResult) => Float64Array) => {
    const known = new Map<string | number, Float64Array>();
    return mean(
      pairs.map(({ run, others }) => {
        const weight = known.get(setOf(run)) ?? weightsOf(run);
        known.set(setOf(run), weight);
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
  };
  const centre = changeOf(({ perImage }) => new Float64Array(perImage.length).fill(1));
  const members = new Map(pairs.map(({ run }) => [setOf(run), membersOf(run.perImage.length, validation?.[run.draw])]));
  const changes = Float64Array.from({ length: IMAGE_RESAMPLES }, () =>
    changeOf((run) => resample(run.perImage.length, members.get(setOf(run))!, words)),
  ).sort();
  const at = (quantile: number) => changes[Math.floor(quantile * IMAGE_RESAMPLES)]!;
  return { mean: centre, low: at(0.025), high: at(0.975) };
}

/** The images of each clip. */
function membersOf(images: number, validation: ValidationImages | undefined): number[][] {
  const each = Array.from({ length: images }, (_, image) => image);
  const clips = validation?.clips;
  return clips ? [...groupBy(each, (image) => clips[image]).values()] : each.map((image) => [image]);
}

/** How often each image is drawn when as many clips are drawn as there are. */
function resample(images: number, members: readonly (readonly number[])[], words: () => number): Float64Array {
  const weights = new Float64Array(images);
  for (let i = 0; i < members.length; i++) {
    for (const image of members[Math.floor(words() * 2 ** -32 * members.length)]!) weights[image]!++;
  }
  return weights;
}

/**
 * What the spread of random subsets says: their standard deviation s, and what the best of `arms` such subsets would lead
 * by. Where an arm is another random subset, its change in one of n draws has the variance s^2 (1 + 1/R) beside the mean of
 * R, so the least of the means over draws is expected at expectedLargest(arms) s sqrt((1 + 1/R) / n).
 */
function chanceOf(runs: readonly RunResult[], arms: number, metricOf: (run: RunResult) => number) {
  const spread = spreadOfRandom(runs, metricOf);
  const draws = new Set(runs.map(({ draw }) => draw)).size;
  const subsets = new Set(runs.map(({ draw, selectSeed }) => `${draw} ${selectSeed}`)).size / draws;
  if (!Number.isFinite(spread) || arms < 2) return { detectable: spread };
  return { detectable: spread, bestOfChance: expectedLargest(arms) * spread * Math.sqrt((1 + 1 / subsets) / draws) };
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
