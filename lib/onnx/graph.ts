/** An ONNX graph under construction: plain data, with shapes checked as nodes are added. */
import { ModelError } from '../errors.js';

/** A size, or the name of a size that is known only when the graph runs (`'batch'`). Equal names are equal sizes. */
export type Dim = number | string;
export type GraphDtype = 'float32' | 'int32' | 'int64';

/** What flows along an edge of the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: GraphDtype;
  readonly shape: readonly Dim[];
}

export type Attribute = number | string | readonly number[] | { readonly float: number };

export interface Node {
  readonly name: string;
  readonly op: string;
  /** `''` = ONNX, `com.microsoft` = ONNX Runtime's own operators. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A constant inside the model file. */
export interface Constant extends Value {
  readonly data: Float32Array | BigInt64Array;
}

/** A trained weight, kept outside the model file: where it comes from in a checkpoint. */
export interface Parameter extends Value {
  readonly shape: readonly number[];
  /** Name of the tensor in the checkpoint. */
  readonly tensor: string;
  /** Rows of the tensor's first dimension; all where undefined. */
  readonly rows: readonly [number, number] | undefined;
  /** Whether the two-dimensional tensor is stored as its transpose. */
  readonly transposed: boolean;
}

export interface Graph {
  readonly inputs: Value[];
  readonly outputs: Value[];
  readonly constants: Constant[];
  readonly parameters: Parameter[];
  readonly nodes: Node[];
  /** Put before the names of new nodes: `encoder.0.attn`. */
  scope: string;
}

export function createGraph(): Graph {
  return { inputs: [], outputs: [], constants: [], parameters: [], nodes: [], scope: '' };
}

/** Names the nodes that `build` adds. */
export function within<T>(graph: Graph, scope: string, build: () => T): T {
  const outer = graph.scope;
  graph.scope = outer ? `${outer}.${scope}` : scope;
  try {
    return build();
  } finally {
    graph.scope = outer;
  }
}

export function addInput(graph: Graph, name: string, dtype: GraphDtype, shape: readonly Dim[]): Value {
  const value = { name, dtype, shape };
  graph.inputs.push(value);
  return value;
}

/** Makes `value` an output of the graph under `name`. */
export function addOutput(graph: Graph, name: string, value: Value): void {
  const { dtype, shape } = value;
  graph.nodes.push({
    name: `output.${name}`,
    op: 'Identity',
    domain: '',
    inputs: [value.name],
    outputs: [name],
    attributes: {},
  });
  graph.outputs.push({ name, dtype, shape });
}

/** A float32 weight: the tensor of that name in the checkpoint (`shape` as there), or some rows of it, or its transpose. */
export function addParameter(
  graph: Graph,
  tensor: string,
  shape: readonly number[],
  options: { rows?: readonly [number, number]; transposed?: boolean } = {},
): Value {
  const { rows, transposed = false } = options;
  const own = rows ? [rows[1] - rows[0], ...shape.slice(1)] : shape;
  const parameter: Parameter = {
    name: rows ? `${tensor}[${rows[0]}:${rows[1]}]` : tensor,
    dtype: 'float32',
    shape: transposed ? [own[1]!, own[0]!] : own,
    tensor,
    rows,
    transposed,
  };
  graph.parameters.push(parameter);
  return parameter;
}

/** A list of int64 (shapes, axes, pads), shared by all nodes that need the same one. */
export function integers(graph: Graph, values: readonly number[]): Value {
  const name = `const.[${values}]`;
  const known = graph.constants.find((constant) => constant.name === name);
  if (known) return known;
  const constant: Constant = { name, dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
  graph.constants.push(constant);
  return constant;
}

/** What an operator says about the node that it adds. */
export interface NodeSpec {
  readonly op: string;
  readonly domain?: 'com.microsoft';
  readonly inputs: readonly Value[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Shape of the output. */
  readonly shape: readonly Dim[];
  readonly dtype?: GraphDtype;
}

/** Adds a node with one output. */
export function addNode(graph: Graph, spec: NodeSpec): Value {
  const name = nextName(graph, spec.op);
  const value: Value = { name, dtype: spec.dtype ?? 'float32', shape: spec.shape };
  graph.nodes.push({
    name,
    op: spec.op,
    domain: spec.domain ?? '',
    inputs: spec.inputs.map((input) => input.name),
    outputs: [name],
    attributes: spec.attributes ?? {},
  });
  return value;
}

function nextName(graph: Graph, op: string): string {
  return `${graph.scope ? `${graph.scope}.` : ''}${op}_${graph.nodes.length}`;
}

/** ModelError `ERR_GRAPH_SHAPE` for a node that is about to be added with inputs that do not fit. */
export function shapeError(graph: Graph, op: string, what: string, ...inputs: readonly Value[]): ModelError {
  const list = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  return new ModelError('ERR_GRAPH_SHAPE', `Node ${nextName(graph, op)} (${op}): ${what}. Its inputs are ${list}.`);
}
