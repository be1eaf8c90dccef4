/** Operators that move values without changing them. */
import { addNode, type Dim, type Graph, integers, shapeError, type Value } from '../graph.js';

/** Rows of `table` [N, ...] at `indices` [...]: [...indices, ...row]. */
export function gather(graph: Graph, table: Value, indices: Value): Value {
  return addNode(graph, { op: 'Gather', inputs: [table, indices], shape: [...indices.shape, ...table.shape.slice(1)] });
}

export function transpose(graph: Graph, x: Value, permutation: readonly number[]): Value {
  if ([...permutation].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join()) {
    throw shapeError(graph, 'Transpose', `[${permutation}] is no permutation of the axes`, x);
  }
  const shape = permutation.map((axis) => x.shape[axis]!);
  return addNode(graph, { op: 'Transpose', inputs: [x], attributes: { perm: permutation }, shape });
}

/** [B, C, H, W] -> [B, C, `size`]: joins the two image axes, row by row. */
export function flattenImage(graph: Graph, x: Value, size: Dim): Value {
  if (x.shape.length !== 4) throw shapeError(graph, 'Reshape', 'an image [B, C, H, W] is needed', x);
  // 0 keeps an axis, -1 takes what is left.
  return addNode(graph, {
    op: 'Reshape',
    inputs: [x, integers(graph, [0, 0, -1])],
    shape: [x.shape[0]!, x.shape[1]!, size],
  });
}

/** Joins values along `axis`, whose size is then called `size`. */
export function concat(graph: Graph, values: readonly Value[], axis: number, size: Dim): Value {
  const rest = (value: Value) => value.shape.filter((_, i) => i !== axis).join();
  if (values.some((value) => rest(value) !== rest(values[0]!))) {
    throw shapeError(graph, 'Concat', `all sizes but those of axis ${axis} must be equal`, ...values);
  }
  const shape = values[0]!.shape.map((dim, i) => (i === axis ? size : dim));
  return addNode(graph, { op: 'Concat', inputs: values, attributes: { axis }, shape });
}

/** Appends `count` zeros to the end of `axis`, whose size is then called `size`. */
export function padEnd(graph: Graph, x: Value, axis: number, count: number, size: Dim): Value {
  const pads = [...x.shape.map(() => 0), ...x.shape.map((_, i) => (i === axis ? count : 0))];
  const shape = x.shape.map((dim, i) => (i === axis ? size : dim));
  return addNode(graph, { op: 'Pad', inputs: [x, integers(graph, pads)], shape });
}
