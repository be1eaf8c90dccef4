import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import type { ExperimentConfig } from '#lib/experiment/config.js';
import { runGrid } from '#lib/experiment/runGrid.js';
import { type Measured, openRunStore } from '#lib/experiment/runStore.js';
import { modelFile, runKey, type trainRun } from '#lib/experiment/trainRun.js';
import { generateScenes, type Progress, pretrain } from '#lib/index.js';
import { officialConfig } from '../models/golden.js';
import { smallConfig } from './small.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-grid-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Call = { key: string; rows: readonly number[]; threads: number; keepModel: boolean };

/** Stands for training: notes what it was asked for and stores a result at once. */
function fakeTraining(during: (call: Call, signal: AbortSignal | undefined) => Promise<void> | void = () => {}) {
  const calls: Call[] = [];
  const trainOne: typeof trainRun = async (config, draw, spec, store, _weights, options) => {
    const key = runKey(config, draw, spec);
    const call = { key, rows: [...spec.rows], threads: options.threads, keepModel: options.keepModel };
    calls.push(call);
    await during(call, options.signal);
    options.onProgress?.({ stage: 'train', done: spec.steps, total: spec.steps, unit: 'steps' });
    const run = resultOf(key, spec.rows.length, spec.steps);
    await store.put(run);
    if (options.keepModel) writeFileSync(modelFile(store, key), 'weights');
    return run;
  };
  return { calls, trainOne };
}

function resultOf(key: string, samples: number, steps: number): Measured {
  const rmse = Number.parseInt(key.slice(0, 8), 16) / 2 ** 32;
  const point = { step: steps, epoch: 1, trainLoss: rmse, valLoss: rmse, metrics: { rmse } };
  return { key, samples, steps, seconds: 0, curve: [point], best: 0, perImage: [rmse ** 2] };
}

const runsFolder = ({ out }: ExperimentConfig) => join(out, 'runs');

test('every cell has its run, a second call trains nothing, and progress ends at the end', async () => {
  const config = smallConfig(folder, {}, 'whole');
  const { calls, trainOne } = fakeTraining();
  const seen: Progress[] = [];
  const onProgress = (progress: Progress) => {
    if (progress.stage === 'train') seen.push(progress);
  };
  const drawn: number[] = [];
  const first = await runGrid(
    config,
    { onProgress, onDraw: async ({ draw }) => void drawn.push(draw.index) },
    trainOne,
  );
  expect(first.runs.map(({ arm, draw, selectSeed }) => [arm, draw, selectSeed])).toEqual(
    [0, 1].flatMap((draw) => [
      ['full', draw, 0],
      ['random', draw, 0],
      ['random', draw, 1],
      ['facility-location mean whole', draw, 0],
    ]),
  );
  expect(calls.map(({ rows }) => rows.length).sort((a, b) => a - b)).toEqual([8, 8, 8, 8, 8, 8, 32, 32]);
  expect(first).toMatchObject({ trained: 8, reused: 0, notes: [] });
  expect(drawn).toEqual([0, 1]);
  expect(seen.at(-1)).toMatchObject({ done: 48, total: 48 });
  expect(seen.every(({ done, total }) => done <= total!)).toBe(true);
  // Frames of one recording carry its clip; the draws have images of their own.
  expect(first.validation.map(({ clips }) => clips!.length)).toEqual([8, 8]);
  expect(first.validation[0]!.identity).not.toBe(first.validation[1]!.identity);

  const again = fakeTraining();
  const second = await runGrid(config, {}, again.trainOne);
  expect(again.calls).toEqual([]);
  expect(second).toMatchObject({ trained: 0, reused: 8 });
  expect(second.runs).toEqual(first.runs);
  // More random subsets add runs and keep the others.
  const more = fakeTraining();
  await runGrid({ ...config, seeds: { ...config.seeds, random: 3 } }, {}, more.trainOne);
  expect(more.calls).toHaveLength(2);
});

