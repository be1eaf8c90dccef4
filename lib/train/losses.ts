/** Losses as graphs: one number of shape [1, 1, 1, 1] (depth) or [1, 1] (classes, masked patches) from a prediction and its target. */
import { fixedShape, type Graph, scalar, type Value } from '../onnx/graph.js';
import {
  absolute,
  add,
  choose,
  divide,
  less,
  maximumDetached,
  multiply,
  negate,
  scale,
  squareRoot,
  subtract,
} from '../onnx/ops/arithmetic.js';
import { oneHot, reshape } from '../onnx/ops/layout.js';
import { logSoftmax } from '../onnx/ops/normalization.js';
import { reduceMaxDetached, reduceMean, reduceSum } from '../onnx/ops/reduce.js';

export const DEPTH_LOSSES = ['berhu', 'l1', 'mse'] as const;
export type DepthLoss = (typeof DEPTH_LOSSES)[number];

/**
 * With d = prediction - target, 0 where `valid` is 0, and n valid pixels in the batch: sum(l(d)) / n, where
 *
 *     l1     l(d) = |d|
 *     mse    l(d) = d^2
 *     berhu  l(d) = |d| if |d| < c, else (d^2 + c^2) / (2c);  c = max(0.2 max|d|, 1e-5), no gradient through c
 *
 * berHu after Laina et al. (arXiv 1606.00373), with the threshold over the whole batch. All inputs are [B, 1, H, W].
 */
export function depthLoss(graph: Graph, kind: DepthLoss, prediction: Value, target: Value, valid: Value): Value {
  const axes = [0, 1, 2, 3];
  // n >= 1: a batch without a valid pixel has the loss 0.
  const count = maximumDetached(graph, reduceSum(graph, valid, axes), scalar(graph, 1));
  const difference = multiply(graph, subtract(graph, prediction, target), valid);
  return divide(graph, reduceSum(graph, perPixel(graph, kind, difference, axes), axes), count);
}

function perPixel(graph: Graph, kind: DepthLoss, difference: Value, axes: readonly number[]): Value {
  if (kind === 'l1') return absolute(graph, difference);
  if (kind === 'mse') return multiply(graph, difference, difference);
  const size = absolute(graph, difference);
  const c = maximumDetached(graph, scale(graph, reduceMaxDetached(graph, size, axes), 0.2), scalar(graph, 1e-5));
  const square = add(graph, multiply(graph, difference, difference), multiply(graph, c, c));
  return choose(graph, less(graph, size, c), size, divide(graph, square, scale(graph, c, 2)));
}

/** Mean over the batch of -log softmax(logits)[label]; logits [B, classes], labels int32 [B]. */
export function crossEntropy(graph: Graph, logits: Value, labels: Value): Value {
  const [batch, classes] = fixedShape(graph, 'OneHot', logits) as [number, number];
  const truth = oneHot(graph, labels, classes);
  const likelihood = reduceSum(graph, multiply(graph, logSoftmax(graph, logits), truth), [0, 1]);
  return scale(graph, negate(graph, likelihood), 1 / batch);
}

/** A loss over masked patches, taken apart: each sample's sum and how much it counts, [B, 1] each, weight 0 where nothing is masked. */
export interface SampleLosses {
  readonly sum: Value;
  readonly weight: Value;
}

/**
 * Squared error of the masked patches, the mean over a patch: `prediction` and `target` [B, N, P], `masked` [B, N, 1] with
 * 1 where a patch counts, else 0. MultiMAE's `MaskedMSELoss`.
 */
export function maskedSquaredError(graph: Graph, prediction: Value, target: Value, masked: Value): SampleLosses {
  const [batch] = fixedShape(graph, 'Sub', prediction) as [number];
  const difference = subtract(graph, prediction, target);
  const perPatch = reduceMean(graph, multiply(graph, difference, difference), [2]);
  const total = (x: Value) => reshape(graph, reduceSum(graph, x, [1]), [batch, 1]);
  return { sum: total(multiply(graph, perPatch, masked)), weight: total(masked) };
}

/**
 * |prediction - target| of all valid pixels: all three [B, N, P], `valid` 1 where a pixel counts, else 0. MultiMAE's
 * `MaskedL1Loss` of a modality that the encoder does not see, which is why no patch is left out.
 */
export function validAbsoluteError(graph: Graph, prediction: Value, target: Value, valid: Value): SampleLosses {
  const [batch] = fixedShape(graph, 'Sub', prediction) as [number];
  const difference = multiply(graph, subtract(graph, prediction, target), valid);
  const total = (x: Value) => reshape(graph, reduceSum(graph, x, [1, 2]), [batch, 1]);
  return { sum: total(absolute(graph, difference)), weight: total(valid) };
}

/** (x - mean) / sqrt(var + 1e-6) of each patch of [B, N, P], var with P - 1: the target of MAE's normalised pixels. */
export function normalisedPatches(graph: Graph, patches: Value): Value {
  const [, , size] = fixedShape(graph, 'Sub', patches) as [number, number, number];
  const centred = subtract(graph, patches, reduceMean(graph, patches, [2]));
  const squares = reduceSum(graph, multiply(graph, centred, centred), [2]);
  const variance = add(graph, scale(graph, squares, 1 / (size - 1)), scalar(graph, 1e-6));
  return divide(graph, centred, squareRoot(graph, variance));
}

/**
 * -log softmax(logits)[label] of the labels in masked patches: `logits` [B, N, P, classes], `labels` int32 [B, N, P],
 * `masked` as above. Labels outside 0..classes-1, which padding has, count for nothing. MultiMAE's `MaskedCrossEntropyLoss`.
 */
export function maskedCrossEntropy(graph: Graph, logits: Value, labels: Value, masked: Value): SampleLosses {
  const [batch, patches, places, classes] = fixedShape(graph, 'LogSoftmax', logits) as [number, number, number, number];
  const truth = reshape(graph, oneHot(graph, labels, classes), [batch, patches, places, classes]);
  const counted = multiply(graph, truth, reshape(graph, masked, [batch, patches, 1, 1]));
  const total = (x: Value) => reshape(graph, reduceSum(graph, x, [1, 2, 3]), [batch, 1]);
  return { sum: negate(graph, total(multiply(graph, logSoftmax(graph, logits), counted))), weight: total(counted) };
}

/** Mean over samples of sum / weight, of those with a weight; 0 where none has one. Shape [1, 1]. */
export function meanOfMasked(graph: Graph, { sum, weight }: SampleLosses): Value {
  const one = scalar(graph, 1);
  const has = choose(graph, less(graph, weight, scalar(graph, 0.5)), scalar(graph, 0), one);
  const samples = maximumDetached(graph, reduceSum(graph, has, [0, 1]), one);
  // A sum without weight is 0, and stays it.
  return divide(graph, reduceSum(graph, divide(graph, sum, maximumDetached(graph, weight, one)), [0, 1]), samples);
}
