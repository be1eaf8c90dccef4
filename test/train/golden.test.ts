import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { AdapterConfig } from '#lib/models/adapter.js';
import type { Optimizer } from '#lib/train/optimizer.js';
import { openTrainer, type Trainer } from '#lib/train/trainer.js';
import { ADAPTER_PREFIX, type ModelConfig, trainingGraph } from '#lib/train/trainingGraph.js';
import type { Batch } from '#lib/train/types.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { type Tensor, toFloat32 } from '#lib/weights/tensor.js';
import { largestDifference, golden as modelGolden, officialConfig, paperConfig } from '../models/golden.js';
import { shared } from '../shared.js';

const golden = (name: string) => fileURLToPath(new URL(`../golden/train/${name}`, import.meta.url));
type Tensors = Record<string, Tensor>;

const floats = (tensor: Tensor | undefined): Float32Array => {
  if (!tensor) throw new Error('the golden file lacks a tensor');
  return toFloat32(tensor) ?? Float32Array.from(tensor.data as Uint8Array);
};
const feed = (tensor: Tensor | undefined) => ({ data: floats(tensor).slice(), dims: tensor!.shape });

const adamw: Optimizer = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 };
const adam: Optimizer = { ...adamw, kind: 'adam', weightDecay: 0 };

const official: ModelConfig = {
  encoder: officialConfig,
  adapter: { kind: 'dpt', variant: 'official', hooks: [0, 1, 2, 3], layerDims: [12, 16, 24, 32], featureDim: 24 },
  mainTasks: ['rgb'],
  training: 'frozen',
  loss: 'berhu',
};
const paper: ModelConfig = {
  encoder: paperConfig,
  adapter: { kind: 'dpt', variant: 'paper', hooks: [0, 1, 2, 3], layerDims: [8, 12, 16, 24], featureDim: 16 },
  mainTasks: ['rgb', 'semseg'],
  training: 'end-to-end',
  loss: 'berhu',
};

const oneStep = async (trainer: Trainer, batch: Batch, learningRate: number) =>
  (await trainer.steps([batch], [learningRate]))[0]!;

/** The first `count` tokens of each sample, [B, T, D] -> [B, count, D]. */
function firstTokens(tensor: Tensor, count: number) {
  const [batch, tokens, dim] = tensor.shape as [number, number, number];
  const all = floats(tensor);
  const data = new Float32Array(batch * count * dim);
  for (let b = 0; b < batch; b++) data.set(all.subarray(b * tokens * dim, (b * tokens + count) * dim), b * count * dim);
  return { data, dims: [batch, count, dim] };
}

async function training<T>(
  model: ModelConfig,
  optimizer: Optimizer,
  weights: (name: string) => Tensor | undefined,
  work: (trainer: Trainer) => Promise<T>,
  threads = 0,
): Promise<T> {
  const trainer = await openTrainer({
    training: trainingGraph(model, 2, true),
    validation: trainingGraph(model, 2, false),
    encoder: model.encoder,
    optimizer,
    device: 'cpu',
    threads,
    weights: async (name) => floats(weights(name)).slice(),
  });
  try {
    return await work(trainer);
  } finally {
    await trainer.close();
  }
}

/** Largest difference, relative to the largest of `b`; the true gradient of the key bias is 0, so it is left out. */
function relativeDifference(name: string, a: Float32Array, b: Float32Array): number {
  const third = b.length / 3;
  const keep = (_: number, i: number) => !name.endsWith('qkv.bias') || i < third || i >= 2 * third;
  const [x, y] = [a.filter(keep), b.filter(keep)];
  return largestDifference(x, y) / y.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}

function compareStepped(after: Float32Array, expected: Float32Array, gradient: Float32Array, loose: number) {
  let worst = 0;
  let worstLoose = 0;
  after.forEach((value, i) => {
    const difference = Math.abs(value - expected[i]!);
    if (Math.abs(gradient[i]!) > 1e-6) worst = Math.max(worst, difference);
    else worstLoose = Math.max(worstLoose, difference);
  });
  expect(worst).toBeLessThan(1e-6);
  expect(worstLoose).toBeLessThanOrEqual(loose);
}

