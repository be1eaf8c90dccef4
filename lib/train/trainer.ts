import { availableParallelism } from 'node:os';
import type { MultimaeConfig } from '../models/config.js';
import { createModelFolder } from '../onnx/modelFolder.js';
import type { SessionOptions } from '../onnx/session.js';
import { startThread } from '../onnx/thread.js';
import { type Optimizer, weightOptions } from './optimizer.js';
import type { TrainerSetup, TrainerState } from './trainerWorker.js';
import type { TrainingGraph } from './trainingGraph.js';
import type { Batch } from './types.js';

export type { TrainerState } from './trainerWorker.js';

export interface TrainerOptions extends SessionOptions {
  /** Graph with gradients. */
  readonly training: TrainingGraph;
  /** Graph of the same weights without gradients, for validation; its batch may have another size. */
  readonly validation: TrainingGraph;
  readonly encoder: MultimaeConfig;
  readonly optimizer: Optimizer;
  /** Reads a weight by its name in a checkpoint, float32 and row-major. */
  weights(name: string): Promise<Float32Array>;
}

/** A model in training, in a thread of its own. Calls are queued. Close it when done. */
export interface Trainer {
  readonly provider: 'cpu' | 'cuda';
  /** Names of the trained weights, in the order of every list of a `TrainerState`. */
  readonly names: readonly string[];
  /**
   * One step of the optimizer on a mini-batch; returns the loss before it. The batch's buffers are given up.
   * ModelError `ERR_TRAINING_DIVERGED` where the loss is not finite.
   */
  step(batch: Batch, learningRate: number): Promise<number>;
  /** Loss and prediction of a batch; nothing is changed, but the batch's buffers are given up. */
  evaluate(batch: Batch): Promise<{ loss: number; prediction: Float32Array }>;
  /** Loss and gradients of a batch, in the order of `names`; nothing is changed. */
  gradients(batch: Batch): Promise<{ loss: number; gradients: Float32Array[] }>;
  /** A copy of weights and moments, to go on from later: training from it is bit-identical. */
  save(): Promise<TrainerState>;
  load(state: TrainerState): Promise<void>;
  close(): Promise<void>;
}

/**
 * Makes the sessions of a model and gives it its first weights. ModelError `ERR_ONNX_LOAD`, `ERR_CUDA_UNAVAILABLE`,
 * `ERR_TEMPORARY_FOLDER`, and what `weights` throws.
 */
export async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { training, validation, encoder, optimizer, threads = 0, device = 'auto' } = options;
  const { trained, gradients } = training;
  const each = trained.map(({ name, shape }) => weightOptions(optimizer, encoder, name, shape));
  const folders = await Promise.all([training, validation].map(({ graph }) => createModelFolder(graph)));
  try {
    for (const [i, { graph }] of [training, validation].entries()) {
      for (const tensor of new Set(graph.parameters.map((parameter) => parameter.tensor))) {
        await folders[i]!.put(tensor, await options.weights(tensor));
      }
    }
    const [trainPath, evaluatePath] = await Promise.all(folders.map((folder) => folder.finish()));
    const setup: TrainerSetup = {
      device,
      threads: threads || availableParallelism(),
      trainPath: trainPath!,
      evaluatePath: evaluatePath!,
      names: trained.map(({ name }) => name),
      shapes: trained.map(({ shape }) => shape),
      gradients,
      optimizer,
      scales: each.map(({ scale }) => scale),
      decays: each.map(({ decay }) => decay),
    };
    const thread = await startThread<'cpu' | 'cuda'>(new URL('./trainerWorker.js', import.meta.url), setup);
    const values: Float32Array[] = [];
    for (const { name } of trained) values.push(await options.weights(name));
    const zeros = values.map((value) => new Float32Array(value.length));
    await thread.call('load', { step: 0, values, first: zeros, second: zeros } satisfies TrainerState);
    return {
      provider: thread.opened,
      names: setup.names,
      step: (batch, learningRate) => thread.call('step', { feeds: batch, learningRate }, buffersOf(batch)),
      evaluate: (batch) => thread.call('evaluate', { feeds: batch }, buffersOf(batch)),
      gradients: (batch) => thread.call('gradients', { feeds: batch }),
      save: () => thread.call('save', undefined),
      load: (state) => thread.call('load', state),
      close: thread.close,
    };
  } finally {
    await Promise.all(folders.map((folder) => folder.remove()));
  }
}

function buffersOf(batch: Batch): ArrayBuffer[] {
  return [...new Set(Object.values(batch).map(({ data }) => data.buffer as ArrayBuffer))];
}
