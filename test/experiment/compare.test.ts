import { describe, expect, test } from 'vitest';
import { compareArms } from '#lib/experiment/compare.js';
import { compareMeasures } from '#lib/experiment/measures.js';
import type { RunResult } from '#lib/experiment/types.js';
import { noise, planted } from './runs.js';

// Draws differ far more than arms do.
const level = (factor: number) => (draw: number) => factor * (1 + 0.3 * (draw % 3));
const usual = { full: level(1), random: level(1.2), good: level(1.1), same: level(1.2), bad: level(1.4) };

const rowOf = (runs: readonly RunResult[], arm: string, at: 'best' | 'last' = 'last') =>
  compareArms(runs).find((row) => row.arm === arm && row.at === at)!;

describe('verdicts', () => {
  test('planted effects are found and nothing else, with few draws and with many', () => {
    for (const draws of [5, 10]) {
      const runs = planted({ draws, rmse: usual });
      const verdicts = compareArms(runs)
        .filter(({ at }) => at === 'last')
        .map(({ arm, verdict }) => [arm, verdict]);
      expect(verdicts).toEqual([
        ['random', 'no difference seen'],
        ['good', 'beats random'],
        ['same', 'no difference seen'],
        ['bad', 'worse than random'],
      ]);
    }
  });

  test('change, retention and gap closure are of the size that was planted', () => {
    const runs = planted({ draws: 8, rmse: usual });
    const good = rowOf(runs, 'good');
    expect(good).toMatchObject({ metric: 'rmse', draws: 8, runs: 8 });
    expect(Math.abs(good.change.mean - (1.1 / 1.2 - 1))).toBeLessThan(0.01);
    expect(Math.abs(good.retention.mean - 1 / 1.1)).toBeLessThan(0.01);
    expect(Math.abs(good.gapClosure!.mean - 0.5)).toBeLessThan(0.08);
    expect(good.change.low).toBeLessThan(good.change.mean);
    expect(good.change.high).toBeGreaterThan(good.change.mean);
    expect(rowOf(runs, 'random')).toMatchObject({ runs: 24, pHolm: 1 });
    expect(rowOf(runs, 'random').change.mean).toBeCloseTo(0, 12);
    // The standard deviation of a random subset, which is what was planted.
    expect(Math.abs(rowOf(runs, 'random').detectable - 0.01)).toBeLessThan(0.004);
  });

  test('one draw, or two, allow no verdict', () => {
    for (const draws of [1, 2]) {
      const row = rowOf(planted({ draws, rmse: { full: level(1), random: level(1.2), good: level(0.5) } }), 'good');
      expect(row.verdict).toBe('no difference seen');
    }
    const { change, detectable } = rowOf(planted({ draws: 1, rmse: { random: level(1), a: level(0.5) } }), 'a');
    expect([change.low, change.high, detectable]).toEqual([-Infinity, Infinity, Infinity]);
  });

  test('without an effect one table in twenty claims one, where the error is of few images and draws are few', () => {
    let claims = 0;
    const experiments = 400;
    for (let i = 0; i < experiments; i++) {
      const rmse = { random: () => 1, a: () => 1, b: () => 1 };
      const runs = planted({ draws: 3, random: 2, spread: 0, rmse }).map((run) => {
        const own = run.arm === 'random' ? run.selectSeed : run.arm === 'a' ? 50 : 51;
        // Wrong ones of 16 images: whole sixteenths, so that draws often differ by the same.
        const wrong = Math.min(16, Math.max(1, Math.round(9.6 + 1.96 * noise(i, run.draw, own))));
        const metrics = { error: wrong / 16 };
        return { ...run, task: 'shape' as const, curve: [{ ...run.curve[1]!, metrics }], best: 0, perImage: [] };
      });
      const rows = compareArms(runs).filter(({ at }) => at === 'last');
      if (rows.some(({ verdict }) => verdict !== 'no difference seen')) claims++;
    }
    expect(claims / experiments).toBeLessThan(0.08);
    expect(claims).toBeGreaterThan(0);
  });

  test('without an effect one experiment in twenty claims one', () => {
    for (const draws of [4, 9]) {
      let claims = 0;
      for (let i = 0; i < 200; i++) {
        const runs = planted({ draws, rmse: { random: level(1.2), same: level(1.2) } }).map((run) => {
          const value = 1 + 0.02 * noise(i, run.draw, run.arm === 'same' ? 50 : run.selectSeed);
          return { ...run, curve: [{ ...run.curve[1]!, metrics: { rmse: value } }], best: 0, perImage: [] };
        });
        if (rowOf(runs, 'same').verdict !== 'no difference seen') claims++;
      }
      expect(claims).toBeGreaterThan(1);
      expect(claims).toBeLessThan(20);
    }
  });

  test('equal results, and no error at all, are no difference', () => {
    const equal = planted({ draws: 4, random: 1, spread: 0, rmse: { full: level(1), random: level(1), a: level(1) } });
    expect(rowOf(equal, 'a')).toMatchObject({ verdict: 'no difference seen', p: 1 });
    for (const draws of [4, 9]) {
      const zero = planted({ draws, rmse: { full: () => 0, random: () => 0, a: () => 0, b: () => 1 } });
      for (const arm of ['a', 'b']) {
        expect(rowOf(zero, arm)).toMatchObject({ verdict: 'no difference seen', p: 1, pHolm: 1 });
      }
    }
  });

  test('more arms make it harder: p is corrected over the arms of a condition', () => {
    const rmse: Record<string, (draw: number) => number> = { full: level(1), random: level(1.2), good: level(1.1) };
    const alone = rowOf(planted({ draws: 8, rmse }), 'good');
    for (let i = 0; i < 6; i++) rmse[`null ${i}`] = level(1.2);
    const among = rowOf(planted({ draws: 8, rmse }), 'good');
    expect(alone.p).toBe(2 / 2 ** 8);
    expect(alone.pHolm).toBe(alone.p);
    expect(among.pHolm).toBeCloseTo(7 * among.p, 12);
  });
});

