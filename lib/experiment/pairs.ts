/** Runs of an arm beside those of random subsets and of the full data: same draw, same training seed. */
import { mean } from './statistics.js';
import type { RunResult } from './types.js';

/** One measure of the runs of one draw and training seed, means where there are several. */
export interface Pair {
  readonly arm: number;
  readonly random: number;
  readonly full: number;
}

/** For each draw that the arm has runs of, a pair for each of its training seeds; NaN where nothing is beside it. */
export function pairsOfDraws(
  own: readonly RunResult[],
  random: readonly RunResult[],
  full: readonly RunResult[],
  measureOf: (run: RunResult) => number,
): Pair[][] {
  return [...groupBy(own, ({ draw }) => draw)].map(([draw, ofDraw]) => {
    const beside = (runs: readonly RunResult[], trainSeed: number) =>
      mean(runs.filter((run) => run.draw === draw && run.trainSeed === trainSeed).map(measureOf));
    return [...groupBy(ofDraw, ({ trainSeed }) => trainSeed)].map(([trainSeed, runs]) => ({
      arm: mean(runs.map(measureOf)),
      random: beside(random, trainSeed),
      full: beside(full, trainSeed),
    }));
  });
}

/** Runs of one task, protocol and budget, full data left out. */
export function conditionsOf(runs: readonly RunResult[]): RunResult[][] {
  const subsets = runs.filter(({ arm }) => arm !== 'full');
  return [...groupBy(subsets, ({ task, protocol, budget }) => JSON.stringify([task, protocol, budget])).values()];
}

export function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
