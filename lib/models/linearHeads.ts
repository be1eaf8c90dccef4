/** Heads on one vector a sample: a classifier, and the paper's linear depth adapter. */
import type { Graph, Value } from '../onnx/graph.js';
import { relu } from '../onnx/ops/activation.js';
import { reshape } from '../onnx/ops/layout.js';
import { namedLinear, namedNorm } from './transformer.js';

/** MultiMAE's linear output adapter: mean of all tokens -> LayerNorm -> Linear. */
export interface ClassifierConfig {
  readonly kind: 'classifier';
  readonly classes: number;
}

/**
 * The paper's linear depth adapter, which failed there: (LayerNorm, Linear, ReLU) for each of `hidden`, then Linear to all
 * pixels at once.
 */
export interface LinearDepthConfig {
  readonly kind: 'linear';
  /** Which vector it gets: the mean of all tokens, or the last token, which is global. */
  readonly pooling: 'mean' | 'last';
  /** [4096, 4096] in the paper. */
  readonly hidden: readonly number[];
}

/** Name and shape of every weight; names without their prefix. */
export function classifierWeights({ classes }: ClassifierConfig, width: number): Map<string, readonly number[]> {
  return new Map([
    ['norm.weight', [width]],
    ['norm.bias', [width]],
    ['head.weight', [classes, width]],
    ['head.bias', [classes]],
  ]);
}

/** Logits [B, classes] of pooled tokens [B, D]; weights under `prefix`. */
export function classifierGraph(
  graph: Graph,
  pooled: Value,
  { classes }: ClassifierConfig,
  width: number,
  prefix: string,
): Value {
  return namedLinear(graph, namedNorm(graph, pooled, `${prefix}norm`, width), `${prefix}head`, classes, width);
}

/** Name and shape of every weight; names without their prefix. */
export function linearDepthWeights({ hidden }: LinearDepthConfig, width: number, image: number) {
  const weights = new Map<string, readonly number[]>();
  let inputs = width;
  hidden.forEach((outputs, i) => {
    weights.set(`feed_forward.${3 * i}.weight`, [inputs]);
    weights.set(`feed_forward.${3 * i}.bias`, [inputs]);
    weights.set(`feed_forward.${3 * i + 1}.weight`, [outputs, inputs]);
    weights.set(`feed_forward.${3 * i + 1}.bias`, [outputs]);
    inputs = outputs;
  });
  weights.set('final_layer.weight', [image * image, inputs]);
  weights.set('final_layer.bias', [image * image]);
  return weights;
}

/** Depth [B, 1, image, image] of pooled tokens [B, D]; weights under `prefix`. */
export function linearDepthGraph(
  graph: Graph,
  pooled: Value,
  { hidden }: LinearDepthConfig,
  width: number,
  image: number,
  prefix: string,
): Value {
  let x = pooled;
  let inputs = width;
  hidden.forEach((outputs, i) => {
    const normed = namedNorm(graph, x, `${prefix}feed_forward.${3 * i}`, inputs);
    x = relu(graph, namedLinear(graph, normed, `${prefix}feed_forward.${3 * i + 1}`, outputs, inputs));
    inputs = outputs;
  });
  const pixels = namedLinear(graph, x, `${prefix}final_layer`, image * image, inputs);
  return reshape(graph, pixels, [pooled.shape[0]!, 1, image, image]);
}
