import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateScenes, openEncoder, type PretrainOptions, presets, pretrain } from '#lib/index.js';
import { maskedPretraining, rebuiltOf } from '#lib/pretrain/objectives.js';
import type { TrainingData } from '#lib/train/types.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { officialConfig } from '../models/golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-masked-'));
const data = join(folder, 'data');
beforeAll(() => generateScenes(data, { scenes: 60, size: 64, regime: 'uniform', seed: 3 }));
afterAll(() => rmSync(folder, { recursive: true }));

const encoder = { config: { ...officialConfig, dim: 32, depth: 2, semsegClasses: 7 }, seed: 1 };
const masked: Omit<PretrainOptions, 'out'> = {
  data,
  encoder,
  objective: 'masked',
  steps: 60,
  batch: 8,
  learningRate: 3e-3,
  seed: 2,
  augmentation: 'official',
  device: 'cpu',
};

test('masked patches are rebuilt better and better; an interrupted call ends with the same bytes; depth goes on from it', async () => {
  const result = await pretrain({ ...masked, out: join(folder, 'a') });
  const { metrics, valLoss, trainLoss } = result.curve.at(-1)!;
  const first = result.curve[0]!;
  expect(Object.keys(metrics)).toEqual(['rgb', 'semseg', 'depth', 'norm_rgb']);
  expect(Object.values(metrics).reduce((sum, loss) => sum + loss)).toBeCloseTo(valLoss, 5);
  expect(trainLoss).toBeLessThan(0.6 * first.trainLoss);
  expect(valLoss).toBeLessThan(0.7 * first.valLoss);
  expect(metrics.rgb).toBeLessThan(first.metrics.rgb!);
  expect(metrics.semseg).toBeLessThan(first.metrics.semseg!);
  expect(result.onnx).toBeUndefined();

  const alone = await readSafetensors(result.encoder);
  const whole = await readSafetensors(result.model);
  expect(Object.keys(alone).every((name) => !name.startsWith('output_adapters.'))).toBe(true);
  expect(Object.keys(whole)).toContain('output_adapters.semseg.task_embeddings.rgb');
  expect(whole['output_adapters.rgb.proj_context.weight']!.shape).toEqual([32, 32]);
  expect(alone['encoder.0.mlp.fc1.weight']).toEqual(whole['encoder.0.mlp.fc1.weight']);
  const start = await openEncoder({ ...encoder, device: 'cpu' });
  const loaded = await openEncoder({ weights: result.encoder, config: encoder.config, device: 'cpu' });
  expect(loaded.identity).not.toBe(start.identity);
  await start.close();
  await loaded.close();

  const out = join(folder, 'b');
  const controller = new AbortController();
  const stopped = pretrain({
    ...masked,
    out,
    signal: controller.signal,
    onProgress: ({ stage, done }) => {
      if (stage === 'train' && done >= 25) controller.abort(new Error('enough'));
    },
  });
  await expect(stopped).rejects.toThrow('enough');
  const resumed = await pretrain({ ...masked, out });
  expect(readFileSync(resumed.model).equals(readFileSync(result.model))).toBe(true);
  expect(resumed.curve).toEqual(result.curve);

  const depth = { data, steps: 4, batch: 4, featureDim: 8, device: 'cpu' as const };
  const tuned = await pretrain({
    ...depth,
    encoder: { weights: result.encoder, config: encoder.config },
    out: join(folder, 'c'),
  });
  expect(JSON.parse(readFileSync(join(folder, 'c', 'pretrain.json'), 'utf8'))).toMatchObject({
    objective: 'depth',
    origin: expect.stringContaining(result.encoder),
    execution: { provider: 'cpu', tf32: false },
  });
  expect(tuned.curve.at(-1)!.metrics.rmse).toBeGreaterThan(0);
});

test('sizes of the official recipe; seeds draw other masks, but validate on the same ones', async () => {
  const both = ['rgb', 'semseg'] as const;
  const { model } = maskedPretraining(presets.base, undefined, both, 0);
  expect(model).toMatchObject({ visible: 98, decoder: { dim: 256, depth: 2, heads: 8 } });
  expect(maskedPretraining(presets.large, undefined, both, 0).model.decoder.dim).toBe(256);
  expect(maskedPretraining(presets.tiny, undefined, both, 0).model.decoder).toEqual({ dim: 64, depth: 2, heads: 2 });
  const nothing: TrainingData = { samples: 9, batch: async () => ({}) };
  const masksOf = async (part: 'trains' | 'validates', seed: number) =>
    (await maskedPretraining(presets.base, undefined, both, seed)[part](nothing).batch(Int32Array.of(4, 5), 0)).visible!
      .data;
  expect(await masksOf('trains', 1)).not.toEqual(await masksOf('trains', 2));
  expect(await masksOf('validates', 1)).toEqual(await masksOf('validates', 2));
});

test('options that do not fit are named', async () => {
  const bad = (change: Partial<PretrainOptions>) => pretrain({ ...masked, ...change, out: join(folder, 'bad') });
  await expect(bad({ featureDim: 8 })).rejects.toThrow('`featureDim` must be left out where the objective is masked');
  await expect(bad({ objective: 'depth', visible: 8 })).rejects.toThrow('`visible` must be left out');
  await expect(bad({ visible: 32 })).rejects.toThrow('`visible` must be an integer in 1..31, but it is 32.');
  await expect(bad({ objective: 'depth', rebuild: ['rgb'] })).rejects.toThrow('`rebuild` must be left out');
  await expect(bad({ rebuild: ['edges' as never] })).rejects.toThrow(
    '`rebuild` must be one of rgb, semseg, depth, norm',
  );
  await expect(bad({ rebuild: [] })).rejects.toThrow('`rebuild` must be a list with at least one');
  await expect(bad({ objective: 'mae' as never })).rejects.toThrow('`objective` must be one of depth, masked');
});

test('what is rebuilt: all that encoder and data have, or what is asked for', async () => {
  expect(rebuiltOf(undefined, presets.base, true)).toEqual(['rgb', 'semseg', 'depth', 'norm_rgb']);
  expect(rebuiltOf(undefined, presets.base, false)).toEqual(['rgb', 'semseg', 'norm_rgb']);
  const masks = { ...presets.base, modalities: ['semseg' as const] };
  expect(rebuiltOf(undefined, masks, true)).toEqual(['semseg', 'depth']);
  expect(() => rebuiltOf(['norm_rgb'], masks, true)).toThrow('`rebuild` must be one of semseg, depth');
  const short = { ...masked, steps: 2, batch: 4 };
  const { curve } = await pretrain({ ...short, rebuild: ['norm_rgb', 'rgb'], out: join(folder, 'd') });
  expect(Object.keys(curve.at(-1)!.metrics)).toEqual(['rgb', 'norm_rgb']);
});
