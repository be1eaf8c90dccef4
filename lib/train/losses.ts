/** Losses as graphs: one number of shape [1, 1, 1, 1] (depth) or [1, 1] (classes) from a prediction and its target. */
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
  subtract,
} from '../onnx/ops/arithmetic.js';
import { oneHot } from '../onnx/ops/layout.js';
import { logSoftmax } from '../onnx/ops/normalization.js';
import { reduceMaxDetached, reduceSum } from '../onnx/ops/reduce.js';

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
