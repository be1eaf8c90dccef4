import { addNode, type Graph, scalar, type Value } from '../graph.js';
import { add, exponential, multiply, scale } from './arithmetic.js';

/** max(x, 0); the gradient at 0 is 0. */
export function relu(graph: Graph, x: Value): Value {
  const y: Value = addNode(graph, {
    op: 'Relu',
    inputs: [x],
    shape: x.shape,
    gradient: (outer) => {
      // Times min(max(3e38 y, 0), 1), which is 0 or 1 for all numbers that are not denormal: two passes. A comparison needs
      // three, and ONNX Runtime's Where is slower than those.
      const attributes = { alpha: { float: 3e38 }, beta: { float: 0 } };
      return [multiply(graph, outer, addNode(graph, { op: 'HardSigmoid', inputs: [y], attributes, shape: y.shape }))];
    },
  });
  return y;
}

/**
 * x cdf(x) = x/2 (1 + erf(x / sqrt 2)), not its tanh approximation. One fused kernel of ONNX Runtime where the graph may
 * have it; ONNX has it only since opset 20. Gradient: cdf(x) + x pdf(x).
 */
export function gelu(graph: Graph, x: Value): Value {
  const gradient = (outer: Value) => {
    const density = scale(
      graph,
      exponential(graph, scale(graph, multiply(graph, x, x), -0.5)),
      1 / Math.sqrt(2 * Math.PI),
    );
    return [multiply(graph, outer, add(graph, normalCdf(graph, x), multiply(graph, x, density)))];
  };
  if (!graph.fused) return multiply(graph, x, normalCdf(graph, x));
  return addNode(graph, { op: 'Gelu', domain: 'com.microsoft', inputs: [x], shape: x.shape, gradient });
}

function normalCdf(graph: Graph, x: Value): Value {
  const erf = addNode(graph, { op: 'Erf', inputs: [scale(graph, x, Math.SQRT1_2)], shape: x.shape });
  return scale(graph, add(graph, erf, scalar(graph, 1)), 0.5);
}
