import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { planExperiment } from '#lib/experiment/plan.js';
import { runGrid } from '#lib/experiment/runGrid.js';
import { smallConfig } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-plan-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('what is to do before, and after; the first plan writes nothing', async () => {
  const protocols = ['equal-steps', 'equal-epochs'] as const;
  const config = smallConfig(folder, { protocols: [...protocols], seeds: { draws: 1, random: 2 }, parallel: 2 });
  const plan = await planExperiment(config);
  // Full, and 2 protocols x (2 random + 1): 6 steps each, at equal epochs a quarter of that, rounded.
  expect(plan).toMatchObject({
    ...{
      arms: 3,
      draws: 1,
      samples: { pool: 32, validation: 8 },
      cells: 7,
      finished: 0,
      toDo: 7,
      lanes: 2,
      threads: 1,
    },
    steps: 4 * 6 + 3 * 2,
  });
  expect(plan.stepSeconds).toBeGreaterThan(0);
  expect(plan.seconds).toBeGreaterThan((plan.steps * plan.stepSeconds) / 2);
  expect(plan.diskBytes).toBeGreaterThan(40 * 16 * 4);
  expect(existsSync(config.out)).toBe(false);

  const { trained } = await runGrid(config);
  expect(trained).toBe(7);
  expect(await planExperiment(config)).toMatchObject({ cells: 7, finished: 7, toDo: 0, steps: 0, seconds: 0 });
  // Another budget: the full data are there already.
  expect(await planExperiment({ ...config, budgets: [0.5] })).toMatchObject({ cells: 7, finished: 1, toDo: 6 });
});

test('what the encoder does not have is refused, of the arms that there are', async () => {
  const layers = (change: object) => planExperiment(smallConfig(folder, change));
  await expect(layers({ embeddings: { layer: [4] } })).rejects.toThrow('`embeddings.layer` must be an integer in 0..3');
  await expect(layers({ arms: [{ strategy: 'bins', layer: 7 }] })).rejects.toThrow('`arms.layer` must be');
  await expect(layers({ adapter: { kind: 'dpt', hooks: [0, 1, 2, 9] } })).rejects.toThrow('`adapter.hooks` must be');
});

test('weights of an arm that are not there are named before anything is done, by a plan and by a run', async () => {
  const weights = join(folder, 'missing.safetensors');
  const arms = [{ strategy: 'bins' as const }, { strategy: 'dbal' as const, weights }];
  const config = smallConfig(folder, { arms }, 'none');
  const refusal = {
    code: 'ERR_WEIGHTS_UNREADABLE',
    message: `The weights of arm "dbal mean missing whole": ${weights} cannot be read: there is no such file. Check the path.`,
  };
  await expect(planExperiment(config)).rejects.toMatchObject(refusal);
  await expect(runGrid(config)).rejects.toMatchObject(refusal);
  expect(existsSync(config.out)).toBe(false);
});
