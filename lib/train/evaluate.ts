/** What a model in training makes of samples that it does not learn from now. */
import { type Average, depthMeter, meansOfLosses, squaredErrors, wrongClasses } from './metrics.js';
import type { Trainer } from './trainer.js';
import type { TrainedModel } from './trainingGraph.js';
import type { Batch, TrainingData } from './types.js';

/** Samples whose loss says what the loss of all of a pool is. */
const LOSS_SAMPLES = 512;

export interface EvaluateOptions {
  readonly model: TrainedModel;
  /** Samples of a mini-batch. */
  readonly batch: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Validation {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly perImage: number[];
  readonly predictions: Float32Array;
}

/** Loss, metrics and predictions of all samples, in their order. */
export async function validate(
  trainer: Trainer,
  data: TrainingData,
  options: EvaluateOptions & { average: Average },
): Promise<Validation> {
  const meter = openMeter(options.model, options.average);
  const perImage: number[] = [];
  const parts: Float32Array[] = [];
  let lossSum = 0;
  const all = Int32Array.from({ length: data.samples }, (_, i) => i);
  for await (const evaluation of evaluations(trainer, data, all, options)) {
    parts.push(evaluation.prediction);
    lossSum += evaluation.loss * evaluation.count;
    perImage.push(...meter.add(evaluation));
  }
  const predictions = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    predictions.set(part, offset);
    offset += part.length;
  }
  return { loss: lossSum / data.samples, metrics: meter.result(perImage, predictions), perImage, predictions };
}

/** What is measured of predictions, by the kind of model. */
interface Meter {
  /** Takes a batch; returns what `perImage` gets of it. */
  add(evaluation: Evaluation): number[];
  result(perImage: readonly number[], predictions: Float32Array): Readonly<Record<string, number>>;
}

function openMeter(model: TrainedModel, average: Average): Meter {
  if (model.loss === 'cross-entropy') {
    return {
      add: ({ prediction, targets }) => wrongClasses(prediction, targets.label!),
      result: (perImage) => ({ error: perImage.reduce((sum, wrong) => sum + wrong, 0) / perImage.length }),
    };
  }
  if (model.loss === 'masked') {
    const { rebuilt } = model;
    return {
      add: ({ prediction, count }) =>
        Array.from({ length: count }, (_, i) =>
          rebuilt.reduce((sum, __, task) => sum + (prediction[i * rebuilt.length + task]! || 0), 0),
        ),
      result: (_, predictions) => meansOfLosses(predictions, rebuilt),
    };
  }
  const meter = depthMeter(average);
  return {
    add({ prediction, targets, count }) {
      meter.add(prediction, targets.depth!, targets.valid!);
      return squaredErrors(prediction, targets.depth!, targets.valid!, count);
    },
    result: () => ({ ...meter.result() }),
  };
}

/**
 * Mean loss over samples that the model may have learnt from, as they are in the first pass; over 512 of them, evenly
 * spread, where there are more. Nothing is learnt from it.
 */
export async function meanLoss(trainer: Trainer, data: TrainingData, options: EvaluateOptions): Promise<number> {
  const measured = Math.min(data.samples, LOSS_SAMPLES);
  const places = Int32Array.from({ length: measured }, (_, i) => Math.floor((i * data.samples) / measured));
  let sum = 0;
  for await (const { count, loss } of evaluations(trainer, data, places, options)) sum += loss * count;
  return sum / measured;
}

interface Evaluation {
  /** Samples of the batch that count. */
  readonly count: number;
  /** Their mean loss. */
  readonly loss: number;
  /** Of these samples alone, as the targets. */
  readonly prediction: Float32Array;
  readonly targets: Targets;
}

interface Targets {
  readonly depth?: Float32Array | undefined;
  readonly valid?: Float32Array | undefined;
  readonly label?: Int32Array | undefined;
}

async function* evaluations(
  trainer: Trainer,
  data: TrainingData,
  places: Int32Array,
  { model, batch, signal }: EvaluateOptions,
): AsyncGenerator<Evaluation> {
  for (let first = 0; first < places.length; first += batch) {
    signal?.throwIfAborted();
    const count = Math.min(batch, places.length - first);
    // The last batch is filled up with its first sample, which then counts for nothing.
    const filled = Int32Array.from({ length: batch }, (_, i) => places[first + (i < count ? i : 0)]!);
    const feeds = await data.batch(filled, 0);
    const pixels = feeds.valid && feeds.valid.data.length / batch;
    if (pixels) feeds.valid!.data.fill(0, count * pixels);
    const targets = copyTargets(feeds, count, batch);
    const { loss, prediction: all } = await trainer.evaluate(feeds);
    const prediction = all.subarray(0, (all.length / batch) * count);
    yield { count, loss: lossOf(model, prediction, targets) ?? loss, prediction, targets };
  }
}

/** Mean loss of the samples that count, where samples of the batch cannot be left out in the graph. */
function lossOf(model: TrainedModel, prediction: Float32Array, targets: Targets): number | undefined {
  if (model.loss === 'cross-entropy') return crossEntropyOf(prediction, targets.label!);
  if (model.loss !== 'masked') return undefined;
  return Object.values(meansOfLosses(prediction, model.rebuilt)).reduce((sum, mean) => sum + mean, 0);
}

/** The batch itself is given up to the trainer. */
function copyTargets(feeds: Batch, count: number, batch: number): Targets {
  const copy = (name: string) => {
    const data = feeds[name]?.data;
    return data?.slice(0, (data.length / batch) * count);
  };
  return {
    depth: copy('depth') as Float32Array | undefined,
    valid: copy('valid') as Float32Array | undefined,
    label: copy('label') as Int32Array | undefined,
  };
}

/** Mean over samples of -log softmax(logits)[label]. */
function crossEntropyOf(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  const sum = labels.reduce((total, label, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const largest = Math.max(...row);
    return total + largest + Math.log(row.reduce((all, x) => all + Math.exp(x - largest), 0)) - row[label]!;
  }, 0);
  return sum / labels.length;
}
