/**
 * An ONNX graph under construction: plain data, with shapes checked as nodes are added, and a tape of how each node's
 * gradient is made, which `differentiate` walks back.
 */
import { ModelError } from '../errors.js';

/** A size, or the name of a size that is known only when the graph runs (`'batch'`). Equal names are equal sizes. */
export type Dim = number | string;
export type GraphDtype = 'float32' | 'int32' | 'int64' | 'bool';

/** What flows along an edge of the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: GraphDtype;
  readonly shape: readonly Dim[];
}

/** `graph` = the body of a node such as Scan. It sees the values around it by their names; its frozen weights stand there. */
export type Attribute = number | string | readonly number[] | { readonly float: number } | { readonly graph: Graph };

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

/**
 * Given dL/d(output), the nodes that make dL/d(input) of each input that `needed` marks; undefined where it is zero
 * everywhere or not asked for.
 */
export type Gradient = (outer: Value, needed: readonly boolean[]) => readonly (Value | undefined)[];

/** A node as `differentiate` sees it. */
export interface TapeEntry {
  readonly node: string;
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly output: Value;
  /** Undefined where the operator has no gradient here. */
  readonly gradient: Gradient | undefined;
}

export interface GraphOptions {
  /** Weights, by the name of their checkpoint tensor, that are inputs of the graph so that they can be trained; none if not given. */
  readonly trainable?: (tensor: string) => boolean;
  /** Whether ONNX Runtime's own fused operators may be used (default); without, the graph is plain ONNX. */
  readonly fused?: boolean;
}

export interface Graph {
  readonly inputs: Value[];
  readonly outputs: Value[];
  readonly constants: Constant[];
  /** Frozen weights. */
  readonly parameters: Parameter[];
  /** Weights that are inputs, by tensor name. */
  readonly trained: Map<string, Value & { readonly shape: readonly number[] }>;
  readonly nodes: Node[];
  readonly tape: TapeEntry[];
  readonly trainable: (tensor: string) => boolean;
  readonly fused: boolean;
  /** Put before the names of new nodes: `encoder.0.attn`. */
  scope: string;
}

export function createGraph({ trainable = () => false, fused = true }: GraphOptions = {}): Graph {
  return {
    inputs: [],
    outputs: [],
    constants: [],
    parameters: [],
    trained: new Map(),
    nodes: [],
    tape: [],
    trainable,
    fused,
    scope: '',
  };
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

export function addInput<const Shape extends readonly Dim[]>(
  graph: Graph,
  name: string,
  dtype: GraphDtype,
  shape: Shape,
): Value & { readonly shape: Shape } {
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

/** A list of int64 (shapes, axes, pads), shared by all nodes that need the same one. */
export function integers(graph: Graph, values: readonly number[]): Value {
  const name = `const.[${values}]`;
  const known = graph.constants.find((constant) => constant.name === name);
  if (known) return known;
  const constant: Constant = { name, dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) };
  graph.constants.push(constant);
  return constant;
}

/** A float32 number, or with `shape` a tensor filled with it. */
export function scalar(graph: Graph, value: number, shape: readonly number[] = []): Value {
  return floats(graph, `${value}`, shape, () =>
    new Float32Array(shape.reduce((product, dim) => product * dim, 1)).fill(value),
  );
}

/** A float32 table, shared by all nodes that ask for the same `key` and shape. */
export function floats(graph: Graph, key: string, shape: readonly number[], make: () => Float32Array): Value {
  const name = `const.${key}[${shape}]`;
  const known = graph.constants.find((constant) => constant.name === name);
  if (known) return known;
  const constant: Constant = { name, dtype: 'float32', shape, data: make() };
  graph.constants.push(constant);
  return constant;
}

/** What an operator says about the node that it adds. */
export interface NodeSpec {
  readonly op: string;
  readonly domain?: 'com.microsoft';
  /** Undefined where an optional input is left out. */
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /** Shape of the output. */
  readonly shape: readonly Dim[];
  readonly dtype?: GraphDtype;
  /** Absent where the operator cannot be trained through; sees the inputs that are there. */
  readonly gradient?: Gradient;
  /** Shapes of further float32 outputs, which the gradient may use and which have none themselves. */
  readonly further?: readonly (readonly Dim[])[];
}

/** Adds a node; the value is its (first) output. */
export function addNode(graph: Graph, spec: NodeSpec): Value {
  return addNodeOutputs(graph, spec)[0];
}

/** Adds a node with `further` outputs. */
export function addNodeOutputs(graph: Graph, spec: NodeSpec): [Value, ...Value[]] {
  const name = nextName(graph, spec.op);
  const output: Value = { name, dtype: spec.dtype ?? 'float32', shape: spec.shape };
  const further = (spec.further ?? []).map(
    (shape, i): Value => ({ name: `${name}.${i + 1}`, dtype: 'float32', shape }),
  );
  graph.nodes.push({
    name,
    op: spec.op,
    domain: spec.domain ?? '',
    inputs: spec.inputs.map((input) => input?.name ?? ''),
    outputs: [name, ...further.map((value) => value.name)],
    attributes: spec.attributes ?? {},
  });
  const inputs = spec.inputs.filter((input) => input !== undefined);
  graph.tape.push({ node: name, op: spec.op, inputs, output, gradient: spec.gradient });
  return [output, ...further];
}

function nextName(graph: Graph, op: string): string {
  return `${graph.scope ? `${graph.scope}.` : ''}${op}_${graph.nodes.length}`;
}

/** ModelError `ERR_GRAPH_SHAPE` for a node that is about to be added with inputs that do not fit. */
export function shapeError(graph: Graph, op: string, what: string, ...inputs: readonly Value[]): ModelError {
  const list = inputs.map(({ name, shape }) => `${name} [${shape.join(', ')}]`).join(', ');
  return new ModelError('ERR_GRAPH_SHAPE', `Node ${nextName(graph, op)} (${op}): ${what}. Its inputs are ${list}.`);
}

/** The shape as numbers; ModelError `ERR_GRAPH_SHAPE` where a size is known only when the graph runs. */
export function fixedShape(graph: Graph, op: string, value: Value): number[] {
  return value.shape.map((dim) => {
    if (typeof dim === 'number') return dim;
    throw shapeError(graph, op, `the size "${dim}" must be a number when the graph is built`, value);
  });
}
