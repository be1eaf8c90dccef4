import { addNode, type Graph, shapeError, type Value } from '../graph.js';

/** x @ w for x [..., K] and w [K, N]: [..., N]. */
export function matmul(graph: Graph, x: Value, w: Value): Value {
  const inner = x.shape.at(-1);
  if (w.shape.length !== 2 || inner !== w.shape[0]) {
    throw shapeError(graph, 'MatMul', 'the inner sizes must be equal', x, w);
  }
  return addNode(graph, { op: 'MatMul', inputs: [x, w], shape: [...x.shape.slice(0, -1), w.shape[1]!] });
}
