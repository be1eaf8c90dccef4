import { availableParallelism } from 'node:os';
import type { MultimaeConfig } from '../models/config.js';
import { createModelFolder, type ModelFolder } from '../onnx/modelFolder.js';
import { type Execution, operatorsOnCpu } from '../onnx/placement.js';
import type { SessionOptions } from '../onnx/session.js';
import { startThread } from '../onnx/thread.js';
import { type Optimizer, weightOptions } from './optimizer.js';
import { scanGraph } from './scanGraph.js';
import type { TrainerOpened, TrainerSetup, TrainerState } from './trainerWorker.js';
import type { TrainingGraph } from './trainingGraph.js';
import type { Batch } from './types.js';

export type { TrainerState } from './trainerWorker.js';

/** Steps of one run of the model on CUDA: what goes over the bus once a run is then little beside them. */
const STEPS_IN_GRAPH = 16;
/** Bytes of mini-batches that such a run may take: they are on the device all at once. */
const STACK_BYTES = 2 ** 29;

export interface TrainerOptions extends SessionOptions {
  /** Graph with gradients. */
  readonly training: TrainingGraph;
  /** Graph of the same weights without gradients, for validation; its batch may have another size. */
  readonly validation: TrainingGraph;
  readonly encoder: MultimaeConfig;
  readonly optimizer: Optimizer;
  /**
   * Whether the steps are taken in the graph (`scanGraph`); if not given, on CUDA alone. The other way round for tests, since
   * it is slower on the CPU, and for measuring on CUDA.
   */
  readonly stepsInGraph?: boolean | undefined;
  /** Reads a weight by its name in a checkpoint, float32 and row-major. */
  weights(name: string): Promise<Float32Array>;
}

/** A model in training, in a thread of its own. Calls are queued. Close it when done. */
export interface Trainer extends Execution {
  /** Names of the trained weights, in the order of every list of a `TrainerState`. */
  readonly names: readonly string[];
  /** How many mini-batches `steps` should get where the caller has as many: 1 on the CPU, up to 16 on CUDA. */
  readonly stepsAtATime: number;
  /**
   * Steps of the optimizer, one for each mini-batch at its learning rate; returns the loss before each. How steps are
   * divided into calls changes no bit. The batches' buffers are given up. ModelError `ERR_TRAINING_DIVERGED` where a
   * loss is not finite; the weights are then those before that step.
   */
  steps(batches: readonly Batch[], learningRates: readonly number[]): Promise<Float32Array>;
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
  const { training, validation, encoder, optimizer, threads = 0, device = 'auto', stepsInGraph } = options;
  const { trained, gradients } = training;
  const each = trained.map(({ name, shape }) => weightOptions(optimizer, encoder, name, shape));
  const graphs = [training.graph, validation.graph];
  if (stepsInGraph ?? device !== 'cpu') graphs.push(scanGraph(training, optimizer, each));
  const folders: ModelFolder[] = [];
  try {
    for (const [i, graph] of graphs.entries()) {
      folders.push(await createModelFolder(graph));
      for (const tensor of new Set(graph.parameters.map((parameter) => parameter.tensor))) {
        await folders[i]!.put(tensor, await options.weights(tensor));
      }
    }
    const [trainPath, evaluatePath, scanPath] = await Promise.all(folders.map((folder) => folder.finish()));
    const setup: TrainerSetup = {
      device,
      threads: threads || availableParallelism(),
      trainPath: trainPath!,
      evaluatePath: evaluatePath!,
      scanPath,
      stepsInGraph,
      names: trained.map(({ name }) => name),
      shapes: trained.map(({ shape }) => shape),
      gradients: gradients.map(({ name, shape }) => ({ name, shape: shape as number[] })),
      optimizer,
      each,
    };
    const thread = await startThread<TrainerOpened>(new URL('./trainerWorker.js', import.meta.url), setup);
    const values: Float32Array[] = [];
    for (const { name } of trained) values.push(await options.weights(name));
    const zeros = values.map((value) => new Float32Array(value.length));
    await thread.call('load', { step: 0, values, first: zeros, second: zeros } satisfies TrainerState);
    const { provider, inGraph } = thread.opened;
    return {
      provider,
      tf32: thread.tf32 && provider === 'cuda',
      get onCpu() {
        return operatorsOnCpu(thread.placements);
      },
      names: setup.names,
      stepsAtATime: inGraph ? stepsThatFit(training) : 1,
      steps: (batches, learningRates) => thread.call('steps', { batches, learningRates }, buffersOf(batches)),
      evaluate: (batch) => thread.call('evaluate', { feeds: batch }, buffersOf([batch])),
      gradients: (batch) => thread.call('gradients', { feeds: batch }),
      save: () => thread.call('save', undefined),
      load: (state) => thread.call('load', state),
      close: thread.close,
    };
  } finally {
    await Promise.all(folders.map((folder) => folder.remove()));
  }
}

function stepsThatFit({ graph, trained }: TrainingGraph): number {
  const weights = new Set(trained.map(({ name }) => name));
  const samples = graph.inputs.filter(({ name }) => !weights.has(name));
  const bytes = samples.reduce((sum, { shape }) => sum + 4 * (shape as number[]).reduce((a, b) => a * b, 1), 0);
  return Math.max(1, Math.min(STEPS_IN_GRAPH, Math.floor(STACK_BYTES / bytes)));
}

function buffersOf(batches: readonly Batch[]): ArrayBuffer[] {
  return [...new Set(batches.flatMap((batch) => Object.values(batch).map(({ data }) => data.buffer as ArrayBuffer)))];
}