test('best and last are compared each with their own kind', () => {
  const runs = planted({ draws: 5, spread: 0, rmse: { full: level(1), random: level(1.2), 'falls!': level(1.2) } });
  expect(rowOf(runs, 'falls!', 'last').change.mean).toBeCloseTo(0, 12);
  expect(rowOf(runs, 'falls!', 'best').change.mean).toBeCloseTo(-0.5, 12);
  expect(rowOf(runs, 'falls!', 'best').retention.mean).toBeCloseTo(2 / 1.2, 12);
});

test('no gap closure where full data are hardly better than random', () => {
  const rmse = { full: level(1), random: level(1.005), a: level(0.9) };
  expect(rowOf(planted({ draws: 5, spread: 0, rmse }), 'a')).not.toHaveProperty('gapClosure');
});

test('runs are paired by draw and training seed', () => {
  // Seeds matter ten times more than the arm, which is 2 % better under each of them.
  const runs = planted({
    draws: 5,
    training: 3,
    spread: 0.001,
    rmse: { full: level(1), random: level(1.2), a: level(1.176) },
  });
  const shaken = runs.map((run) => {
    const factor = 1 + 0.2 * noise(run.trainSeed, run.draw);
    const curve = run.curve.map((point) => ({ ...point, metrics: { rmse: point.metrics.rmse! * factor } }));
    return { ...run, curve };
  });
  const { change, verdict, runs: count } = rowOf(shaken, 'a');
  expect(change.mean).toBeCloseTo(-0.02, 2);
  expect(change.high - change.low).toBeLessThan(0.01);
  expect({ verdict, count }).toEqual({ verdict: 'beats random', count: 15 });
});

describe('over images', () => {
  const images = 40;
  /** Errors of image i differ between arm and random in a way that only depends on i. */
  const runsOn = (draws: number) =>
    planted({ draws, random: 1, images, spread: 0, rmse: { random: () => 1, a: () => 1 } }).map((run) => ({
      ...run,
      perImage: run.perImage.map((value, i) => (run.arm === 'a' ? value * (1 + 0.3 * noise(i >> 2)) : value)),
    }));
  const widthOf = (runs: RunResult[], validation?: { identity: string; clips?: number[] }[]) => {
    const row = compareArms(runs, { validation }).find(({ arm, at }) => arm === 'a' && at === 'last')!;
    return row.changeOverImages!.high - row.changeOverImages!.low;
  };

  test('clips are resampled as a whole: four alike are one', () => {
    const clips = Array.from({ length: images }, (_, i) => i >> 2);
    const alone = widthOf(runsOn(1));
    const clustered = widthOf(runsOn(1), [{ identity: 'v', clips }]);
    expect(clustered / alone).toBeGreaterThan(1.6);
    expect(clustered / alone).toBeLessThan(2.4);
  });

  test('draws that share their images share the resampling: more draws make nothing surer', () => {
    const one = widthOf(runsOn(1));
    const shared = widthOf(
      runsOn(4),
      Array.from({ length: 4 }, () => ({ identity: 'v' })),
    );
    const own = widthOf(
      runsOn(4),
      Array.from({ length: 4 }, (_, draw) => ({ identity: `${draw}` })),
    );
    expect(shared / one).toBeGreaterThan(0.85);
    expect(own / one).toBeLessThan(0.65);
    expect(widthOf(runsOn(4))).toBe(own);
  });

  test('a planted change is in the middle; images without a valid pixel count for nothing', () => {
    const runs = planted({ draws: 3, spread: 0, rmse: { random: () => 2, a: () => 1 } }).map((run) => ({
      ...run,
      perImage: [...run.perImage, Number.NaN],
    }));
    const { changeOverImages } = rowOf(runs, 'a');
    expect(changeOverImages).toEqual({ mean: -0.5, low: -0.5, high: -0.5 });
    expect(rowOf(runs, 'a', 'best')).not.toHaveProperty('changeOverImages');
  });
});