async function officialBatch(): Promise<{ file: Tensors; batch: () => Batch }> {
  const file = await readSafetensors(golden('official.safetensors'));
  const tokens = await readSafetensors(modelGolden('official/tokens.safetensors'));
  const batch = () => ({
    ...Object.fromEntries([0, 1, 2, 3].map((i) => [`tokens.${i}`, firstTokens(tokens[`layer.${i}`]!, 16)])),
    depth: feed(file['io.target_depth']),
    valid: feed(file['io.mask_valid']),
  });
  return { file, batch };
}

describe('official DPT adapter on frozen tokens', () => {
  test('losses, gradients, five steps of AdamW, and the prediction after them', async () => {
    const { file, batch } = await officialBatch();
    const weights = (name: string) => file[`state.${name.slice(ADAPTER_PREFIX.length)}`];
    await training(official, adamw, weights, async (trainer) => {
      // refinenet4.resConfUnit1 is in the checkpoint but unused.
      expect(trainer.names).toHaveLength(60);
      const { loss, gradients } = await trainer.gradients(batch());
      expect(loss).toBeCloseTo(floats(file['io.loss_berhu_masked'])[0]!, 5);
      trainer.names.forEach((name, i) => {
        const expected = floats(file[`gradient.${name.slice(ADAPTER_PREFIX.length)}`]);
        expect(relativeDifference(name, gradients[i]!, expected), name).toBeLessThan(1e-5);
      });
      const losses: number[] = [];
      for (let step = 0; step < 5; step++) losses.push(await oneStep(trainer, batch(), 1e-3));
      expect(largestDifference(losses, file['io.losses_before_each_step']!.data as Float64Array)).toBeLessThan(2e-5);
      const { step, values } = await trainer.save();
      expect(step).toBe(5);
      trainer.names.forEach((name, i) => {
        const short = name.slice(ADAPTER_PREFIX.length);
        compareStepped(values[i]!, floats(file[`step5.${short}`]), floats(file[`gradient.${short}`]), 2 * 1e-3 * 5);
      });
      const { prediction } = await trainer.evaluate(batch());
      expect(largestDifference(prediction, floats(file['io.out_after_5_steps']))).toBeLessThan(2e-5);
    });
  });

  test.each([
    ['l1', 'io.loss_l1_masked', true],
    ['mse', 'io.loss_mse_masked', true],
    ['berhu', 'io.loss_berhu_unmasked', false],
  ] as const)('the loss %s is %s', async (loss, expected, masked) => {
    const { file, batch } = await officialBatch();
    const weights = (name: string) => file[`state.${name.slice(ADAPTER_PREFIX.length)}`];
    await training({ ...official, loss }, adamw, weights, async (trainer) => {
      const { valid, ...rest } = batch();
      const all = { data: Float32Array.from(valid!.data, () => 1), dims: valid!.dims };
      const { loss: value } = await trainer.evaluate({ ...rest, valid: masked ? valid! : all });
      expect(value).toBeCloseTo(floats(file[expected])[0]!, 5);
    });
  });

  test('training that goes on from a saved state is bit-identical, whatever the number of threads', async () => {
    const { file, batch } = await officialBatch();
    const weights = (name: string) => file[`state.${name.slice(ADAPTER_PREFIX.length)}`];
    const whole = await training(official, adamw, weights, async (trainer) => {
      for (let step = 0; step < 4; step++) await oneStep(trainer, batch(), 1e-3);
      return trainer.save();
    });
    const half = await training(official, adamw, weights, async (trainer) => {
      for (let step = 0; step < 2; step++) await oneStep(trainer, batch(), 1e-3);
      return trainer.save();
    });
    const goOn = async (trainer: Trainer) => {
      await trainer.load(half);
      for (let step = 2; step < 4; step++) await oneStep(trainer, batch(), 1e-3);
      return trainer.save();
    };
    const resumed = await training(official, adamw, weights, goOn, 1);
    expect(resumed).toEqual(whole);
  });

  test('a loss that is not finite ends training with a sentence', async () => {
    const { file, batch } = await officialBatch();
    const weights = (name: string) => file[`state.${name.slice(ADAPTER_PREFIX.length)}`];
    await training(official, adamw, weights, async (trainer) => {
      const bad = batch();
      bad.depth!.data[7] = Number.NaN;
      bad.valid!.data[7] = 1;
      await expect(oneStep(trainer, bad, 1e-3)).rejects.toMatchObject({ code: 'ERR_TRAINING_DIVERGED' });
      // The weights are as they were.
      expect((await trainer.gradients(batch())).loss).toBeCloseTo(floats(file['io.loss_berhu_masked'])[0]!, 5);
    });
  });
});

