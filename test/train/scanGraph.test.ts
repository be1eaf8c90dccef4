import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Optimizer } from '#lib/train/optimizer.js';
import { stepCoefficients } from '#lib/train/scanGraph.js';
import { type TrainOptions, train } from '#lib/train/train.js';
import { openTrainer, type Trainer } from '#lib/train/trainer.js';
import { isTrained, type ModelConfig, modelWeights, trainingGraph } from '#lib/train/trainingGraph.js';
import type { Batch } from '#lib/train/types.js';
import { officialConfig, paperConfig } from '../models/golden.js';

const adamw: Optimizer = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 };
const adam: Optimizer = { ...adamw, kind: 'adam' };
const RATES = [1e-3, 2e-3, 1e-3, 5e-4, 1e-3, 7e-4];

const frozen: ModelConfig = {
  encoder: officialConfig,
  adapter: { kind: 'dpt', variant: 'official', hooks: [0, 1, 2, 3], layerDims: [12, 16, 24, 32], featureDim: 24 },
  mainTasks: ['rgb'],
  training: 'frozen',
  loss: 'berhu',
};
/** With labels (int32), and a table of positions that is not trained and so lies in a file beside the model. */
const endToEnd: ModelConfig = {
  encoder: paperConfig,
  adapter: { kind: 'dpt', variant: 'paper', hooks: [0, 1, 2, 3], layerDims: [8, 12, 16, 24], featureDim: 16 },
  mainTasks: ['rgb', 'semseg'],
  training: 'end-to-end',
  loss: 'berhu',
};

const product = (shape: readonly (number | string)[]) => (shape as number[]).reduce((size, dim) => size * dim, 1);

/** Inputs of the model, different for every `seed`. */
function batchOf(model: ModelConfig, seed: number): Batch {
  const { graph, trained } = trainingGraph(model, 2, true);
  const weights = new Set(trained.map(({ name }) => name));
  const inputs = graph.inputs.filter(({ name }) => !weights.has(name));
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      const wave = (i: number) => Math.sin(1.7 * i + 12.9898 * seed + name.length);
      const data =
        dtype === 'int32'
          ? Int32Array.from({ length: product(shape) }, (_, i) => (i + seed) % 3)
          : Float32Array.from({ length: product(shape) }, (_, i) => (name === 'valid' ? Number(i % 7 > 0) : wave(i)));
      return [name, { data, dims: shape as number[] }];
    }),
  );
}

async function training<T>(
  model: ModelConfig,
  optimizer: Optimizer,
  stepsInGraph: boolean,
  work: (trainer: Trainer) => Promise<T>,
): Promise<T> {
  const shapes = modelWeights(model);
  const trainer = await openTrainer({
    training: trainingGraph(model, 2, true),
    validation: trainingGraph(model, 2, false),
    encoder: model.encoder,
    optimizer,
    device: 'cpu',
    threads: 1,
    stepsInGraph,
    weights: async (name) =>
      Float32Array.from({ length: product(shapes.get(name)!) }, (_, i) => {
        const noise = Math.sin(78.233 * i + name.length);
        return shapes.get(name)!.length === 1 && name.endsWith('weight') ? 1 + 0.1 * noise : 0.1 * noise;
      }),
  });
  try {
    return await work(trainer);
  } finally {
    await trainer.close();
  }
}

const batches = (model: ModelConfig, first: number, count: number) =>
  Array.from({ length: count }, (_, k) => batchOf(model, first + k));

test.each([
  ['AdamW on a frozen encoder', frozen, adamw],
  ['Adam with a penalty on a frozen encoder', frozen, adam],
  ['AdamW end to end, another rate for each block', endToEnd, { ...adamw, layerDecay: 0.75 }],
  ['Adam end to end', endToEnd, { ...adam, layerDecay: 0.75 }],
] as const)('five steps in one graph are five steps of gradients and addon: %s', async (_, model, optimizer) => {
  const plain = await training(model, optimizer, false, async (trainer) => {
    expect(trainer.stepsAtATime).toBe(1);
    const { gradients } = await trainer.gradients(batchOf(model, 0));
    const losses: number[] = [];
    for (let k = 0; k < 5; k++) losses.push(...(await trainer.steps([batchOf(model, k)], [RATES[k]!])));
    const { prediction } = await trainer.evaluate(batchOf(model, 9));
    return { gradients, losses, prediction, state: await trainer.save() };
  });
  await training(model, optimizer, true, async (trainer) => {
    expect(trainer.stepsAtATime).toBe(16);
    const losses = await trainer.steps(batches(model, 0, 5), RATES.slice(0, 5));
    expect(losses).toHaveLength(5);
    losses.forEach((loss, k) => {
      expect(Math.abs(loss / plain.losses[k]! - 1), `step ${k}`).toBeLessThan(1e-6);
    });
    const state = await trainer.save();
    expect(state.step).toBe(5);
    let compared = 0;
    trainer.names.forEach((name, i) => {
      plain.gradients[i]!.forEach((slope, j) => {
        if (Math.abs(slope) <= 1e-6) return;
        compared++;
        const off = Math.abs(state.values[i]![j]! - plain.state.values[i]![j]!);
        if (off >= 1e-6) expect.fail(`${name}[${j}] is off by ${off}`);
      });
    });
    expect(compared).toBeGreaterThan(1000);
    // Validation and gradients see the stepped weights too.
    const { prediction } = await trainer.evaluate(batchOf(model, 9));
    const off = prediction.map((value, i) => Math.abs(value - plain.prediction[i]!));
    expect(Math.max(...off)).toBeLessThan(1e-4);
  });
});

