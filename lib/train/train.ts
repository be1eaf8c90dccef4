/** One training run: steps, validation, checkpoints. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobOptions } from '../progress.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { CurvePoint } from './curve.js';
import { type Average, depthMeter, squaredErrors, wrongClasses } from './metrics.js';
import { learningRateAt, type Optimizer, type Schedule } from './optimizer.js';
import { batchOrder } from './order.js';
import { openTrainer, type Trainer, type TrainerOptions } from './trainer.js';
import { type ModelConfig, trainingGraph } from './trainingGraph.js';
import type { Batch, TrainingData } from './types.js';

/** Checkpoints are written when a pass has ended, but no more often than this. */
const CHECKPOINT_MS = 10_000;

export interface TrainOptions extends JobOptions, Pick<TrainerOptions, 'stepsInGraph'> {
  readonly model: ModelConfig;
  /** Reads a weight by its name in a checkpoint, float32: trained ones their first values, frozen ones theirs. */
  weights(name: string): Promise<Float32Array>;
  readonly data: TrainingData;
  readonly validation: TrainingData;
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
  /** Index into `curve` of the lowest primary metric: rmse, or error for classes. */
  readonly best: number;
  /** For each validation sample after the last step: mean squared error, or 1 where the class is wrong. */
  readonly perImage: readonly number[];
  /** After the last step: predictions of the validation samples, one behind the other. */
  readonly predictions: Float32Array;
  /** Trained weights after the last step, by name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Seconds in optimizer steps, in all processes that worked at this run. */
  readonly seconds: number;
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
  const { model, data, batch, steps, evaluations, seed, schedule, folder, signal, onProgress } = options;
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
        last = await validate(trainer, options);
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
    last ??= await validate(trainer, options);
    const { values } = await trainer.save();
    const primary = notes.curve.map(({ metrics }) => metrics.rmse ?? metrics.error!);
    if (checkpoint) await rm(checkpoint, { force: true });
    return {
      curve: notes.curve,
      best: primary.indexOf(Math.min(...primary)),
      perImage: last.perImage,
      predictions: last.predictions,
      weights: new Map(trainer.names.map((name, i) => [name, values[i]!])),
      seconds: notes.seconds,
    };
  } finally {
    await trainer.close();
  }
}

/** Whether the model is validated after `step` steps: `evaluations` times, evenly. */
function isEvaluated(step: number, steps: number, evaluations: number): boolean {
  return Math.floor((step * evaluations) / steps) > Math.floor(((step - 1) * evaluations) / steps);
}

interface Validation {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly perImage: number[];
  readonly predictions: Float32Array;
}

async function validate(trainer: Trainer, options: TrainOptions): Promise<Validation> {
  const { validation, batch, average, model, signal } = options;
  const meter = depthMeter(average);
  const perImage: number[] = [];
  const parts: Float32Array[] = [];
  let lossSum = 0;
  let weightSum = 0;
  for (let first = 0; first < validation.samples; first += batch) {
    signal?.throwIfAborted();
    const count = Math.min(batch, validation.samples - first);
    // The last batch is filled up with its first sample, which then counts for nothing.
    const places = Int32Array.from({ length: batch }, (_, i) => (i < count ? first + i : first));
    const feeds = await validation.batch(places, 0);
    const blank = feeds.valid && feeds.valid.data.length / batch;
    if (blank) feeds.valid!.data.fill(0, count * blank);
    const targets = copyTargets(feeds);
    const { loss, prediction } = await trainer.evaluate(feeds);
    const part = prediction.subarray(0, (prediction.length / batch) * count);
    parts.push(part);
    if (model.loss === 'cross-entropy') {
      const labels = targets.label!.subarray(0, count);
      perImage.push(...wrongClasses(part, labels as Int32Array));
      lossSum += crossEntropyOf(part, labels as Int32Array);
      weightSum += count;
    } else {
      const [depth, valid] = [targets.depth!, targets.valid!].map((target) => target.subarray(0, part.length));
      meter.add(part, depth as Float32Array, valid as Float32Array);
      perImage.push(...squaredErrors(part, depth as Float32Array, valid as Float32Array, count));
      lossSum += loss * count;
      weightSum += count;
    }
  }
  const predictions = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    predictions.set(part, offset);
    offset += part.length;
  }
  const metrics =
    model.loss === 'cross-entropy'
      ? { error: perImage.reduce((sum, wrong) => sum + wrong, 0) / perImage.length }
      : { ...meter.result() };
  return { loss: lossSum / weightSum, metrics, perImage, predictions };
}

/** The batch itself is given up to the trainer. */
function copyTargets(batch: Batch): Partial<Record<'depth' | 'valid' | 'label', Float32Array | Int32Array>> {
  const copy = (name: string) => batch[name]?.data.slice();
  const [depth, valid, label] = ['depth', 'valid', 'label'].map(copy);
  return { ...(depth && { depth }), ...(valid && { valid }), ...(label && { label }) };
}

/** Sum over samples of -log softmax(logits)[label]. */
function crossEntropyOf(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  return labels.reduce((sum, label, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const largest = Math.max(...row);
    return sum + largest + Math.log(row.reduce((total, x) => total + Math.exp(x - largest), 0)) - row[label]!;
  }, 0);
}
