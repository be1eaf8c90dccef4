/** Operators that move values without changing them. */
import {
  addNode,
  type Dim,
  fixedShape,
  floats,
  type Graph,
  integers,
  scalar,
  shapeError,
  type Value,
} from '../graph.js';

/** The same number everywhere. */
export function filled(graph: Graph, value: number, shape: readonly number[]): Value {
  return addNode(graph, { op: 'Expand', inputs: [scalar(graph, value), integers(graph, shape)], shape });
}

/**
 * Rows of `table` [N, ...] at `indices` [...]: [...indices, ...row]. Gradient: one-hot indices' times the outer gradient,
 * in a fixed order of summation, which a scatter has not on every device. The row `padding` gets none.
 */
export function gather(graph: Graph, table: Value, indices: Value, padding?: number): Value {
  return addNode(graph, {
    op: 'Gather',
    inputs: [table, indices],
    shape: [...indices.shape, ...table.shape.slice(1)],
    gradient: (outer) => {
      const [rows, ...row] = fixedShape(graph, 'Gather', table) as [number, ...number[]];
      const places = fixedShape(graph, 'Gather', indices).reduce((product, dim) => product * dim, 1);
      const width = row.reduce((product, dim) => product * dim, 1);
      const hot = transpose(graph, oneHot(graph, indices, rows), [1, 0]);
      const grads = reshape(graph, outer, [places, width]);
      let sum = addNode(graph, { op: 'MatMul', inputs: [hot, grads], shape: [rows, width] });
      if (padding !== undefined) {
        const keep = floats(graph, `allBut${padding}`, [rows, 1], () =>
          Float32Array.from({ length: rows }, (_, i) => (i === padding ? 0 : 1)),
        );
        sum = addNode(graph, { op: 'Mul', inputs: [sum, keep], shape: [rows, width] });
      }
      return [reshape(graph, sum, [rows, ...row]), undefined];
    },
  });
}

/** float32 [places, `count`]: 1 at the index of each place, read in row-major order, else 0. Without a gradient. */
export function oneHot(graph: Graph, indices: Value, count: number): Value {
  const places = fixedShape(graph, 'OneHot', indices).reduce((product, dim) => product * dim, 1);
  // ONNX Runtime has no kernel for int32 indices beside an int64 count.
  const INT64 = 7;
  const gradient = () => [undefined, undefined, undefined];
  const wide = addNode(graph, {
    op: 'Cast',
    inputs: [indices],
    attributes: { to: INT64 },
    shape: indices.shape,
    dtype: 'int64',
    gradient,
  });
  const list = addNode(graph, {
    op: 'Reshape',
    inputs: [wide, integers(graph, [places])],
    shape: [places],
    dtype: 'int64',
    gradient,
  });
  const values = floats(graph, 'offOn', [2], () => Float32Array.of(0, 1));
  return addNode(graph, {
    op: 'OneHot',
    inputs: [list, integers(graph, [count]), values],
    attributes: { axis: -1 },
    shape: [places, count],
    gradient,
  });
}

export function transpose(graph: Graph, x: Value, permutation: readonly number[]): Value {
  if ([...permutation].sort((a, b) => a - b).join() !== x.shape.map((_, i) => i).join()) {
    throw shapeError(graph, 'Transpose', `[${permutation}] is no permutation of the axes`, x);
  }
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  return addNode(graph, {
    op: 'Transpose',
    inputs: [x],
    attributes: { perm: permutation },
    shape: permutation.map((axis) => x.shape[axis]!),
    dtype: x.dtype,
    gradient: (outer) => [transpose(graph, outer, inverse)],
  });
}

/** Swaps the last two axes. */
export function swapLast(graph: Graph, x: Value): Value {
  const axes = x.shape.map((_, i) => i);
  const [last, beforeLast] = [axes.pop()!, axes.pop()!];
  return transpose(graph, x, [...axes, last, beforeLast]);
}

