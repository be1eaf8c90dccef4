import { addNode, type Graph, shapeError, type Value } from '../graph.js';

/** softmax(q k' / sqrt(dh)) v for each head of dh = D / heads channels; q, k, v and the result are [B, T, D]. */
export function multiHeadAttention(graph: Graph, q: Value, k: Value, v: Value, heads: number): Value {
  const width = q.shape.at(-1);
  const alike = [k, v].every(({ shape }) => shape.join() === q.shape.join());
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
  const attributes = { num_heads: heads };
  return addNode(graph, {
    op: 'MultiHeadAttention',
    domain: 'com.microsoft',
    inputs: [q, k, v],
    attributes,
    shape: q.shape,
  });
}
