import { expect, test } from 'vitest';
import { dimsByRetention, dimsNote } from '#lib/experiment/chooseDims.js';
import { checkExperiment } from '#lib/experiment/config.js';
import { experimentArms } from '#lib/experiment/grid.js';
import type { RunResult } from '#lib/experiment/types.js';
import { noise, planted } from './runs.js';

const SIZES = [4, 8, 16, 32];
const armsOf = (dims: (number | 'auto')[]) =>
  experimentArms(
    checkExperiment({ data: { generate: {} }, strategies: ['bins'], embeddings: { aggregation: ['mean'], dims } }),
  );
const nameOf = (dims: number | 'auto') => `bins mean pca-${dims}`;

/** Runs whose images have errors of their own; `level` is the rmse of an arm. */
function runsOf(levels: Readonly<Record<string, number>>, images = 40, spread = 0.3): RunResult[] {
  const names = Object.keys(levels);
  return planted({
    draws: 3,
    spread: 0,
    rmse: Object.fromEntries(names.map((name) => [name, () => levels[name]!])),
  }).map((run) => ({
    ...run,
    perImage: Array.from({ length: images }, (_, i) => {
      const own = 1 + spread * noise(names.indexOf(run.arm), run.draw, run.selectSeed, i);
      return (levels[run.arm]! * own) ** 2;
    }),
  }));
}

test('a planted best number is chosen by both halves, and its change is the planted one', () => {
  const levels = { full: 1, random: 1.2, [nameOf(4)]: 1.3, [nameOf(8)]: 0.9, [nameOf(16)]: 1.25, [nameOf(32)]: 1.4 };
  const found = dimsByRetention(runsOf(levels, 200, 0.05), armsOf(SIZES));
  expect(found).toHaveLength(1);
  expect(found[0]).toMatchObject({
    family: 'bins mean pca',
    arms: SIZES.map(nameOf),
    chosen: [nameOf(8), nameOf(8)],
    metric: 'rmse',
    budget: 0.2,
  });
  expect(found[0]!.change).toBeCloseTo(0.9 / 1.2 - 1, 2);
  expect(found[0]!.retention).toBeCloseTo(1 / 0.9, 2);
  expect(dimsNote(found)[0]).toMatch(/The halves chose the same number in 1 of 1 cases\.$/);
});

test('where no number is better, the other half does not show the gain that the best seems to have', () => {
  const changes = { held: 0, best: 0 };
  const rounds = 40;
  for (let round = 0; round < rounds; round++) {
    const levels = Object.fromEntries(['full', 'random', ...SIZES.map(nameOf)].map((name) => [name, 1]));
    const runs = runsOf(levels).map((run) => ({
      ...run,
      perImage: run.perImage.map((_, i) =>
        run.arm === 'random'
          ? 1
          : (1 +
              0.3 *
                noise(
                  round,
                  SIZES.findIndex((d) => nameOf(d) === run.arm),
                  run.draw,
                  i,
                )) **
            2,
      ),
    }));
    const [choice] = dimsByRetention(runs, armsOf(SIZES), { seed: round });
    changes.held += choice!.change / rounds;
    changes.best += choice!.changeOfBest / rounds;
  }
  // The noise of images adds 4 % to every rmse; the best of four looks better than that, chosen on half of the images it does not.
  expect(Math.abs(changes.held - 0.044)).toBeLessThan(0.008);
  expect(changes.best).toBeLessThan(changes.held - 0.015);
});

test('clips stay whole', () => {
  const levels = { full: 1, random: 1, [nameOf(4)]: 1, [nameOf(8)]: 1 };
  // Of 4 clips two have no error with 4 dimensions, and two with 8: a half of whole clips sees 0, 1/2 or all of it.
  const runs = runsOf(levels, 40, 0).map((run) => ({
    ...run,
    perImage: run.perImage.map((_, i) => {
      const good = run.arm === nameOf(4) ? i < 20 : i >= 20;
      return run.arm.startsWith('bins') && good ? 0 : 1;
    }),
  }));
  const clips = Array.from({ length: 40 }, (_, i) => Math.floor(i / 10));
  const validation = Array.from({ length: 3 }, () => ({ identity: 'same', clips }));
  const seen = new Set<string>();
  for (let seed = 0; seed < 20; seed++) {
    const [choice] = dimsByRetention(runs, armsOf([4, 8]), { seed, validation });
    seen.add((choice!.change + 1).toFixed(3));
  }
  const allowed = [0, 0.5, 1].map((share) => Math.sqrt(share).toFixed(3));
  expect([...seen].every((value) => allowed.includes(value))).toBe(true);
  expect(seen.size).toBeGreaterThan(1);
});

test('nothing to say where arms do not differ in dimensions, or images cannot be halved', () => {
  const levels = { full: 1, random: 1, [nameOf(4)]: 1, [nameOf('auto')]: 1 };
  expect(dimsByRetention(runsOf(levels), armsOf([4]))).toEqual([]);
  expect(dimsByRetention(runsOf(levels, 1), armsOf([4, 'auto']))).toEqual([]);
  expect(dimsByRetention(runsOf(levels), armsOf([4, 'auto']))).toHaveLength(1);
  expect(dimsNote([])).toEqual([]);
});