/** The same elements in another shape. A size that is only a name must stand where it stood; one other may be a name. */
export function reshape(graph: Graph, x: Value, shape: readonly Dim[]): Value {
  // 0 keeps an axis, -1 takes what is left.
  const sizes = shape.map((dim, i) => (typeof dim === 'number' ? dim : dim === x.shape[i] ? 0 : -1));
  const count = (dims: readonly Dim[]) => (dims as number[]).reduce((product, dim) => product * dim, 1);
  const fixed = [...shape, ...x.shape].every((dim) => typeof dim === 'number');
  if (sizes.filter((size) => size === -1).length > 1 || (fixed && count(shape) !== count(x.shape))) {
    throw shapeError(graph, 'Reshape', `its elements do not fill [${shape.join(', ')}]`, x);
  }
  return addNode(graph, {
    op: 'Reshape',
    inputs: [x, integers(graph, sizes)],
    shape,
    dtype: x.dtype,
    gradient: (outer) => [reshape(graph, outer, x.shape)],
  });
}

/** What the value was before it was reshaped: the same elements in the same order. */
export function beforeReshape(graph: Graph, value: Value): Value {
  const made = graph.tape.findLast(({ output }) => output.name === value.name);
  return made?.op === 'Reshape' ? beforeReshape(graph, made.inputs[0]!) : value;
}

/** [B, C, H, W] -> [B, C, `size`]: joins the two image axes, row by row. */
export function flattenImage(graph: Graph, x: Value, size: Dim): Value {
  if (x.shape.length !== 4) throw shapeError(graph, 'Reshape', 'an image [B, C, H, W] is needed', x);
  return reshape(graph, x, [x.shape[0]!, x.shape[1]!, size]);
}

/** Joins values along `axis`, whose size is called `size` where it is not known. */
export function concat(graph: Graph, values: readonly Value[], axis: number, size?: string): Value {
  const rest = (value: Value) => value.shape.filter((_, i) => i !== axis).join();
  const sizes = values.map(({ shape }) => shape[axis]!);
  const known = sizes.every((dim) => typeof dim === 'number');
  if (values.some((value) => rest(value) !== rest(values[0]!)) || (!known && size === undefined)) {
    throw shapeError(graph, 'Concat', `all sizes but those of axis ${axis} must be equal`, ...values);
  }
  const total = known ? (sizes as number[]).reduce((sum, dim) => sum + dim, 0) : size!;
  return addNode(graph, {
    op: 'Concat',
    inputs: values,
    attributes: { axis },
    shape: values[0]!.shape.map((dim, i) => (i === axis ? total : dim)),
    gradient: (outer, needed) => {
      let end = 0;
      return values.map((value, i) => {
        const start = end;
        end += fixedShape(graph, 'Concat', value)[axis]!;
        return needed[i] ? slice(graph, outer, axis, start, end) : undefined;
      });
    },
  });
}

/** Elements [start, end) of `axis`. */
export function slice(graph: Graph, x: Value, axis: number, start: number, end: number): Value {
  const size = x.shape[axis]!;
  if (start < 0 || end <= start || (typeof size === 'number' && end > size)) {
    throw shapeError(graph, 'Slice', `[${start}, ${end}) is not within axis ${axis}`, x);
  }
  return addNode(graph, {
    op: 'Slice',
    inputs: [x, integers(graph, [start]), integers(graph, [end]), integers(graph, [axis])],
    shape: x.shape.map((dim, i) => (i === axis ? end - start : dim)),
    gradient: (outer) => {
      const before = x.shape.map((_, i) => (i === axis ? start : 0));
      const after = x.shape.map((_, i) => (i === axis ? fixedShape(graph, 'Slice', x)[axis]! - end : 0));
      return [pad(graph, outer, before, after, x.shape)];
    },
  });
}

/** Appends `count` zeros to the end of `axis`, whose size is then called `size`. */
export function padEnd(graph: Graph, x: Value, axis: number, count: number, size: Dim): Value {
  const none = x.shape.map(() => 0);
  const shape = x.shape.map((dim, i) => (i === axis ? size : dim));
  return pad(
    graph,
    x,
    none,
    none.map((_, i) => (i === axis ? count : 0)),
    shape,
  );
}

function pad(
  graph: Graph,
  x: Value,
  before: readonly number[],
  after: readonly number[],
  shape: readonly Dim[],
): Value {
  return addNode(graph, {
    op: 'Pad',
    inputs: [x, integers(graph, [...before, ...after])],
    shape,
    gradient: (outer) => {
      const sizes = fixedShape(graph, 'Pad', x);
      const inner = before.reduce(
        (value, start, axis) =>
          start + after[axis]! === 0 ? value : slice(graph, value, axis, start, start + sizes[axis]!),
        outer,
      );
      return [inner];
    },
  });
}
