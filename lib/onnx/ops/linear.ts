import { addNode, type Dim, fixedShape, type Graph, shapeError, type Value } from '../graph.js';
import { reshape, swapLast } from './layout.js';
import { sumTo } from './reduce.js';

/**
 * a @ b for a [..., M, K] and b [K, N] or [..., K, N], whose leading axes are equal or 1.
 * Gradients: outer @ b', a' @ outer. ONNX Runtime fuses the transposes into the products.
 */
export function matmul(graph: Graph, a: Value, b: Value): Value {
  const [rows, inner] = a.shape.slice(-2);
  const [height, cols] = b.shape.slice(-2);
  if (a.shape.length < 2 || b.shape.length < 2 || inner !== height) {
    throw shapeError(graph, 'MatMul', 'the inner sizes must be equal', a, b);
  }
  return addNode(graph, {
    op: 'MatMul',
    inputs: [a, b],
    shape: [...leading(graph, a, b), rows!, cols!],
    gradient: (outer, [first, second]) => [
      first ? sumTo(graph, matmul(graph, outer, swapLast(graph, b)), a.shape) : undefined,
      second ? gradientOfRight(graph, a, b, outer) : undefined,
    ],
  });
}

/** A weight that all rows share is one product of tall matrices, not a sum of many products. */
function gradientOfRight(graph: Graph, a: Value, b: Value, outer: Value): Value {
  if (b.shape.length > 2) {
    return sumTo(graph, matmul(graph, swapLast(graph, a), outer), b.shape);
  }
  const tall = (x: Value) => {
    const sizes = fixedShape(graph, 'MatMul', x);
    const width = sizes.pop()!;
    return reshape(graph, x, [sizes.reduce((product, dim) => product * dim, 1), width]);
  };
  // The gradient of what was transposed for this product is made as it was, and two transposes in a row cancel.
  const transposed = graph.tape.some(({ op, output }) => op === 'Transpose' && output.name === b.name);
  if (transposed) return swapLast(graph, matmul(graph, swapLast(graph, tall(outer)), tall(a)));
  return matmul(graph, swapLast(graph, tall(a)), tall(outer));
}

function leading(graph: Graph, a: Value, b: Value): Dim[] {
  const [x, y] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const rank = Math.max(x.length, y.length);
  return Array.from({ length: rank }, (_, i) => {
    const p = x[x.length - rank + i] ?? 1;
    const q = y[y.length - rank + i] ?? 1;
    if (p !== q && p !== 1 && q !== 1) throw shapeError(graph, 'MatMul', 'the leading sizes must be equal or 1', a, b);
    return p === 1 ? q : p;
  });
}
