import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { learningRateAt, type Optimizer, weightOptions } from '#lib/train/optimizer.js';
import { batchOrder } from '#lib/train/order.js';
import { type TrainOptions, train } from '#lib/train/train.js';
import { type ModelConfig, modelWeights } from '#lib/train/trainingGraph.js';
import type { TrainingData } from '#lib/train/types.js';
import { officialConfig } from '../models/golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-train-'));
afterAll(() => rmSync(folder, { recursive: true }));

const optimizer: Optimizer = {
  kind: 'adamw',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  layerDecay: 1,
};

/** Logits from pooled vectors: small enough for hundreds of steps a second. */
const classifier: ModelConfig = {
  encoder: officialConfig,
  adapter: { kind: 'classifier', classes: 3 },
  mainTasks: ['rgb'],
  training: 'frozen',
  loss: 'cross-entropy',
};
const depth: ModelConfig = {
  ...classifier,
  encoder: { ...officialConfig, image: 16 },
  adapter: { kind: 'linear', pooling: 'mean', hidden: [24] },
  loss: 'berhu',
  target: { shift: 5, scale: 2 },
};

const noise = (i: number) => (((Math.sin(12.9898 * i) * 43758.5453) % 1) + 1) % 1;
/** Vectors whose first three values say the class; depth 5 + the first value everywhere, one pixel in ten not valid. */
function samples(count: number): TrainingData {
  return {
    samples: count,
    async batch(places) {
      const { dim } = officialConfig;
      const pooled = new Float32Array(places.length * dim);
      const label = Int32Array.from(places, (place) => place % 3);
      places.forEach((place, i) => {
        for (let c = 0; c < dim; c++) pooled[i * dim + c] = noise(place * dim + c) + (c === label[i] ? 1 : 0);
      });
      return { pooled: { data: pooled, dims: [places.length, dim] }, label: { data: label, dims: [places.length] } };
    },
  };
}
function depthSamples(count: number): TrainingData {
  const classes = samples(count);
  return {
    samples: count,
    async batch(places, epoch) {
      const { pooled } = await classes.batch(places, epoch);
      const pixels = 256;
      const metres = new Float32Array(places.length * pixels);
      for (let i = 0; i < metres.length; i++)
        metres[i] = 5 + pooled!.data[Math.floor(i / pixels) * officialConfig.dim]!;
      const valid = metres.map((_, i) => (i % 10 === 3 ? 0 : 1));
      const dims = [places.length, 1, 16, 16];
      return { pooled: pooled!, depth: { data: metres, dims }, valid: { data: valid, dims } };
    },
  };
}

function options(model: ModelConfig, change: Partial<TrainOptions> = {}): TrainOptions {
  const shapes = modelWeights(model);
  const of = model.loss === 'cross-entropy' ? samples : depthSamples;
  return {
    model,
    weights: async (name) => {
      const shape = shapes.get(name)!;
      const size = shape.reduce((product, dim) => product * dim, 1);
      if (name.endsWith('.bias')) return new Float32Array(size);
      if (shape.length === 1) return new Float32Array(size).fill(1);
      return Float32Array.from({ length: size }, (_, i) => 0.2 * (noise(i + name.length) - 0.5));
    },
    data: of(24),
    validation: of(10),
    optimizer,
    schedule: { learningRate: 0.01, shape: 'cosine', warmupSteps: 3 },
    steps: 40,
    batch: 4,
    seed: 1,
    evaluations: 4,
    average: 'pixel',
    device: 'cpu',
    threads: 1,
    ...change,
  };
}

test('classes are learnt; the run is validated evenly, the last time after the last step', async () => {
  const { curve, perImage, predictions, best } = await train(options(classifier, { steps: 120 }));
  expect(curve.map(({ step }) => step)).toEqual([30, 60, 90, 120]);
  expect(curve.map(({ epoch }) => epoch)).toEqual([5, 10, 15, 20]);
  expect(curve.at(-1)!.metrics.error).toBeLessThan(0.2);
  expect(curve.at(-1)!.trainLoss).toBeLessThan(curve[0]!.trainLoss);
  expect(perImage).toHaveLength(10);
  expect(perImage.reduce((sum, wrong) => sum + wrong, 0) / 10).toBeCloseTo(curve.at(-1)!.metrics.error!, 12);
  expect(predictions).toHaveLength(30);
  expect(curve[best]!.metrics.error).toBe(Math.min(...curve.map(({ metrics }) => metrics.error!)));
});

test('depth is predicted in metres, and pixels that are not valid count for nothing', async () => {
  const { curve, perImage, predictions } = await train(options(depth, { steps: 150 }));
  const { metrics } = curve.at(-1)!;
  // Depths are 5 to 7 m; the mean alone is off by more than this.
  expect(metrics.rmse).toBeLessThan(0.35);
  expect(predictions.every((metres) => metres > 3 && metres < 9)).toBe(true);
  expect(Math.sqrt(perImage.reduce((sum, square) => sum + square, 0) / perImage.length)).toBeCloseTo(metrics.rmse!, 3);
});

