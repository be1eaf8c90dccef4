/**
 * ONNX Runtime on a GPU: how fast it embeds and trains, and which of two ways is faster.
 *
 *   node bench/gpu.mjs                            products in float32, as coregain has it
 *   NVIDIA_TF32_OVERRIDE=1 node bench/gpu.mjs     rounded to TF32
 *
 * Embedding: all tokens back and summed on the CPU, or summed on the GPU. Training: gradients back at every step and the
 * weights updated on the CPU, or K steps in one Scan. Embeddings are compared with those of the CPU. Times are medians.
 * Options: --device cuda, --preset base, --batch 32, --repeats 10, --only <part of a name: embedding, DPT F=64, end to end>,
 * --out bench/results/gpu-<date>.json
 */
import { doctor, openEncoder, presets } from 'coregain';
import { spreadOf } from '#lib/bench/statistics.js';
import { aggregate, aggregationMatrix } from '#lib/embed/aggregate.js';
import { executionOf } from '#lib/onnx/placement.js';
import { openTrainer } from '#lib/train/trainer.js';
import { modelWeights, trainingGraph } from '#lib/train/trainingGraph.js';
import { optionsOf, save } from './script.mjs';

const values = optionsOf('gpu', { device: 'cuda', preset: 'base', batch: 32, repeats: 10, only: '' });
const { device, batch, repeats } = values;
const config = presets[values.preset];
const ADAMW = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 };

const product = (shape) => shape.reduce((size, dim) => size * dim, 1);
/** Numbers within -amplitude..amplitude, the same in every run. */
const wave = (length, amplitude, seed) =>
  Float32Array.from({ length }, (_, i) => amplitude * Math.sin(78.233 * i + seed));

async function median(work) {
  const seconds = [];
  for (let round = -2; round < repeats; round++) {
    const start = performance.now();
    await work();
    if (round >= 0) seconds.push((performance.now() - start) / 1000); // two rounds warm up
  }
  return spreadOf(seconds).median;
}

async function embedding() {
  const encoder = await openEncoder({ config, seed: 1, device });
  const { image, depth } = config;
  const input = (batch) => ({
    ...{ batch, height: image, width: image },
    rgb: wave(batch * 3 * image ** 2, 1, 0),
    semseg: Int32Array.from({ length: batch * (image / config.semsegStride) ** 2 }, (_, i) => i % 7),
  });
  const layer = depth - 1;
  const ranges = encoder.tokenRanges(image, image);
  const tokens = ranges.global[1];
  const matrix = aggregationMatrix('mean', tokens, []);
  const images = input(batch);
  const tokensBack = await median(async () => {
    const [all] = await encoder.encode(images, [layer]);
    for (let i = 0; i < batch; i++) aggregate('mean', all, i, []);
  });
  const summedThere = await median(() => encoder.pool(images, layer, matrix));
  const there = await encoder.pool(input(2), layer, matrix);
  const execution = executionOf(encoder);
  await encoder.close();
  const reference = await openEncoder({ config, seed: 1, device: 'cpu' });
  const [all] = await reference.encode(input(2), [layer]);
  await reference.close();
  const expected = aggregate('mean', all, 1, []);
  const norm = Math.hypot(...expected);
  const off = Math.hypot(...aggregate('concat', there, 1, []).map((value, c) => value - expected[c])) / norm;
  const rate = (seconds) => batch / seconds;
  return {
    batch,
    imagesPerSecond: { tokensBack: rate(tokensBack), summedThere: rate(summedThere) },
    off,
    ...execution,
  };
}

async function training(model, batch) {
  const shapes = modelWeights(model);
  const parameters = trainingGraph(model, batch, true).trained.reduce((sum, { shape }) => sum + product(shape), 0);
  const result = { batch, parameters, secondsPerStep: {} };
  for (const stepsInGraph of [false, true]) {
    const graph = trainingGraph(model, batch, true);
    const trained = new Set(graph.trained.map((weight) => weight.name));
    const inputs = graph.graph.inputs.filter((value) => !trained.has(value.name));
    const trainer = await openTrainer({
      training: graph,
      validation: trainingGraph(model, batch, false),
      encoder: model.encoder,
      optimizer: ADAMW,
      weights: async (weight) => wave(product(shapes.get(weight)), 0.02, weight.length),
      ...{ device, stepsInGraph },
    });
    const mini = () =>
      Object.fromEntries(
        inputs.map(({ name: input, shape, dtype }) => {
          const length = product(shape);
          const data =
            dtype === 'int32'
              ? new Int32Array(length)
              : input === 'valid'
                ? new Float32Array(length).fill(1)
                : wave(length, 1, 2);
          return [input, { data, dims: shape }];
        }),
      );
    for (const count of stepsInGraph ? [1, 4, 16] : [1]) {
      const stacks = Array.from({ length: repeats + 2 }, () => Array.from({ length: count }, mini));
      const seconds = await median(() => trainer.steps(stacks.pop(), Array(count).fill(1e-4)));
      result.secondsPerStep[stepsInGraph ? `scan of ${count}` : 'gradients back'] = seconds / count;
    }
    Object.assign(result, executionOf(trainer));
    await trainer.close();
  }
  return result;
}

const quarter = (k) => Math.ceil((k * config.depth) / 4) - 1;
const dpt = { kind: 'dpt', variant: 'paper', hooks: [1, 2, 3, 4].map(quarter), layerDims: [96, 192, 384, 768] };
const depth = (featureDim, way) => ({
  ...{ encoder: config, adapter: { ...dpt, featureDim }, mainTasks: ['rgb'], training: way, loss: 'berhu' },
});
const cases = {
  embedding,
  'DPT F=64, frozen encoder': () => training(depth(64, 'frozen'), 4),
  'DPT F=256, frozen encoder': () => training(depth(256, 'frozen'), 4),
  'DPT F=64, end to end': () => training(depth(64, 'end-to-end'), 4),
};
const { machine, cuda, providers } = await doctor();
const result = {
  what: 'ONNX Runtime on a GPU',
  device,
  preset: values.preset,
  machine,
  cuda,
  tf32: providers[device]?.tf32,
};
for (const [name, measure] of Object.entries(cases)) {
  if (!name.includes(values.only)) continue;
  result[name] = await measure();
  console.log(name, result[name]);
}
save(values.out, result);
