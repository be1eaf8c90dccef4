/** What one optimizer step of a configuration costs on this machine, measured on the model itself. */
import type { Value } from '../onnx/graph.js';
import { openTrainer } from '../train/trainer.js';
import { type ModelConfig, modelWeights, trainingGraph } from '../train/trainingGraph.js';
import type { Batch } from '../train/types.js';
import type { ExperimentConfig } from './config.js';
import { optimizerOf } from './trainRun.js';

export interface StepCost {
  readonly stepSeconds: number;
  /** Validation of one mini-batch. */
  readonly validationSeconds: number;
  /** By how much resident memory grew. */
  readonly memoryBytes: number;
}

/** Steps are timed until this has passed, after one that is not. */
const TIMED_MS = 1000;

/** Trains on noise for about a second: what is in the samples and the weights does not matter to the clock. */
export async function measureStep(config: ExperimentConfig, model: ModelConfig, threads: number): Promise<StepCost> {
  const { batch } = config.training;
  const before = process.memoryUsage().rss;
  const training = trainingGraph(model, batch, true);
  const validation = trainingGraph(model, batch, false);
  const shapes = modelWeights(model);
  const trainer = await openTrainer({
    training,
    validation,
    encoder: model.encoder,
    optimizer: optimizerOf(config),
    weights: async (name) => noise(sizeOf(shapes.get(name)!), 0.02),
    threads,
    device: config.encoder.device,
  });
  try {
    const weights = new Set(training.trained.map(({ name }) => name));
    const inputs = training.graph.inputs.filter(({ name }) => !weights.has(name));
    const timed = async (work: () => Promise<unknown>) => {
      await work();
      const start = performance.now();
      let count = 0;
      do {
        await work();
        count++;
      } while (performance.now() - start < TIMED_MS);
      return (performance.now() - start) / 1000 / count;
    };
    const count = trainer.stepsAtATime;
    const rates = Array.from({ length: count }, () => 1e-6);
    const callSeconds = await timed(() =>
      trainer.steps(
        rates.map(() => noiseBatch(inputs)),
        rates,
      ),
    );
    const stepSeconds = callSeconds / count;
    const validationSeconds = await timed(() => trainer.evaluate(noiseBatch(inputs)));
    return { stepSeconds, validationSeconds, memoryBytes: Math.max(0, process.memoryUsage().rss - before) };
  } finally {
    await trainer.close();
  }
}

function noiseBatch(inputs: readonly Value[]): Batch {
  return Object.fromEntries(
    inputs.map(({ name, dtype, shape }) => {
      const dims = shape as number[];
      const size = sizeOf(dims);
      if (dtype === 'int32') return [name, { data: new Int32Array(size), dims }];
      return [name, { data: name === 'valid' ? new Float32Array(size).fill(1) : noise(size, 1), dims }];
    }),
  );
}

/** Numbers in [-amplitude, amplitude], always the same. */
function noise(size: number, amplitude: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return amplitude * (state / 2 ** 31 - 1);
  });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}
