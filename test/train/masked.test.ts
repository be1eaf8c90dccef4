import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { initialWeight } from '#lib/models/initialise.js';
import type { MaskedConfig } from '#lib/train/maskedGraph.js';
import { openTrainer, type Trainer } from '#lib/train/trainer.js';
import { modelWeights, trainingGraph } from '#lib/train/trainingGraph.js';
import type { Batch } from '#lib/train/types.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import type { Tensor } from '#lib/weights/tensor.js';
import { largestDifference, officialConfig } from '../models/golden.js';

const file = await readSafetensors(fileURLToPath(new URL('../golden/train/masked.safetensors', import.meta.url)));

const model: MaskedConfig = {
  encoder: { ...officialConfig, dim: 32, depth: 2, heads: 2, patch: 8, image: 32, semsegClasses: 5, classEmbedding: 8 },
  decoder: { dim: 16, depth: 2, heads: 2 },
  visible: 8,
  training: 'end-to-end',
  loss: 'masked',
};
const floats = (tensor: Tensor | undefined) => tensor!.data as Float32Array;
const feed = (name: string) => ({ data: (file[name]!.data as Float32Array).slice(), dims: file[name]!.shape });
const batch = (visible = 'io.visible'): Batch => ({
  rgb: feed('io.rgb'),
  semseg: feed('io.semseg'),
  visible: feed(visible),
});

async function training<T>(config: MaskedConfig, work: (trainer: Trainer) => Promise<T>): Promise<T> {
  const trainer = await openTrainer({
    training: trainingGraph(config, 3, true),
    validation: trainingGraph(config, 3, false),
    encoder: config.encoder,
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 },
    device: 'cpu',
    threads: 1,
    weights: async (name) => floats(file[`state.${name}`]).slice(),
  });
  try {
    return await work(trainer);
  } finally {
    await trainer.close();
  }
}

test('weights have the names, shapes and order of the official code', () => {
  const names = Object.keys(file).flatMap((name) => (name.startsWith('state.') ? [name.slice(6)] : []));
  const weights = [...modelWeights(model)];
  expect(weights.filter(([name]) => name.startsWith('output_adapters.')).map(([name]) => name)).toEqual(
    names.filter((name) => name.startsWith('output_adapters.')),
  );
  expect(new Set(weights.map(([name]) => name))).toEqual(new Set(names));
  for (const [name, shape] of weights) expect(file[`state.${name}`]!.shape, name).toEqual(shape);
});

test('losses and gradients are those of the official code', async () => {
  const [rgb, semseg] = [floats(file['io.loss.rgb'])[0]!, floats(file['io.loss.semseg'])[0]!];
  await training(model, async (trainer) => {
    const { loss, gradients } = await trainer.gradients(batch());
    expect(loss).toBeCloseTo(rgb + semseg, 5);
    const expected = Object.keys(file).filter((name) => name.startsWith('gradient.'));
    expect(new Set(trainer.names.map((name) => `gradient.${name}`))).toEqual(new Set(expected));
    trainer.names.forEach((name, i) => {
      const truth = floats(file[`gradient.${name}`]);
      // The true gradient of a key's bias is 0: rounding only.
      const third = truth.length / 3;
      const keep = (_: number, at: number) =>
        (!name.endsWith('qkv.bias') || at < third || at >= 2 * third) &&
        (!name.endsWith('decoder.kv.bias') || at >= truth.length / 2);
      const [a, b] = [gradients[i]!.filter(keep), truth.filter(keep)];
      const largest = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(largestDifference(a, b) / largest, name).toBeLessThan(2e-5);
    });
    const { prediction } = await trainer.evaluate(batch());
    const mean = (task: number) => prediction.filter((_, i) => i % 2 === task).reduce((sum, x) => sum + x / 3, 0);
    expect(mean(0)).toBeCloseTo(rgb, 5);
    expect(mean(1)).toBeCloseTo(semseg, 5);
  });
});

test('a modality that is visible as a whole counts for nothing, as upstream', async () => {
  const all = { ...model, visible: 16 };
  await training(all, async (trainer) => {
    const { loss, prediction } = await trainer.evaluate(batch('io.full.visible'));
    expect([...prediction].map(Number.isNaN)).toEqual([false, true, false, false, false, false]);
    expect(loss).toBeCloseTo(floats(file['io.full.loss.rgb'])[0]! + floats(file['io.full.loss.semseg'])[0]!, 5);
    expect(Number.isFinite((await trainer.gradients(batch('io.full.visible'))).loss)).toBe(true);
  });
});

test('first weights: mask tokens 0, task embeddings small, norms 1, keys and values each on their own', () => {
  const shapes = modelWeights(model);
  const of = (name: string) =>
    initialWeight(model.encoder, `output_adapters.rgb.${name}`, shapes.get(`output_adapters.rgb.${name}`)!, 1);
  const most = (data: Float32Array) => data.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  expect(most(of('mask_token'))).toBe(0);
  expect(most(of('out_norm.weight').map((x) => x - 1))).toBe(0);
  expect(most(of('task_embeddings.rgb'))).toBeGreaterThan(0);
  expect(most(of('task_embeddings.rgb'))).toBeLessThan(0.1);
  const bound = Math.sqrt(6 / 32);
  expect(most(of('decoder.kv.weight'))).toBeLessThanOrEqual(bound);
  expect(most(of('decoder.kv.weight'))).toBeGreaterThan(0.95 * bound);
  expect(largestDifference(of('pos_emb'), floats(file['state.output_adapters.rgb.pos_emb']))).toBeLessThan(1e-6);
});
