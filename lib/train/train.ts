/** One training run: steps, validation, checkpoints. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Execution, executionOf } from '../onnx/placement.js';
import type { JobOptions } from '../progress.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { CurvePoint } from './curve.js';
import { meanLoss, type Validation, validate } from './evaluate.js';
import type { Average } from './metrics.js';
import { learningRateAt, type Optimizer, type Schedule } from './optimizer.js';
import { batchOrder } from './order.js';
import { openTrainer, type TrainerOptions } from './trainer.js';
import { type TrainedModel, trainingGraph } from './trainingGraph.js';
import type { TrainingData } from './types.js';

/** Checkpoints are written when a pass has ended, but no more often than this. */
const CHECKPOINT_MS = 10_000;

export interface TrainOptions extends JobOptions, Pick<TrainerOptions, 'stepsInGraph'> {
  readonly model: TrainedModel;
  /** Reads a weight by its name in a checkpoint, float32: trained ones their first values, frozen ones theirs. */
  weights(name: string): Promise<Float32Array>;
  readonly data: TrainingData;
  readonly validation: TrainingData;
  /** All that `data` was chosen from, or `data` itself: the loss after the last step is measured on both. */
  readonly pool?: TrainingData | undefined;
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly steps: number;
  /** Samples of a mini-batch, for validation too. */
  readonly batch: number;
  /** Of the order of the samples. */
  readonly seed: number;
  /** How often the model is validated, evenly over the run, the last time after the last step. */
  readonly evaluations: number;
  readonly average: Average;
  /** Folder for the checkpoint; none is written without. It is removed when the run ends. */
  readonly folder?: string | undefined;
  readonly threads?: number | undefined;
  readonly device?: 'auto' | 'cpu' | 'cuda' | undefined;
}

export interface TrainResult {
  readonly curve: readonly CurvePoint[];
  /** Index into `curve` of the lowest primary metric: rmse, error for classes, or the loss of masked pretraining. */
  readonly best: number;
  /** For each validation sample after the last step: mean squared error, 1 where the class is wrong, or the masked loss. */
  readonly perImage: readonly number[];
  /** After the last step: the output `prediction` for the validation samples, one behind the other. */
  readonly predictions: Float32Array;
  /**
   * Mean loss after the last step over `data` and over `pool`, of at most 512 evenly spread samples each, in the views of
   * the first pass; absent without `pool`. A subset that is learnt by heart has a low loss of its own and a high one of the pool.
   */
  readonly subsetLoss?: number;
  readonly poolLoss?: number;
  /** Trained weights after the last step, by name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Seconds in optimizer steps, in all processes that worked at this run. */
  readonly seconds: number;
  /** Where this call trained and validated. */
  readonly execution: Execution;
}

interface Notes {
  curve: CurvePoint[];
  lossSum: number;
  lossCount: number;
  seconds: number;
}

/**
 * Trains a model and validates it along the way. Equal options give equal bits, whether or not the run was killed and
 * went on from its checkpoint. ModelError `ERR_TRAINING_DIVERGED`; rejects with `signal.reason` when aborted, after
 * writing a checkpoint.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { model, data, validation, pool, batch, steps, evaluations, seed, schedule, folder, signal, onProgress } =
    options;
  const trainer = await openTrainer({
    ...options,
    training: trainingGraph(model, batch, true),
    validation: trainingGraph(model, batch, false),
    encoder: model.encoder,
    weights: options.weights,
  });
  try {
    const checkpoint = folder === undefined ? undefined : join(folder, 'checkpoint.safetensors');
    const notes: Notes = { curve: [], lossSum: 0, lossCount: 0, seconds: 0 };
    let step = 0;
    const found = checkpoint && (await readCheckpoint(checkpoint, trainer.names));
    if (found) {
      await trainer.load(found.state);
      step = found.state.step;
      Object.assign(notes, found.notes);
    }
    let saved = performance.now();
    const save = async () => {
      if (checkpoint) await writeCheckpoint(checkpoint, trainer.names, await trainer.save(), notes);
      saved = performance.now();
    };
    const order = batchOrder(data.samples, batch, seed);
    const passOf = (at: number) => Math.floor(at / order.stepsPerEpoch);
    /** The mini-batches of the next call, which ends where the model is validated. */
    const batchesFrom = (first: number) => {
      const most = Math.min(trainer.stepsAtATime, steps - first);
      let count = Math.min(1, most);
      while (count < most && !isEvaluated(first + count, steps, evaluations)) count++;
      const next = Promise.all(
        Array.from({ length: count }, (_, i) => {
          const { places, epoch } = order.at(first + i);
          return data.batch(places, epoch);
        }),
      );
      next.catch(() => {}); // Reported when its turn comes.
      return next;
    };
    let last: Validation | undefined;
    let ahead = batchesFrom(step);
    let started = performance.now();
    while (step < steps) {
      if (signal?.aborted) {
        await save();
        signal.throwIfAborted();
      }
      const batches = await ahead;
      const rates = batches.map((_, i) => learningRateAt(schedule, step + i, steps));
      const before = step;
      const losses = trainer.steps(batches, rates);
      step += batches.length;
      // The next mini-batches are read while these are computed.
      ahead = batchesFrom(step);
      for (const loss of await losses) notes.lossSum += loss;
      notes.lossCount += batches.length;
      if (isEvaluated(step, steps, evaluations)) {
        notes.seconds += (performance.now() - started) / 1000;
        last = await validate(trainer, validation, options);
        notes.curve.push({
          step,
          epoch: step / order.stepsPerEpoch,
          trainLoss: notes.lossSum / notes.lossCount,
          valLoss: last.loss,
          metrics: last.metrics,
        });
        notes.lossSum = notes.lossCount = 0;
        started = performance.now();
      }
      const passEnded = passOf(step) > passOf(before) && step < steps;
      if (passEnded && performance.now() - saved > CHECKPOINT_MS) {
        notes.seconds += (performance.now() - started) / 1000;
        await save();
        started = performance.now();
      }
      onProgress?.({ stage: 'train', done: step, total: steps, unit: 'steps' });
    }
    last ??= await validate(trainer, validation, options);
    const losses: { subsetLoss?: number; poolLoss?: number } = {};
    if (pool) {
      losses.subsetLoss = await meanLoss(trainer, data, options);
      losses.poolLoss = pool === data ? losses.subsetLoss : await meanLoss(trainer, pool, options);
    }
    const { values } = await trainer.save();
    const primary = notes.curve.map(({ metrics, valLoss }) => metrics.rmse ?? metrics.error ?? valLoss);
    if (checkpoint) await rm(checkpoint, { force: true });
    return {
      curve: notes.curve,
      best: primary.indexOf(Math.min(...primary)),
      perImage: last.perImage,
      predictions: last.predictions,
      ...losses,
      weights: new Map(trainer.names.map((name, i) => [name, values[i]!])),
      seconds: notes.seconds,
      execution: executionOf(trainer),
    };
  } finally {
    await trainer.close();
  }
}

/** Whether the model is validated after `step` steps: `evaluations` times, evenly. */
function isEvaluated(step: number, steps: number, evaluations: number): boolean {
  return Math.floor((step * evaluations) / steps) > Math.floor(((step - 1) * evaluations) / steps);
}