test('the model end to end has frozen weights and integer inputs', () => {
  const names = [...modelWeights(endToEnd).keys()];
  expect(names.some((name) => !isTrained(endToEnd, name))).toBe(true);
  expect(trainingGraph(endToEnd, 2, true).graph.parameters.length).toBeGreaterThan(0);
  expect(Object.values(batchOf(endToEnd, 0)).some(({ data }) => data instanceof Int32Array)).toBe(true);
});

test('how steps are divided into calls changes no bit', async () => {
  const [whole, parts] = await Promise.all(
    [[6], [3, 1, 2]].map((counts) =>
      training(frozen, adamw, true, async (trainer) => {
        const losses: number[] = [];
        for (const count of counts) {
          const first = losses.length;
          losses.push(...(await trainer.steps(batches(frozen, first, count), RATES.slice(first, first + count))));
        }
        return { losses, state: await trainer.save() };
      }),
    ),
  );
  expect(parts).toEqual(whole);
});

test('the step that diverged is named, and the weights are those before it', async () => {
  await training(frozen, adamw, true, async (trainer) => {
    await trainer.steps(batches(frozen, 0, 2), RATES.slice(0, 2));
    const good = await trainer.save();
    await trainer.steps(batches(frozen, 2, 2), RATES.slice(2, 4));
    const expected = await trainer.save();
    await trainer.load(good);
    const bad = batches(frozen, 2, 4);
    bad[2]!.depth!.data[8] = Number.NaN;
    bad[2]!.valid!.data[8] = 1;
    await expect(trainer.steps(bad, RATES.slice(2, 6))).rejects.toMatchObject({
      code: 'ERR_TRAINING_DIVERGED',
      message: expect.stringContaining('The loss is NaN at step 5,'),
    });
    expect(await trainer.save()).toEqual(expected);
  });
});

test('a run is validated, reported and stopped between calls, and goes on to the same bits', async () => {
  const classifier: ModelConfig = {
    ...frozen,
    adapter: { kind: 'classifier', classes: 3 },
    loss: 'cross-entropy',
  };
  const shapes = modelWeights(classifier);
  const data = {
    samples: 24,
    batch: async (places: Int32Array) => batchOf(classifier, places[0]!),
  };
  const options = (change: Partial<TrainOptions>): TrainOptions => ({
    model: classifier,
    weights: async (name) => Float32Array.from({ length: product(shapes.get(name)!) }, (_, i) => 0.1 * Math.sin(i)),
    data,
    validation: { ...data, samples: 4 },
    optimizer: adamw,
    schedule: { learningRate: 0.01, shape: 'cosine', warmupSteps: 3 },
    steps: 50,
    batch: 2,
    seed: 1,
    evaluations: 2,
    average: 'pixel',
    device: 'cpu',
    threads: 1,
    ...change,
  });
  const done: number[] = [];
  const inGraph = await train(options({ stepsInGraph: true, onProgress: (progress) => done.push(progress.done) }));
  expect(done).toEqual([16, 25, 41, 50]);
  expect(inGraph.execution).toEqual({ provider: 'cpu', tf32: false });
  const plain = await train(options({}));
  expect(inGraph.curve.map(({ step }) => step)).toEqual([25, 50]);
  inGraph.curve.forEach(({ trainLoss, valLoss }, i) => {
    expect(trainLoss).toBeCloseTo(plain.curve[i]!.trainLoss, 5);
    expect(valLoss).toBeCloseTo(plain.curve[i]!.valLoss, 5);
  });

  const folder = mkdtempSync(join(tmpdir(), 'coregain-scan-'));
  try {
    const controller = new AbortController();
    const stopping = { folder, stepsInGraph: true, signal: controller.signal };
    const onProgress = () => controller.abort(new Error('enough'));
    await expect(train(options({ ...stopping, onProgress }))).rejects.toThrow('enough');
    const resumed = await train(options({ folder, stepsInGraph: true }));
    expect({ ...resumed, seconds: 0 }).toEqual({ ...inGraph, seconds: 0 });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('coefficients are those of the addon, in float64 until they are rounded once', () => {
  const each = [
    { scale: 1, decay: 0 },
    { scale: 0.5, decay: 0.1 },
    { scale: 1, decay: 0 },
  ];
  const columns = stepCoefficients(adamw, each, [0.1, 0.2], 1);
  expect(Object.keys(columns).sort()).toEqual(['root', 'shrink.0', 'shrink.1', 'size.0', 'size.1']);
  expect([...columns.root!]).toEqual([2, 3].map((t) => Math.fround(Math.sqrt(1 - 0.999 ** t))));
  expect(columns['size.1']![1]).toBe(Math.fround(Math.fround(0.1) / (1 - 0.9 ** 3)));
  expect([...columns['shrink.0']!]).toEqual([1, 1]);
  expect(columns['shrink.1']![1]).toBeCloseTo(1 - 0.1 * 0.1, 7);
  expect(Object.keys(stepCoefficients(adam, each, [0.1], 0))).not.toContain('shrink.0');
});