describe('the paper, end to end', () => {
  async function paperRun(folder: string | undefined) {
    const io = await readSafetensors(modelGolden('paper/io.safetensors'));
    const encoder = await readSafetensors(modelGolden('paper/encoder_state.safetensors'));
    const file = await readSafetensors(golden('paper.safetensors'));
    const stepped = folder ? await readSafetensors(join(folder, 'golden/multimae-paper/params_step1.safetensors')) : {};
    const all = folder ? await readSafetensors(join(folder, 'golden/multimae-paper/grads.safetensors')) : {};
    const weights = (name: string) => encoder[name] ?? file[`state.${name}`];
    const batch = () => ({
      rgb: feed(io.rgb),
      semseg: { data: Int32Array.from(io.semseg!.data as BigInt64Array, Number), dims: io.semseg!.shape },
      depth: feed(file['io.target_depth']),
      valid: { data: new Float32Array(2 * 64 * 64).fill(1), dims: [2, 1, 64, 64] },
    });
    await training(paper, adam, weights, async (trainer) => {
      expect(trainer.names).toHaveLength(115);
      expect(largestDifference((await trainer.evaluate(batch())).prediction, floats(file['io.out']))).toBeLessThan(
        2e-5,
      );
      const { gradients } = await trainer.gradients(batch());
      let compared = 0;
      trainer.names.forEach((name, i) => {
        const expected = all[name] ?? file[`gradient.${name}`];
        if (!expected) return;
        compared++;
        expect(relativeDifference(name, gradients[i]!, floats(expected)), name).toBeLessThan(1e-5);
      });
      expect(compared).toBe(folder ? 115 : 91);
      const losses = [await oneStep(trainer, batch(), 5e-5)];
      const { values } = await trainer.save();
      trainer.names.forEach((name, i) => {
        const expected = stepped[name];
        if (expected) compareStepped(values[i]!, floats(expected), floats(all[name]), 2 * 5e-5);
      });
      for (let step = 1; step < 5; step++) losses.push(await oneStep(trainer, batch(), 5e-5));
      expect(largestDifference(losses, file['io.losses_before_each_step']!.data as Float64Array)).toBeLessThan(5e-5);
    });
  }

  test('prediction, gradients of encoder and adapter, losses of five steps of Adam', () => paperRun(undefined));
  test.skipIf(!shared)('all gradients, and every parameter after one step', () => paperRun(shared));
});

