import { addNode, type Graph, shapeError, type Value } from '../graph.js';

/** (x - mean) / sqrt(var + epsilon) * scale + bias over the last axis. */
export function layerNorm(graph: Graph, x: Value, scale: Value, bias: Value, epsilon: number): Value {
  const width = x.shape.at(-1);
  if (scale.shape[0] !== width || bias.shape[0] !== width) {
    throw shapeError(graph, 'LayerNormalization', 'scale and bias must be as wide as the last axis', x, scale, bias);
  }
  const attributes = { axis: -1, epsilon: { float: epsilon } };
  return addNode(graph, { op: 'LayerNormalization', inputs: [x, scale, bias], attributes, shape: x.shape });
}
