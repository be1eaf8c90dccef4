/** Weights in a graph: frozen ones are kept in a file beside the model, those to be trained are inputs. */
import { addInput, type Graph, type Parameter, type Value } from './graph.js';
import { slice, transpose } from './ops/layout.js';

export interface ParameterOptions {
  /** Only these rows [first, end) of the tensor's first dimension. */
  readonly rows?: readonly [number, number];
  /** The transpose of a two-dimensional tensor. */
  readonly transposed?: boolean;
}

/**
 * A float32 weight: the tensor of that name in the checkpoint (`shape` as there), or some rows of it, or its transpose.
 * A frozen weight is stored as it is needed; one that is trained stays as it is in the checkpoint, and nodes of the graph
 * cut and turn it, so that its gradient has the checkpoint's layout.
 */
export function addParameter(
  graph: Graph,
  tensor: string,
  shape: readonly number[],
  { rows, transposed = false }: ParameterOptions = {},
): Value {
  if (graph.trainable(tensor)) {
    const known = graph.trained.get(tensor);
    const whole = known ?? addInput(graph, tensor, 'float32', shape);
    if (!known) graph.trained.set(tensor, whole);
    const part = rows ? slice(graph, whole, 0, rows[0], rows[1]) : whole;
    return transposed ? transpose(graph, part, [1, 0]) : part;
  }
  const own = rows ? [rows[1] - rows[0], ...shape.slice(1)] : shape;
  const parameter: Parameter = {
    name: `${tensor}${rows ? `[${rows[0]}:${rows[1]}]` : ''}`,
    dtype: 'float32',
    shape: transposed ? [own[1]!, own[0]!] : own,
    tensor,
    rows,
    transposed,
  };
  const known = graph.parameters.find(({ name }) => name === parameter.name);
  if (known) return known;
  graph.parameters.push(parameter);
  return parameter;
}

/** The rows of the tensor that the parameter asks for, transposed where it asks for that. */
export function extractParameter({ shape, rows, transposed }: Parameter, data: Float32Array): Float32Array {
  const count = shape.reduce((product, dim) => product * dim, 1);
  const start = rows ? (rows[0] * count) / (rows[1] - rows[0]) : 0;
  const own = data.subarray(start, start + count);
  return transposed ? transposeMatrix(own, shape[1]!, shape[0]!) : own;
}

/** [rows, cols] -> [cols, rows], in squares that fit the cache. */
function transposeMatrix(source: Float32Array, rows: number, cols: number): Float32Array {
  const target = new Float32Array(source.length);
  const side = 32;
  for (let top = 0; top < rows; top += side) {
    for (let left = 0; left < cols; left += side) {
      const bottom = Math.min(top + side, rows);
      const right = Math.min(left + side, cols);
      for (let row = top; row < bottom; row++) {
        for (let col = left; col < right; col++) target[col * rows + row] = source[row * cols + col]!;
      }
    }
  }
  return target;
}
