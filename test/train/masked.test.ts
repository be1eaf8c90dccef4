import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { initialWeight } from '#lib/models/initialise.js';
import { encoderLayers } from '#lib/models/multimae.js';
import { differentiate } from '#lib/onnx/differentiate.js';
import { addInput, addOutput, createGraph, type Graph, type Value } from '#lib/onnx/graph.js';
import { serializeInline } from '#lib/onnx/serialize.js';
import { maskedCrossEntropy, maskedSquaredError, meanOfMasked } from '#lib/train/losses.js';
import { type MaskedConfig, visibleTokens } from '#lib/train/maskedGraph.js';
import { standardiseDepth } from '#lib/train/standardDepth.js';
import { openTrainer, type Trainer } from '#lib/train/trainer.js';
import { modelWeights, trainingGraph } from '#lib/train/trainingGraph.js';
import type { Batch } from '#lib/train/types.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import type { Tensor } from '#lib/weights/tensor.js';
import { largestDifference, officialConfig, paperConfig } from '../models/golden.js';

const read = (name: string) => readSafetensors(fileURLToPath(new URL(`../golden/train/${name}`, import.meta.url)));
const file = await read('masked.safetensors');
const targets = await read('masked-targets.safetensors');

const model: MaskedConfig = {
  encoder: { ...officialConfig, dim: 32, depth: 2, heads: 2, patch: 8, image: 32, semsegClasses: 5, classEmbedding: 8 },
  decoder: { dim: 16, depth: 2, heads: 2 },
  rebuilt: ['rgb', 'semseg'],
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

async function training<T>(
  config: MaskedConfig,
  work: (trainer: Trainer) => Promise<T>,
  stepsInGraph = false,
): Promise<T> {
  const trainer = await openTrainer({
    training: trainingGraph(config, 3, true),
    validation: trainingGraph(config, 3, false),
    encoder: config.encoder,
    optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 },
    device: 'cpu',
    stepsInGraph,
    threads: 1,
    weights: async (name) => floats(file[`state.${name}`] ?? targets[`state.${name}`]).slice(),
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

/** Largest difference over the largest entry; the true gradient of a key's bias is 0, so it is left out. */
function relativeDifference(name: string, ours: Float32Array, truth: Float32Array): number {
  const third = truth.length / 3;
  const keep = (_: number, at: number) =>
    (!name.endsWith('qkv.bias') || at < third || at >= 2 * third) &&
    (!name.endsWith('decoder.kv.bias') || at >= truth.length / 2);
  const [a, b] = [ours.filter(keep), truth.filter(keep)];
  return largestDifference(a, b) / b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

test('depth, which the encoder does not see, and normalised pixels: the official code again', async () => {
  const all: MaskedConfig = { ...model, rebuilt: ['rgb', 'semseg', 'depth', 'norm_rgb'] };
  const depth = floats(targets['io.metres']).slice();
  const valid = new Float32Array(depth.length).fill(1);
  const size = 32 * 32;
  for (let i = 0; i < 3; i++) {
    standardiseDepth(depth.subarray(i * size, (i + 1) * size), valid.subarray(i * size, (i + 1) * size));
  }
  expect(largestDifference(depth, floats(targets['io.depth']))).toBeLessThan(1e-5);
  const dims = [3, 1, 32, 32];
  const feeds = (): Batch => ({
    ...batch(),
    depth: { data: depth.slice(), dims },
    valid: { data: valid.slice(), dims },
  });
  const losses = all.rebuilt.map((task) => floats(targets[`io.loss.${task}`])[0]!);
  await training(all, async (trainer) => {
    const { loss, gradients } = await trainer.gradients(feeds());
    expect(loss).toBeCloseTo(
      losses.reduce((sum, x) => sum + x),
      4,
    );
    expect(trainer.names).not.toContain('output_adapters.depth.pos_emb');
    const expected = Object.keys(targets).filter((name) => name.startsWith('gradient.'));
    const ours = new Map(trainer.names.map((name, i) => [`gradient.${name}`, gradients[i]!]));
    expect(expected.length).toBeGreaterThan(80);
    for (const name of expected) {
      expect(relativeDifference(name, ours.get(name)!, floats(targets[name])), name).toBeLessThan(2e-5);
    }
    const { prediction } = await trainer.evaluate(feeds());
    losses.forEach((truth, task) => {
      expect(prediction.filter((_, i) => i % 4 === task).reduce((sum, x) => sum + x / 3, 0)).toBeCloseTo(truth, 5);
    });
    // Pixels without depth count for nothing.
    const holes = feeds();
    for (let i = 0; i < size / 2; i++) holes.valid!.data[i] = 0;
    const other = { ...holes, depth: { data: (holes.depth!.data as Float32Array).slice(), dims } };
    for (let i = 0; i < size / 2; i++) other.depth!.data[i] = 77;
    const copy = (from: Batch): Batch =>
      Object.fromEntries(Object.entries(from).map(([name, { data, dims }]) => [name, { data: data.slice(), dims }]));
    expect((await trainer.evaluate(copy(other))).prediction).toEqual((await trainer.evaluate(copy(holes))).prediction);
  });
});

test('depth is standardised over valid pixels; an image that has next to none counts for nothing', () => {
  const depth = Float32Array.of(0, 3, 0, 1, 2, 100);
  const valid = Float32Array.of(0, 1, 0, 1, 1, 1);
  standardiseDepth(depth, valid);
  // Of 1, 2, 3, 100 the first tenth is none and the last tenth is 100.
  expect([...depth].map((x) => Math.round(x * 1e4) / 1e4)).toEqual([0, 1, 0, -1, 0, 98]);
  expect([...valid]).toEqual([0, 1, 0, 1, 1, 1]);
  const one = Float32Array.of(0, 1);
  standardiseDepth(Float32Array.of(0, 5), one);
  expect([...one]).toEqual([0, 0]);
});

test('losses and gradients are those of the official code', async () => {
  const [rgb, semseg] = [floats(file['io.loss.rgb'])[0]!, floats(file['io.loss.semseg'])[0]!];
  await training(model, async (trainer) => {
    const { loss, gradients } = await trainer.gradients(batch());
    expect(loss).toBeCloseTo(rgb + semseg, 5);
    const expected = Object.keys(file).filter((name) => name.startsWith('gradient.'));
    expect(new Set(trainer.names.map((name) => `gradient.${name}`))).toEqual(new Set(expected));
    trainer.names.forEach((name, i) => {
      expect(relativeDifference(name, gradients[i]!, floats(file[`gradient.${name}`])), name).toBeLessThan(2e-5);
    });
    const { prediction } = await trainer.evaluate(batch());
    const mean = (task: number) => prediction.filter((_, i) => i % 2 === task).reduce((sum, x) => sum + x / 3, 0);
    expect(mean(0)).toBeCloseTo(rgb, 5);
    expect(mean(1)).toBeCloseTo(semseg, 5);
  });
});

test('steps in one graph, as on CUDA, are the plain steps', async () => {
  const all: MaskedConfig = { ...model, rebuilt: ['rgb', 'semseg', 'depth', 'norm_rgb'] };
  const dims = [3, 1, 32, 32];
  const one = (): Batch => ({
    ...batch(),
    depth: { data: floats(targets['io.depth']).slice(), dims },
    valid: { data: new Float32Array(3 * 32 * 32).fill(1), dims },
  });
  const three = (trainer: Trainer) => trainer.steps([one(), one(), one()], [1e-3, 1e-3, 1e-3]);
  const plain = await training(all, three);
  expect(plain[2]).toBeLessThan(plain[0]!);
  expect(largestDifference(await training(all, three, true), plain)).toBeLessThan(1e-5);
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

const wave = (length: number, seed: number) => Float32Array.from({ length }, (_, i) => Math.sin(7.3 * i + seed));

test("the paper's variant: gradients are the slopes of the loss", async () => {
  const paper: MaskedConfig = {
    ...model,
    encoder: { ...paperConfig, depth: 1, heads: 2, patch: 8, image: 32, semsegClasses: 4 },
    decoder: { dim: 16, depth: 1, heads: 2 },
    rebuilt: ['rgb', 'semseg', 'norm_rgb'],
  };
  const shapes = modelWeights(paper);
  const labels = Int32Array.from({ length: 2 * 32 * 32 }, (_, i) => (i * 7 + (i >> 5)) % 5); // 4 is padding
  const feeds = (): Batch => ({
    rgb: { data: wave(2 * 3 * 32 * 32, 1), dims: [2, 3, 32, 32] },
    semseg: { data: labels.slice(), dims: [2, 32, 32] },
    visible: { data: Int32Array.of(0, 2, 4, 9, 15, 16, 22, 30, 1, 3, 18, 20, 21, 25, 28, 31), dims: [2, 8] },
  });
  const trainer = await openTrainer({
    training: trainingGraph(paper, 2, true),
    validation: trainingGraph(paper, 2, false),
    encoder: paper.encoder,
    optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, layerDecay: 1 },
    device: 'cpu',
    threads: 1,
    // Off the first values, at which mask tokens and biases are 0.
    weights: async (name) =>
      initialWeight(paper.encoder, name, shapes.get(name)!, 3).map((x, i) => x + 0.1 * Math.cos(i)),
  });
  try {
    expect(trainer.names).toContain('input_adapters.rgb.pos_emb');
    const { gradients } = await trainer.gradients(feeds());
    const state = await trainer.save();
    for (const [i, name] of trainer.names.entries()) {
      const gradient = gradients[i]!;
      const length = Math.hypot(...gradient);
      const lossAt = async (by: number) => {
        const moved = state.values[i]!.map((x, k) => x + (by * gradient[k]!) / length);
        await trainer.load({ ...state, values: state.values.map((value, k) => (k === i ? moved : value)) });
        return (await trainer.evaluate(feeds())).loss;
      };
      const step = 5e-3;
      const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      expect(Math.abs(slope - length), `${name}: ${slope} instead of ${length}`).toBeLessThan(0.02 * length + 1e-3);
    }
  } finally {
    await trainer.close();
  }
});

test('what is hidden cannot be seen: labels of a masked patch change nothing of what is said about rgb', async () => {
  await training(model, async (trainer) => {
    const before = (await trainer.evaluate(batch())).prediction;
    const changed = (patch: number) => {
      const feeds = batch();
      // Patch 0 of 4 x 4 of the first sample, 2 x 2 labels.
      const [row, column] = [2 * Math.floor(patch / 4), 2 * (patch % 4)];
      for (const at of [0, 1, 8, 9]) feeds.semseg!.data[8 * row + column + at]! ^= 1;
      return trainer.evaluate(feeds).then(({ prediction }) => prediction);
    };
    // The first sample sees patches 0, 1, 4 and 15 of its labels.
    const hidden = await changed(2);
    expect(hidden[0]).toBe(before[0]);
    expect(hidden[1]).not.toBe(before[1]);
    const visible = await changed(4);
    expect(visible[0]).not.toBe(before[0]);
    for (const other of [2, 3, 4, 5]) expect(visible[other]).toBe(before[other]);
  });
});

/** Values of `outputs`, which `build` names, on these feeds. */
async function evaluate(build: (graph: Graph) => Record<string, Value>, feeds: Record<string, OrtTensor>) {
  const graph = createGraph();
  for (const [name, value] of Object.entries(build(graph))) addOutput(graph, name, value);
  const weights = new Map(graph.parameters.map(({ tensor }) => [tensor, floats(file[`state.${tensor}`])]));
  const session = await InferenceSession.create(serializeInline(graph, weights), { logSeverityLevel: 3 });
  const outputs = await session.run(feeds);
  await session.release();
  return (name: string) => outputs[name]!.data as Float32Array;
}

test('visible patches contribute nothing: neither their targets nor their predictions matter', async () => {
  const masked = Float32Array.of(1, 0, 1, 0, 0, 1);
  const run = (target: Float32Array, labels: Int32Array) =>
    evaluate(
      (graph) => {
        const [pixels, logits] = [
          addInput(graph, 'p', 'float32', [2, 3, 4]),
          addInput(graph, 'l', 'float32', [2, 3, 2, 3]),
        ];
        const mask = addInput(graph, 'mask', 'float32', [2, 3, 1]);
        const rgb = meanOfMasked(
          graph,
          maskedSquaredError(graph, pixels, addInput(graph, 't', 'float32', [2, 3, 4]), mask),
        );
        const semseg = meanOfMasked(
          graph,
          maskedCrossEntropy(graph, logits, addInput(graph, 'labels', 'int32', [2, 3, 2]), mask),
        );
        const [dp] = differentiate(graph, rgb, [pixels]);
        const [dl] = differentiate(graph, semseg, [logits]);
        return { rgb, semseg, dp: dp!, dl: dl! };
      },
      {
        p: new OrtTensor('float32', wave(24, 1), [2, 3, 4]),
        l: new OrtTensor('float32', wave(36, 2), [2, 3, 2, 3]),
        mask: new OrtTensor('float32', masked, [2, 3, 1]),
        t: new OrtTensor('float32', target, [2, 3, 4]),
        labels: new OrtTensor('int32', labels, [2, 3, 2]),
      },
    );
  const [target, labels] = [wave(24, 5), Int32Array.of(0, 1, 2, 0, 1, 2, 2, 1, 0, 2, 1, 0)];
  const plain = await run(target, labels);
  const patchOf = (i: number, size: number) => Math.floor(i / size);
  const elsewhere = await run(
    target.map((x, i) => (masked[patchOf(i, 4)] === 0 ? x + 3 : x)),
    labels.map((x, i) => (masked[patchOf(i, 2)] === 0 ? (x + 1) % 3 : x)),
  );
  // Zeros may have another sign.
  for (const name of ['rgb', 'semseg', 'dp', 'dl'])
    expect(largestDifference(elsewhere(name), plain(name)), name).toBe(0);
  for (const [name, size] of [
    ['dp', 4],
    ['dl', 6],
  ] as const) {
    for (const [i, x] of plain(name).entries()) expect(x !== 0, `${name} ${i}`).toBe(masked[patchOf(i, size)] === 1);
  }
  const moved = await run(
    target.map((x, i) => (i === 0 ? x + 3 : x)),
    labels.map((x, i) => (i === 0 ? (x + 1) % 3 : x)),
  );
  expect(moved('rgb')).not.toEqual(plain('rgb'));
  expect(moved('semseg')).not.toEqual(plain('semseg'));
  // Two masked patches in the first sample, one in the second: the mean of both samples' means.
  const square = (patch: number) =>
    [0, 1, 2, 3].reduce((sum, k) => sum + (wave(24, 1)[4 * patch + k]! - target[4 * patch + k]!) ** 2 / 4, 0);
  expect(plain('rgb')[0]).toBeCloseTo(((square(0) + square(2)) / 2 + square(5)) / 2, 5);
});

test('an encoder that sees all patches is the ordinary encoder', async () => {
  const { encoder } = model;
  const feeds = {
    rgb: new OrtTensor('float32', floats(file['io.rgb']), [3, 3, 32, 32]),
    semseg: new OrtTensor('int32', file['io.semseg']!.data as Int32Array, [3, 8, 8]),
  };
  const all = Int32Array.from({ length: 3 * 32 }, (_, i) => i % 32);
  const whole = await evaluate((graph) => ({ tokens: encoderLayers(graph, encoder, 2, 3).at(-1)! }), feeds);
  const seen = await evaluate((graph) => ({ tokens: visibleTokens(graph, { encoder, visible: 32 }, 3).tokens }), {
    ...feeds,
    visible: new OrtTensor('int32', all, [3, 32]),
  });
  expect(seen('tokens')).toHaveLength(3 * 33 * 32);
  expect(largestDifference(seen('tokens'), whole('tokens'))).toBeLessThan(1e-6);
});