test('arms that choose the same samples share one run, and a note says so', async () => {
  const config = smallConfig(
    folder,
    {
      seeds: { draws: 1, random: 1 },
      arms: [{ strategy: 'bins' }, { strategy: 'bins', reduce: 'pca', dims: 500 }],
      embeddings: { aggregation: ['mean'], reduce: ['none'], dims: [500] },
    },
    'shared',
  );
  const { calls, trainOne } = fakeTraining();
  const { runs, notes, trained, reused } = await runGrid(config, {}, trainOne);
  // All components: the same points, turned.
  expect(runs).toHaveLength(4);
  expect([trained, reused, calls.length]).toEqual([3, 1, 3]);
  expect(runs[3]!.key).toBe(runs[2]!.key);
  expect(notes.filter((note) => note.includes('chose the same samples'))).toEqual([
    '`bins mean whole` and `bins mean pca-500` chose the same samples in 1 case and share those runs.',
  ]);
  expect(notes.some((note) => note.startsWith('pca-500 of mean (last) has '))).toBe(true);
});

test('an arm chooses by the encoder that it names, and trains the same model', async () => {
  const scenes = join(folder, 'scenes', 'logs-40-32-0');
  await generateScenes(scenes, { scenes: 40, size: 32, regime: 'logs', seed: 0, valFraction: 0.2 });
  const encoder = { config: { ...officialConfig, dim: 16, heads: 2, image: 32, semsegClasses: 7 }, seed: 9 };
  const learnt = {
    data: scenes,
    objective: 'masked',
    steps: 2,
    encoder,
    device: 'cpu',
    out: join(folder, 'learnt'),
  } as const;
  const { encoder: weights } = await pretrain(learnt);
  const strategy = 'facility-location' as const;
  const arms = [{ strategy }, { strategy, weights: 'random' }, { strategy, weights }];
  const config = smallConfig(folder, { arms, seeds: { draws: 1, random: 1 } }, 'encoders');
  const { calls, trainOne } = fakeTraining();
  const { runs } = await runGrid(config, {}, trainOne);
  const keyOf = (arm: string) => runs.find((run) => run.arm === `facility-location mean ${arm}`)!.key;
  // The experiment's own weights are random ones of this seed and shape.
  expect(keyOf('random whole')).toBe(keyOf('whole'));
  expect(keyOf('encoder whole')).not.toBe(keyOf('whole'));
  const chosen = (arm: string) => calls.find(({ key }) => key === keyOf(arm))!.rows;
  expect(chosen('encoder whole')).toHaveLength(8);
  expect(chosen('encoder whole')).not.toEqual(chosen('whole'));
});

test('an abort stops all runs at work; those that were finished stay', async () => {
  const config = smallConfig(folder, { parallel: 2 }, 'aborted');
  const controller = new AbortController();
  const stopped = fakeTraining(async (_, signal) => {
    if (stopped.calls.length < 3) return;
    if (stopped.calls.length === 3) controller.abort(new Error('enough'));
    signal!.throwIfAborted();
  });
  await expect(runGrid(config, { signal: controller.signal }, stopped.trainOne)).rejects.toThrow('enough');
  const { calls, trainOne } = fakeTraining();
  const { trained } = await runGrid(config, {}, trainOne);
  expect(trained).toBe(6);
  const finished = new Set(stopped.calls.slice(0, 2).map(({ key }) => key));
  expect(calls.some(({ key }) => finished.has(key))).toBe(false);
  expect(readdirSync(runsFolder(config), { recursive: true }).filter((name) => String(name).includes('lock'))).toEqual(
    [],
  );
});

test('the first failure stops the runs beside it and is what the caller hears', async () => {
  const config = smallConfig(folder, { parallel: 2 }, 'failed');
  let others = 0;
  const { calls, trainOne } = fakeTraining(async (_, signal) => {
    if (calls.length === 2) throw new Error('the disk is full');
    await new Promise((resolve) => signal!.addEventListener('abort', resolve));
    others++;
    signal!.throwIfAborted();
  });
  await expect(runGrid(config, {}, trainOne)).rejects.toThrow('the disk is full');
  expect([calls.length, others]).toEqual([2, 1]);
});

test('lanes share the threads', async () => {
  const config = smallConfig(folder, { parallel: 1, threads: 3 }, 'lanes');
  const { calls, trainOne } = fakeTraining();
  await runGrid(config, {}, trainOne);
  expect(new Set(calls.map(({ threads }) => threads))).toEqual(new Set([3]));
});