/** d(loss) along a random direction of all weights, by central differences, against the gradients. */
async function checkDirection(trainer: Trainer, batch: () => Batch) {
  const start = await trainer.save();
  const { gradients } = await trainer.gradients(batch());
  const direction = start.values.map((value, i) => value.map((_, j) => Math.sin(12.9898 * j + 78.233 * i)));
  let expected = 0;
  gradients.forEach((gradient, i) => {
    gradient.forEach((slope, j) => {
      expected += slope * direction[i]![j]!;
    });
  });
  const step = 1e-3 / Math.sqrt(direction.reduce((sum, part) => sum + part.length, 0));
  const lossAt = async (factor: number) => {
    const values = start.values.map((value, i) => value.map((x, j) => x + factor * step * direction[i]![j]!));
    await trainer.load({ ...start, values });
    return (await trainer.evaluate(batch())).loss;
  };
  // Steps of h and 2h: the error of order h^2 cancels.
  const slope = async (factor: number) => ((await lossAt(factor)) - (await lossAt(-factor))) / (2 * factor * step);
  const measured = (4 * (await slope(8)) - (await slope(16))) / 3;
  expect(Math.abs(expected)).toBeGreaterThan(1e-3);
  expect(Math.abs(measured - expected) / Math.abs(expected)).toBeLessThan(1e-2);
}

describe('other adapters', () => {
  const withHead = async (
    adapter: AdapterConfig,
    change: Partial<ModelConfig>,
    prefix: string,
    batch: (final: { official: Tensor; paper: Tensor }) => Batch,
  ) => {
    const heads = await readSafetensors(golden('heads.safetensors'));
    const final = {
      official: (await readSafetensors(modelGolden('official/tokens.safetensors'))).final!,
      paper: (await readSafetensors(modelGolden('paper/io.safetensors'))).final!,
    };
    const weights = (name: string) => heads[`${prefix}.state.${name.slice(ADAPTER_PREFIX.length)}`];
    return training({ ...official, ...change, adapter }, adamw, weights, async (trainer) => {
      const { prediction } = await trainer.evaluate(batch(final));
      expect(largestDifference(prediction, floats(heads[`${prefix}.out`]))).toBeLessThan(2e-5);
      await checkDirection(trainer, () => batch(final));
    });
  };
  const target = (side: number) => ({
    depth: { data: Float32Array.from({ length: 2 * side * side }, (_, i) => Math.cos(i)), dims: [2, 1, side, side] },
    valid: { data: new Float32Array(2 * side * side).fill(1), dims: [2, 1, side, side] },
  });
  const mean = (tensor: Tensor) => {
    const [batch, tokens, dim] = tensor.shape as [number, number, number];
    const all = floats(tensor);
    const data = new Float32Array(batch * dim);
    for (let i = 0; i < all.length; i++) data[Math.floor(i / (tokens * dim)) * dim + (i % dim)]! += all[i]! / tokens;
    return { data, dims: [batch, dim] };
  };

  test('ConvNeXt', () =>
    withHead(
      { kind: 'convnext', embedDim: 128, subPatches: 16, blocks: 2 },
      { loss: 'mse' },
      'convnext',
      ({ official: final }) => ({
        'tokens.3': firstTokens(final, 16),
        ...target(64),
      }),
    ));

  test('linear classifier', () =>
    withHead({ kind: 'classifier', classes: 7 }, { loss: 'cross-entropy' }, 'linear', ({ official: final }) => ({
      pooled: mean(final),
      label: { data: Int32Array.of(3, 5), dims: [2] },
    })));

  test.each(['mean', 'last'] as const)('the linear depth adapter of the paper on the %s token', (pooling) =>
    withHead(
      { kind: 'linear', pooling, hidden: [24, 20] },
      { encoder: { ...paperConfig, image: 16 }, loss: 'mse' },
      `depth.${pooling}`,
      ({ paper: final }) => {
        const [batch, tokens, dim] = final.shape as [number, number, number];
        const data = new Float32Array(batch * dim);
        for (let b = 0; b < batch; b++) {
          data.set(floats(final).subarray(((b + 1) * tokens - 1) * dim, (b + 1) * tokens * dim), b * dim);
        }
        return { pooled: pooling === 'mean' ? mean(final) : { data, dims: [batch, dim] }, ...target(16) };
      },
    ),
  );
});
