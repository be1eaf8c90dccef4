/** Runs that were never trained: their numbers are planted. */
import type { RunResult } from '#lib/experiment/types.js';

/** Reproducible numbers of about standard normal spread. */
export function noise(...key: number[]): number {
  let state = 0;
  const mixed = (value: number) => {
    let x = Math.imul(state ^ value, 0x9e3779b1);
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    state = (x ^ (x >>> 16)) + 0x7f4a7c15;
    return (state >>> 0) / 2 ** 32;
  };
  for (const part of key) mixed(part + 1);
  let sum = 0;
  for (let i = 0; i < 12; i++) sum += mixed(i);
  return sum - 6;
}

export interface Planted {
  draws: number;
  random?: number;
  training?: number;
  images?: number;
  /** Last rmse of an arm in a draw, before the noise of its subset. */
  rmse: Readonly<Record<string, (draw: number) => number>>;
  /** Standard deviation of the noise of subsets. */
  spread?: number;
}

/** Curves of two points; the first is worse, but of arms whose name ends in `!`, which get worse. */
export function planted({ draws, random = 3, training = 1, images = 4, rmse, spread = 0.01 }: Planted): RunResult[] {
  const runs: RunResult[] = [];
  for (const [index, [arm, level]] of Object.entries(rmse).entries()) {
    for (let draw = 0; draw < draws; draw++) {
      for (let trainSeed = 0; trainSeed < training; trainSeed++) {
        for (let selectSeed = 0; selectSeed < (arm === 'random' ? random : 1); selectSeed++) {
          const last = level(draw) * (1 + (arm === 'full' ? 0 : spread * noise(index, draw, trainSeed, selectSeed)));
          const first = last * (arm.endsWith('!') ? 0.5 : 2);
          const point = (step: number, value: number) => ({
            ...{ step, epoch: step, trainLoss: value / 2, valLoss: value },
            metrics: { rmse: value, absrel: value / 10, delta1: 1 - value / 10 },
          });
          const curve = [point(1, first), point(2, last)];
          runs.push({
            ...{ key: `${arm} ${draw} ${selectSeed} ${trainSeed}`, task: 'depth', arm, protocol: 'equal-steps' },
            ...{ budget: arm === 'full' ? 1 : 0.2, draw, selectSeed, trainSeed, samples: 8, steps: 2, seconds: 1 },
            ...{ curve, best: last < first ? 1 : 0, perImage: new Array(images).fill(last ** 2) },
            ...{ subsetLoss: last / 4, poolLoss: last / 2 },
          });
        }
      }
    }
  }
  return runs;
}
