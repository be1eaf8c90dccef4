/**
 * A DPT training step from cached tokens beside PyTorch's, and how fast tokens are cached.
 *
 *   node bench/training.mjs                             ours alone
 *   node bench/training.mjs --python .venv/bin/python   ours and PyTorch, taking turns in one run
 *
 * Batch 4, 224 px, tokens 768 wide, layer_dims 96-192-384-768, berHu, AdamW. CPU seconds are those of the whole process.
 * Options: --threads 2, --repeats 10, --only <part of a case's name>, --out bench/results/training-<date>.json
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { generateScenes, openDataset, openEncoder, presets } from 'coregain';
import { spreadOf } from '#lib/bench/statistics.js';
import { openImages } from '#lib/train/images.js';
import { openTokenStore } from '#lib/train/tokenStore.js';
import { openTrainer } from '#lib/train/trainer.js';
import { modelWeights, trainingGraph } from '#lib/train/trainingGraph.js';
import { here, optionsOf, save } from './script.mjs';

const { python, threads, repeats, only, out } = optionsOf('training', {
  python: undefined,
  threads: 2,
  repeats: 10,
  only: '',
});
const BATCH = 4;
const LAYER_DIMS = [96, 192, 384, 768];
const ADAMW = { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4, layerDecay: 1 };
const size = (shape) => shape.reduce((product, dim) => product * dim, 1);
const noise = (length, amplitude) => Float32Array.from({ length }, () => amplitude * (2 * Math.random() - 1));

const modelOf = (featureDim, mainTasks) => ({
  encoder: presets.base,
  adapter: { kind: 'dpt', variant: 'paper', hooks: [2, 5, 8, 11], layerDims: LAYER_DIMS, featureDim },
  mainTasks,
  training: 'frozen',
  loss: 'berhu',
});

async function ours(model) {
  const training = trainingGraph(model, BATCH, true);
  const shapes = modelWeights(model);
  const trainer = await openTrainer({
    training,
    validation: trainingGraph(model, BATCH, false),
    encoder: model.encoder,
    optimizer: ADAMW,
    weights: async (name) => noise(size(shapes.get(name)), 0.02),
    threads,
    device: 'cpu',
  });
  const trained = new Set(training.trained.map(({ name }) => name));
  const inputs = training.graph.inputs.filter(({ name }) => !trained.has(name));
  const batch = () =>
    Object.fromEntries(
      inputs.map(({ name, shape }) => [
        name,
        { data: name === 'valid' ? new Float32Array(size(shape)).fill(1) : noise(size(shape), 1), dims: shape },
      ]),
    );
  return {
    about: {
      who: 'coregain on ONNX Runtime',
      parameters: training.trained.reduce((sum, { shape }) => sum + size(shape), 0),
    },
    async step() {
      const feeds = [batch()];
      const [cpu, wall] = [process.cpuUsage(), performance.now()];
      await trainer.steps(feeds, [1e-4]);
      const used = process.cpuUsage(cpu);
      return { cpu: (used.user + used.system) / 1e6, wall: (performance.now() - wall) / 1000 };
    },
    close: () => trainer.close(),
  };
}

async function pytorch(featureDim, tasks) {
  const script = here('training/torch_dpt.py');
  const given = { feature: featureDim, tasks, batch: BATCH, threads, layers: LAYER_DIMS.join() };
  const args = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(python, [script, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  return {
    about: await next(),
    step() {
      child.stdin.write('\n');
      return next();
    },
    async close() {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

const steps = [];
for (const [featureDim, mainTasks] of [
  [256, ['rgb']],
  [256, ['rgb', 'semseg']],
  [64, ['rgb']],
  [64, ['rgb', 'semseg']],
]) {
  const name = `F=${featureDim} ${mainTasks.join('+')}`;
  if (!name.includes(only)) continue;
  const contestants = { coregain: await ours(modelOf(featureDim, mainTasks)) };
  if (python) contestants.pytorch = await pytorch(featureDim, mainTasks.length);
  const measured = Object.fromEntries(Object.keys(contestants).map((who) => [who, []]));
  for (let round = -2; round < repeats; round++) {
    for (const [who, { step }] of Object.entries(contestants)) {
      const one = await step();
      if (round >= 0) measured[who].push(one); // two rounds warm up
    }
  }
  const result = { name, batch: BATCH, image: 224 };
  for (const [who, list] of Object.entries(measured)) {
    const { about, close } = contestants[who];
    result[who] = {
      ...about,
      cpu: spreadOf(list.map(({ cpu }) => cpu)),
      wall: spreadOf(list.map(({ wall }) => wall)),
      steps: list,
    };
    await close();
  }
  if (result.pytorch) {
    result.cpuTimesPytorch = result.coregain.cpu.median / result.pytorch.cpu.median;
    result.wallTimesPytorch = result.coregain.wall.median / result.pytorch.wall.median;
  }
  steps.push(result);
  const { cpu, wall } = result.coregain;
  const ratio = result.pytorch
    ? `, ${result.cpuTimesPytorch.toFixed(2)}x PyTorch's CPU time, ${result.wallTimesPytorch.toFixed(2)}x its wall time`
    : '';
  console.log(
    `${name}: ${cpu.median.toFixed(2)} CPU s a step (${cpu.min.toFixed(2)}-${cpu.max.toFixed(2)}), ${wall.median.toFixed(2)} s wall${ratio}`,
  );
}

/** Tokens of a frozen encoder into the cache on disk: what the first epoch costs. */
const tokens = [];
for (const [preset, scenes] of [
  ['tiny', 400],
  ['base', 16],
]) {
  if (!`tokens ${preset}`.includes(only)) continue;
  const seconds = [];
  let cached = 0;
  for (let repeat = 0; repeat < 3; repeat++) {
    const folder = mkdtempSync(join(tmpdir(), 'coregain-training-'));
    await generateScenes(join(folder, 'data'), {
      scenes,
      size: presets[preset].image,
      regime: 'uniform',
      seed: 1,
      valFraction: 0.05,
    });
    const dataset = await openDataset(join(folder, 'data'), { split: 'train' });
    const encoder = await openEncoder({ preset, threads, device: 'cpu' });
    const common = { cache: join(folder, 'cache'), depth: true };
    const images = await openImages(dataset, encoder.config, common);
    const model = { ...modelOf(32, ['rgb', 'semseg']), encoder: encoder.config };
    const quarter = encoder.config.depth / 4;
    model.adapter.hooks = [1, 2, 3, 4].map((k) => k * quarter - 1);
    const store = await openTokenStore(images, encoder, model, { ...common, batch: 8 });
    seconds.push(store.seconds);
    cached = dataset.samples.length * 2 * (encoder.config.image / encoder.config.patch) ** 2;
    for (const item of [store, images, encoder, dataset]) await item.close();
    rmSync(folder, { recursive: true });
  }
  const { median, min, max } = spreadOf(seconds.map((s) => cached / s));
  tokens.push({ encoder: preset, hooks: 4, tokens: cached, tokensPerSecond: { median, min, max }, seconds });
  console.log(
    `${preset}: ${Math.round(median)} tokens cached a second, each of 4 blocks (${Math.round(min)}-${Math.round(max)})`,
  );
}

save(out, {
  what: 'DPT training step from cached tokens, batch 4, 224 px, AdamW, contestants in turn; tokens of a frozen encoder cached a second',
  threads,
  steps,
  tokens,
});