test('the best of arms that choose no better than random is as far ahead as expected', () => {
  let ahead = 0;
  let expected = 0;
  const experiments = 40;
  for (let i = 0; i < experiments; i++) {
    const rmse: Record<string, () => number> = { random: () => 1 };
    for (let arm = 0; arm < 8; arm++) rmse[`${i} ${arm}`] = () => 1;
    const rows = compareArms(
      planted({ draws: 4, random: 6, spread: 0.03, rmse }).map((run) => {
        const shift = run.arm === 'random' ? run.selectSeed : Number(run.arm.split(' ')[1]) + 100;
        const value = 1 + 0.03 * noise(i, shift, run.draw);
        return { ...run, curve: [{ ...run.curve[1]!, metrics: { rmse: value } }], best: 0, perImage: [] };
      }),
    ).filter(({ at }) => at === 'last');
    ahead -= Math.min(...rows.filter(({ arm }) => arm !== 'random').map(({ change }) => change.mean)) / experiments;
    expected += rows[0]!.bestOfChance! / experiments;
  }
  expect(expected).toBeGreaterThan(0.015);
  expect(Math.abs(ahead / expected - 1)).toBeLessThan(0.2);
  const alone = compareArms(planted({ draws: 3, rmse: { random: () => 1, a: () => 1 } }));
  expect(alone.every((row) => !('bestOfChance' in row))).toBe(true);
});

describe('other measures', () => {
  const runs = planted({
    draws: 3,
    spread: 0,
    rmse: { full: () => 1, random: () => 2, a: () => 1.6, 'falls!': () => 1 },
  });
  const rows = compareMeasures(runs);
  const measure = (arm: string, name: string, at: string) =>
    rows.find((row) => row.arm === arm && row.measure === name && row.at === at);

  test('every metric but the primary one, and every loss; those of the end have no best', () => {
    const names = (at: string) => rows.filter((row) => row.arm === 'a' && row.at === at).map((row) => row.measure);
    expect(names('best')).toEqual(['absrel', 'delta1', 'valLoss', 'trainLoss']);
    expect(names('last')).toEqual(['absrel', 'delta1', 'valLoss', 'trainLoss', 'subsetLoss', 'poolLoss']);
    expect(new Set(rows.map(({ arm }) => arm))).toEqual(new Set(['random', 'a', 'falls!']));
  });

  test('retention is 1 at the level of the full data, whichever way is better', () => {
    expect(measure('a', 'absrel', 'last')).toMatchObject({ draws: 3, runs: 3 });
    expect(measure('a', 'absrel', 'last')!.retention.mean).toBeCloseTo(1 / 1.6, 12);
    expect(measure('a', 'absrel', 'last')!.change.mean).toBeCloseTo(-0.2, 12);
    expect(measure('a', 'delta1', 'last')!.retention.mean).toBeCloseTo(0.84 / 0.9, 12);
    expect(measure('a', 'delta1', 'last')!.change.mean).toBeCloseTo(0.84 / 0.8 - 1, 12);
    expect(measure('a', 'poolLoss', 'last')!.retention.mean).toBeCloseTo(1 / 1.6, 12);
    expect(measure('a', 'trainLoss', 'last')!.value).toBeCloseTo(0.8, 12);
  });

  test('best is the best of the measure itself on the curve', () => {
    expect(measure('falls!', 'valLoss', 'best')!.value).toBe(0.5);
    expect(measure('falls!', 'valLoss', 'last')!.value).toBe(1);
    expect(measure('falls!', 'delta1', 'best')!.value).toBeCloseTo(0.95, 12);
  });

  test('what some runs lack is left out', () => {
    const some = runs.map((run, i) => (i === 2 ? { ...run, poolLoss: undefined } : run));
    expect(compareMeasures(some).some((row) => row.measure === 'poolLoss')).toBe(false);
    expect(compareMeasures(some).some((row) => row.measure === 'subsetLoss')).toBe(true);
  });
});
