import { addNode, type Graph, type Value } from '../graph.js';

/** x/2 (1 + erf(x / sqrt 2)), not its tanh approximation. One fused kernel on every provider; ONNX has it only since opset 20. */
export function gelu(graph: Graph, x: Value): Value {
  return addNode(graph, { op: 'Gelu', domain: 'com.microsoft', inputs: [x], shape: x.shape });
}
