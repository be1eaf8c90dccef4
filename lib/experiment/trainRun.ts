/** One training run of the grid. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeNpy } from '../formats/npy.js';
import type { JobOptions } from '../progress.js';
import type { Optimizer } from '../train/optimizer.js';
import { exportOnnx, saveWeights } from '../train/saveModel.js';
import { train } from '../train/train.js';
import type { ExperimentConfig } from './config.js';
import { firstWeights } from './model.js';
import type { Draw } from './openDraw.js';
import { keyOf, type Measured, type RunStore } from './runStore.js';

/** What a run depends on beside the draw and the training options. */
export interface RunSpec {
  /** Rows of the pool, ascending. */
  readonly rows: Int32Array;
  readonly steps: number;
  readonly trainSeed: number;
}

/** sha256 of everything that decides the result of a run. */
export function runKey(config: ExperimentConfig, draw: Draw, { rows, steps, trainSeed }: RunSpec): string {
  // What is kept of a run does not change it.
  const { batch, evaluations, average, keepModels: _, ...training } = config.training;
  const subset =
    rows.length === draw.pool.samples.length ? 'all' : Array.from(rows, (row) => draw.pool.samples[row]!.id);
  const { identity, model } = draw;
  return keyOf({ identity, model, training, batch, evaluations, average, subset, steps, trainSeed });
}

/** The optimizer that a configuration describes. */
export function optimizerOf({ training }: ExperimentConfig): Optimizer {
  const { optimizer: kind, weightDecay, layerDecay } = training;
  return { kind, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay, layerDecay };
}

/** Where the weights of a run are kept, if they are. */
export function modelFile(store: RunStore, key: string): string {
  return join(store.folderOf(key), 'model.safetensors');
}

/** The run of a key, if the store has it and, where the model is to be kept, that too. */
export async function finishedRun(store: RunStore, key: string, keepModel: boolean): Promise<Measured | undefined> {
  const run = await store.find(key);
  return run && (!keepModel || existsSync(modelFile(store, key))) ? run : undefined;
}

/** Trains a run and stores it. */
export async function trainRun(
  config: ExperimentConfig,
  draw: Draw,
  spec: RunSpec,
  store: RunStore,
  encoderWeight: (name: string) => Promise<Float32Array>,
  options: JobOptions & { threads: number; keepPredictions: boolean; keepModel: boolean },
): Promise<Measured> {
  const key = runKey(config, draw, spec);
  const { rows, steps, trainSeed } = spec;
  const { training, seeds, encoder } = config;
  const folder = store.folderOf(key);
  await mkdir(folder, { recursive: true });
  const seed = seeds.first + trainSeed;
  const first = firstWeights(draw.model, seed, encoderWeight);
  const rowsOfPool = draw.pool.samples.length;
  const data = draw.trainOn(rows);
  const pool = rows.length === rowsOfPool ? data : draw.trainOn(Int32Array.from({ length: rowsOfPool }, (_, i) => i));
  const { predictions, weights, ...result } = await train({
    model: draw.model,
    weights: first,
    data,
    validation: draw.validateOn,
    pool,
    optimizer: optimizerOf(config),
    schedule: {
      learningRate: training.learningRate,
      shape: training.schedule,
      warmupSteps: Math.floor(training.warmup * steps),
    },
    steps,
    batch: training.batch,
    seed,
    evaluations: Math.min(training.evaluations, steps),
    average: training.average,
    folder,
    threads: options.threads,
    device: encoder.device,
    signal: options.signal,
    onProgress: options.onProgress,
  });
  if (options.keepPredictions && config.task === 'depth') {
    const side = draw.model.encoder.image;
    await writeNpy(join(folder, 'predictions.npy'), {
      data: predictions,
      shape: [predictions.length / side ** 2, side, side],
    });
  }
  if (options.keepModel) {
    const trained = async (name: string) => weights.get(name) ?? (await first(name));
    await exportOnnx(join(folder, 'model.onnx'), draw.model, trained);
    await saveWeights(modelFile(store, key), draw.model, trained);
  }
  const measured: Measured = { key, samples: rows.length, steps, ...result };
  await store.put(measured);
  return measured;
}
