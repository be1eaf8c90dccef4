import { addNode, type Dim, type Graph, shapeError, type Value } from '../graph.js';

/** a + b, broadcast as NumPy does. */
export function add(graph: Graph, a: Value, b: Value): Value {
  const shape = broadcastShape(a.shape, b.shape);
  if (!shape) throw shapeError(graph, 'Add', 'the shapes cannot be broadcast together', a, b);
  return addNode(graph, { op: 'Add', inputs: [a, b], shape });
}

function broadcastShape(a: readonly Dim[], b: readonly Dim[]): Dim[] | undefined {
  const rank = Math.max(a.length, b.length);
  const shape: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}
