/** Pieces of a transformer, with weights by their names in a checkpoint. */
import type { Graph, Value } from '../onnx/graph.js';
import { gelu } from '../onnx/ops/activation.js';
import { add } from '../onnx/ops/arithmetic.js';
import { multiHeadAttention } from '../onnx/ops/attention.js';
import { matmul } from '../onnx/ops/linear.js';
import { layerNorm } from '../onnx/ops/normalization.js';
import { addParameter } from '../onnx/parameters.js';

const EPSILON = 1e-6;
/** Width of the hidden layer of a block's MLP, in token widths. */
export const MLP_RATIO = 4;

/** Name and shape of every weight of a block of tokens `dim` wide, in the order of an official checkpoint. */
export function blockWeights(name: string, dim: number): Map<string, readonly number[]> {
  const weights = new Map<string, readonly number[]>();
  const linear = (part: string, outputs: number, inputs: number) => {
    weights.set(`${name}.${part}.weight`, [outputs, inputs]);
    weights.set(`${name}.${part}.bias`, [outputs]);
  };
  const norm = (part: string) => {
    weights.set(`${name}.${part}.weight`, [dim]);
    weights.set(`${name}.${part}.bias`, [dim]);
  };
  norm('norm1');
  linear('attn.qkv', 3 * dim, dim);
  linear('attn.proj', dim, dim);
  norm('norm2');
  linear('mlp.fc1', MLP_RATIO * dim, dim);
  linear('mlp.fc2', dim, MLP_RATIO * dim);
  return weights;
}

/** x += proj(attention(norm1(x))); x += fc2(gelu(fc1(norm2(x)))), weights under `name`. */
export function transformerBlock(
  graph: Graph,
  input: Value,
  { dim, heads }: { dim: number; heads: number },
  name: string,
): Value {
  const hidden = MLP_RATIO * dim;
  const norm = (x: Value, part: string) => namedNorm(graph, x, `${name}.${part}`, dim);

  let x = input;
  const h = norm(x, 'norm1');
  // Three products instead of one and a Split: the rows of qkv are [q | k | v].
  const [q, k, v] = [0, 1, 2].map((i) =>
    namedLinear(graph, h, `${name}.attn.qkv`, 3 * dim, dim, [i * dim, (i + 1) * dim]),
  ) as [Value, Value, Value];
  const attended = multiHeadAttention(graph, q, k, v, heads);
  x = add(graph, x, namedLinear(graph, attended, `${name}.attn.proj`, dim, dim));
  const activated = gelu(graph, namedLinear(graph, norm(x, 'norm2'), `${name}.mlp.fc1`, hidden, dim));
  return add(graph, x, namedLinear(graph, activated, `${name}.mlp.fc2`, dim, hidden));
}

/** x W' + b; the weights are stored transposed, as ONNX Runtime's matrix product wants them. */
export function namedLinear(
  graph: Graph,
  x: Value,
  name: string,
  outputs: number,
  inputs: number,
  rows?: readonly [number, number],
): Value {
  const slice = rows ? { rows } : {};
  const weight = addParameter(graph, `${name}.weight`, [outputs, inputs], { ...slice, transposed: true });
  const bias = addParameter(graph, `${name}.bias`, [outputs], slice);
  return add(graph, matmul(graph, x, weight), bias);
}

/** Layer normalisation with the weights `name`.weight and `name`.bias. */
export function namedNorm(graph: Graph, x: Value, name: string, width: number, epsilon = EPSILON): Value {
  const scale = addParameter(graph, `${name}.weight`, [width]);
  return layerNorm(graph, x, scale, addParameter(graph, `${name}.bias`, [width]), epsilon);
}