test('a ConvNeXt classifier sees patterns that the mean of the tokens does not show', async () => {
  const model: ModelConfig = {
    ...classifier,
    adapter: { kind: 'convnext-classifier', embedDim: 32, subPatches: 4, blocks: 1, classes: 3 },
  };
  const side = officialConfig.image / officialConfig.patch;
  const { dim, depth: blocks } = officialConfig;
  /** Rows, columns or a chessboard of +1 and -1 in one channel, noise in the others: every channel's mean is near 0. */
  const patterns = (count: number, first: number): TrainingData => ({
    samples: count,
    async batch(places) {
      const data = new Float32Array(places.length * side * side * dim);
      const label = Int32Array.from(places, (place) => place % 3);
      for (let i = 0; i < data.length; i++) {
        const [place, x, y] = [
          Math.floor(i / dim / side / side),
          Math.floor(i / dim) % side,
          Math.floor(i / dim / side) % side,
        ];
        const sample = first + places[place]!;
        const odd = [y, x, x + y][label[place]!]! + (noise(sample) < 0.5 ? 1 : 0);
        data[i] = i % dim === 0 ? 2 * (odd % 2) - 1 : noise(sample * 1000 + (i % (side * side * dim))) / 5 - 0.1;
      }
      return {
        [`tokens.${blocks - 1}`]: { data, dims: [places.length, side * side, dim] },
        label: { data: label, dims: [places.length] },
      };
    },
  });
  const { curve } = await train(options(model, { data: patterns(48, 0), validation: patterns(12, 48), steps: 120 }));
  expect(curve.at(-1)!.metrics.error).toBeLessThan(0.2);
});

test('the loss of the subset and of its pool: a subset learnt by heart says nothing of the rest', async () => {
  const data = samples(6);
  // Labels that nothing predicts.
  const pool: TrainingData = {
    samples: 700,
    async batch(places, epoch) {
      const batch = await samples(700).batch(places, epoch);
      const label = Int32Array.from(places, (place) => (place < 6 ? place % 3 : Math.floor(noise(place) * 3)));
      return { ...batch, label: { data: label, dims: [places.length] } };
    },
  };
  const asked = new Set<number>();
  const watched: TrainingData = {
    samples: pool.samples,
    batch(places, epoch) {
      for (const place of places) asked.add(place);
      return pool.batch(places, epoch);
    },
  };
  const { subsetLoss, poolLoss } = await train(options(classifier, { data, pool: watched, steps: 200 }));
  expect(subsetLoss).toBeLessThan(0.1);
  expect(poolLoss).toBeGreaterThan(1);
  expect(asked.size).toBe(512);
  expect([Math.min(...asked), Math.max(...asked)]).toEqual([0, 698]);

  const whole = await train(options(classifier, { data, pool: data, steps: 20 }));
  expect(whole.subsetLoss).toBe(whole.poolLoss);
  expect(await train(options(classifier, { steps: 20 }))).not.toHaveProperty('poolLoss');
});

test('a run that was stopped goes on from its checkpoint to the same bits', async () => {
  const whole = await train(options(classifier));
  const place = join(folder, 'stopped');
  const controller = new AbortController();
  let steps = 0;
  const stopped = train(
    options(classifier, {
      folder: place,
      signal: controller.signal,
      onProgress: () => {
        if (++steps === 17) controller.abort(new Error('enough'));
      },
    }),
  );
  await expect(stopped).rejects.toThrow('enough');
  expect(readdirSync(place)).toEqual(['checkpoint.safetensors']);
  const resumed = await train(options(classifier, { folder: place }));
  const { seconds: _, ...expected } = whole;
  const { seconds: __, ...actual } = resumed;
  expect(actual).toEqual(expected);
  expect(readdirSync(place)).toEqual([]);
});

test('a checkpoint of another model is refused by name', async () => {
  const place = join(folder, 'other');
  const controller = new AbortController();
  const stopping = {
    folder: place,
    signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')),
  };
  await expect(train(options(classifier, stopping))).rejects.toThrow('enough');
  await expect(train(options(depth, { folder: place }))).rejects.toMatchObject({ code: 'ERR_CHECKPOINT' });
});

test('passes are permutations; small sets fill their batch by starting again', () => {
  const order = batchOrder(10, 4, 7);
  expect(order.stepsPerEpoch).toBe(2);
  const first = [...order.at(0).places, ...order.at(1).places];
  expect(new Set(first).size).toBe(8);
  expect(order.at(2).epoch).toBe(1);
  expect([...order.at(2).places, ...order.at(3).places]).not.toEqual(first);
  expect(order.at(0).places).toEqual(batchOrder(10, 4, 7).at(0).places);
  const few = batchOrder(3, 8, 0).at(5);
  expect(few.epoch).toBe(5);
  expect([...few.places].sort()).toEqual([0, 0, 0, 1, 1, 1, 2, 2].sort());
});

test('warm-up from 0, then constant or a cosine to 0', () => {
  const schedule = { learningRate: 2, shape: 'cosine' as const, warmupSteps: 4 };
  expect([0, 1, 4, 12, 20].map((step) => learningRateAt(schedule, step, 20))).toEqual([0, 0.5, 2, 1, 0]);
  expect(learningRateAt({ ...schedule, shape: 'constant' }, 19, 20)).toBe(2);
});

test('learning rates fall from block to block; vectors, positions and tokens have no weight decay', () => {
  const decayed = { ...optimizer, layerDecay: 0.5 };
  const of = (name: string, shape: number[]) => weightOptions(decayed, officialConfig, name, shape);
  expect(of('output_adapters.depth.head.0.weight', [2, 2, 3, 3])).toEqual({ scale: 1, decay: 0.01 });
  expect(of('encoder.3.mlp.fc1.weight', [4, 4])).toEqual({ scale: 0.5, decay: 0.01 });
  expect(of('encoder.0.attn.qkv.bias', [4])).toEqual({ scale: 0.5 ** 4, decay: 0 });
  expect(of('input_adapters.rgb.pos_emb', [1, 4, 2, 2])).toEqual({ scale: 0.5 ** 5, decay: 0 });
  expect(of('global_tokens', [1, 1, 4]).decay).toBe(0);
});
