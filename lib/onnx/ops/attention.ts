import { addNode, type Graph, shapeError, type Value } from '../graph.js';
import { scale } from './arithmetic.js';
import { reshape, transpose } from './layout.js';
import { matmul } from './linear.js';
import { softmax } from './normalization.js';

/**
 * softmax(q k' / sqrt(dh)) v for each head of dh = D / heads channels; q, k, v and the result are [B, T, D] (k and v may
 * have another T). One fused kernel of ONNX Runtime where the graph may have it and nothing before it is trained; the
 * kernel has no gradient, so a graph for training has its parts.
 */
export function multiHeadAttention(graph: Graph, q: Value, k: Value, v: Value, heads: number): Value {
  const width = q.shape.at(-1);
  const alike = k.shape.join() === v.shape.join() && [0, 2].every((axis) => k.shape[axis] === q.shape[axis]);
  if (q.shape.length !== 3 || !alike || typeof width !== 'number' || width % heads !== 0) {
    throw shapeError(
      graph,
      'MultiHeadAttention',
      `q, k and v must be alike and ${heads} heads must divide their width`,
      q,
      k,
      v,
    );
  }
  if (graph.fused && graph.trained.size === 0) {
    return addNode(graph, {
      op: 'MultiHeadAttention',
      domain: 'com.microsoft',
      inputs: [q, k, v],
      attributes: { num_heads: heads },
      shape: q.shape,
    });
  }
  const channels = width / heads;
  const split = (x: Value, order: readonly number[]) =>
    transpose(graph, reshape(graph, x, [x.shape[0]!, x.shape[1]!, heads, channels]), order);
  // q is scaled, not the scores: it has fewer elements.
  const scores = matmul(graph, split(scale(graph, q, channels ** -0.5), [0, 2, 1, 3]), split(k, [0, 2, 3, 1]));
  const mixed = matmul(graph, softmax(graph, scores), split(v, [0, 2, 1, 3]));
  return reshape(graph, transpose(graph, mixed, [0, 2, 1, 3]), q.shape);
}
