/** Sums and means over axes. */
import { addNode, type Dim, fixedShape, type Graph, integers, scalar, type Value } from '../graph.js';

const kept = (x: Value, axes: readonly number[]) => x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim));

/** Sum over `axes`, which stay with size 1. Gradient: the same for every element. */
export function reduceSum(graph: Graph, x: Value, axes: readonly number[]): Value {
  return addNode(graph, {
    op: 'ReduceSum',
    inputs: [x, integers(graph, axes)],
    shape: kept(x, axes),
    gradient: (outer) => [expand(graph, outer, x.shape)],
  });
}

/** Mean over `axes`, which stay with size 1. */
export function reduceMean(graph: Graph, x: Value, axes: readonly number[]): Value {
  const shape = kept(x, axes);
  return addNode(graph, {
    op: 'ReduceMean',
    inputs: [x, integers(graph, axes)],
    shape,
    gradient: (outer) => {
      const sizes = fixedShape(graph, 'ReduceMean', x);
      const count = axes.reduce((product, axis) => product * sizes[axis]!, 1);
      const share = addNode(graph, { op: 'Mul', inputs: [outer, scalar(graph, 1 / count)], shape });
      return [expand(graph, share, x.shape)];
    },
  });
}

/** Largest element over `axes`, which stay with size 1. It is a threshold here: its gradient is taken as zero. */
export function reduceMaxDetached(graph: Graph, x: Value, axes: readonly number[]): Value {
  return addNode(graph, {
    op: 'ReduceMax',
    inputs: [x, integers(graph, axes)],
    shape: kept(x, axes),
    gradient: () => [undefined],
  });
}

/** Sums the gradient of something that was broadcast back to the shape that it had. */
export function sumTo(graph: Graph, outer: Value, shape: readonly Dim[]): Value {
  if (outer.shape.join() === shape.join()) return outer;
  const before = outer.shape.length - shape.length;
  const axes = outer.shape.flatMap((dim, i) => (i < before || (shape[i - before] === 1 && dim !== 1) ? [i] : []));
  const left = outer.shape.filter((_, i) => !axes.includes(i));
  const reduced = (x: Value, over: readonly number[], to: readonly Dim[]) =>
    addNode(graph, { op: 'ReduceSum', inputs: [x, integers(graph, over)], attributes: { keepdims: 0 }, shape: to });
  // ONNX Runtime is slow to sum over the first axes alone, and fast where one before them stays.
  const inTwo = axes.length > 1 && axes.every((axis, i) => axis === i);
  const sum = inTwo
    ? reduced(reduced(outer, axes.slice(1), [outer.shape[0]!, ...left]), [0], left)
    : reduced(outer, axes, left);
  if (left.join() === shape.join()) return sum;
  const sizes = fixedShape(graph, 'Reshape', { ...outer, shape });
  return addNode(graph, { op: 'Reshape', inputs: [sum, integers(graph, sizes)], shape });
}

function expand(graph: Graph, x: Value, shape: readonly Dim[]): Value {
  const sizes = fixedShape(graph, 'Expand', { ...x, shape });
  return addNode(graph, { op: 'Expand', inputs: [x, integers(graph, sizes)], shape });
}