test('what another process has at work is waited for and not trained again', async () => {
  const { runs } = await runGrid(smallConfig(folder, {}, 'known'), {}, fakeTraining().trainOne);
  const config = smallConfig(folder, {}, 'claimed');
  const other = openRunStore(runsFolder(config));
  const { key } = runs[1]!;
  const release = await other.claim(key);
  expect(await openRunStore(runsFolder(config)).claim(key)).toBeUndefined();
  const { calls, trainOne } = fakeTraining();
  const working = runGrid(config, {}, trainOne);
  // The other three of the first draw are trained; the second draw waits.
  while (calls.length < 3) await setTimeout(5);
  await setTimeout(50);
  expect(calls).toHaveLength(3);
  await other.put(resultOf(key, 8, 6));
  await release!();
  const result = await working;
  expect(calls.some((call) => call.key === key)).toBe(false);
  expect(result).toMatchObject({ trained: 7, reused: 1 });
  expect(result.runs).toEqual(runs);
});

test('a run whose process died is trained by the next one', async () => {
  const config = smallConfig(folder, {}, 'known');
  const store = openRunStore(runsFolder(config));
  const { runs } = await runGrid(config, {}, fakeTraining().trainOne);
  const place = store.folderOf(runs[2]!.key);
  rmSync(join(place, 'run.json'));
  const { hostname } = await import('node:os');
  // Process ids end far below this.
  writeFileSync(join(place, `lock.${hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')}.999999999.1.1`), '');
  const { calls, trainOne } = fakeTraining();
  await runGrid(config, {}, trainOne);
  expect(calls.map(({ key }) => key)).toEqual([runs[2]!.key]);
});

test('a damaged record is trained anew, and a note names it', async () => {
  const config = smallConfig(folder, {}, 'damaged');
  const { runs } = await runGrid(config, {}, fakeTraining().trainOne);
  const store = openRunStore(runsFolder(config));
  const files = [0, 2].map((i) => join(store.folderOf(runs[i]!.key), 'run.json'));
  writeFileSync(files[0]!, readFileSync(files[0]!, 'utf8').slice(0, 40));
  writeFileSync(files[1]!, '{"key": "another", "curve": [1], "perImage": []}');
  const { calls, trainOne } = fakeTraining();
  const result = await runGrid(config, {}, trainOne);
  expect(calls.map(({ key }) => key).sort()).toEqual([runs[0]!.key, runs[2]!.key].sort());
  expect(result.notes).toEqual(files.map((file) => `${file} was damaged; the run was trained anew.`));
  expect(result.runs).toEqual(runs);
});

test('models that are to be kept now are trained again where an earlier call did not keep them', async () => {
  const config = smallConfig(folder, { seeds: { draws: 1, random: 1 } }, 'kept');
  await runGrid(config, {}, fakeTraining().trainOne);
  const keeping = { ...config, training: { ...config.training, keepModels: true } };
  const { calls, trainOne } = fakeTraining();
  const { runs } = await runGrid(keeping, {}, trainOne);
  expect(calls.map(({ keepModel }) => keepModel)).toEqual([true, true, true]);
  const store = openRunStore(runsFolder(config));
  expect(runs.every(({ key }) => existsSync(modelFile(store, key)))).toBe(true);
  const again = fakeTraining();
  await runGrid(keeping, {}, again.trainOne);
  await runGrid(config, {}, again.trainOne);
  expect(again.calls).toEqual([]);
});

test('dims: auto takes what each draw needs, and the notes say how many', async () => {
  const embeddings = { aggregation: ['mean' as const], reduce: ['pca' as const], dims: ['auto' as const, 2] };
  const config = smallConfig(folder, { embeddings }, 'auto');
  const { trainOne } = fakeTraining();
  const { runs, notes, diagnostics } = await runGrid(config, {}, trainOne);
  const names = new Set(runs.map(({ arm }) => arm));
  expect(names).toContain('facility-location mean pca-auto');
  for (const draw of [0, 1]) {
    expect(notes.join('\n')).toMatch(
      new RegExp(`pca-auto of mean \\(last\\) has \\d+ dimensions in draw ${draw}: as many as predict`),
    );
  }
  expect(diagnostics).toHaveLength(2);
  expect(diagnostics[0]!['coverage cost / random']).toBeLessThan(1.2);
});
