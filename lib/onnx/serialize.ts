/** Writes a graph as an ONNX ModelProto; field numbers are those of onnx.proto3. */
import type { Attribute, Dim, Graph, GraphDtype, Node, Parameter, Value } from './graph.js';
import { extractParameter } from './parameters.js';
import {
  finish,
  type ProtoWriter,
  protoWriter,
  writeBytes,
  writeFloat,
  writeInt,
  writeMessage,
  writeString,
} from './protobuf.js';

// Newer versions of Pad, Resize and ConvTranspose lack CUDA kernels in some releases of ONNX Runtime.
const OPSET = 18;
const IR_VERSION = 9;
const dataTypes: Readonly<Record<GraphDtype, number>> = { float32: 1, int32: 6, int64: 7, bool: 9 };

/** Where the parameters' bytes are: one file beside the model, and the offset of each parameter in it. */
export interface ExternalParameters {
  readonly file: string;
  readonly offsets: ReadonlyMap<string, { offset: number; length: number }>;
}

/** The model with its parameters in a file beside it. */
export function serializeModel(graph: Graph, external: ExternalParameters): Uint8Array {
  return modelProto(graph, (tensor, parameter) => {
    const { offset, length } = external.offsets.get(parameter.name)!;
    for (const [key, value] of Object.entries({ location: external.file, offset, length })) {
      const entry = protoWriter();
      writeString(entry, 1, key);
      writeString(entry, 2, String(value));
      writeMessage(tensor, 13, entry);
    }
    writeInt(tensor, 14, 1); // data_location = EXTERNAL
  });
}

/** The model with its parameters inside, under 2 GB; `data` are whole checkpoint tensors by name. */
export function serializeInline(graph: Graph, data: ReadonlyMap<string, Float32Array>): Uint8Array {
  return modelProto(graph, (tensor, parameter) => {
    writeBytes(tensor, 9, bytesOf(extractParameter(parameter, data.get(parameter.tensor)!)));
  });
}

type Store = (tensor: ProtoWriter, parameter: Parameter) => void;

function modelProto(graph: Graph, store: Store): Uint8Array {
  const model = protoWriter();
  writeInt(model, 1, IR_VERSION);
  writeString(model, 2, 'coregain');
  writeMessage(model, 7, graphProto(graph, store));
  const domains = domainsOf(graph);
  for (const [domain, version] of [['', OPSET] as const, ['com.microsoft', 1] as const]) {
    if (domain && !domains.has(domain)) continue;
    const opset = protoWriter();
    writeString(opset, 1, domain);
    writeInt(opset, 2, version);
    writeMessage(model, 8, opset);
  }
  return finish(model);
}

/** Those of the nodes, in bodies too. */
function domainsOf({ nodes }: Graph): Set<string> {
  const bodies = nodes.flatMap(({ attributes }) => Object.values(attributes).flatMap(bodyOf));
  return new Set([...nodes.map(({ domain }) => domain), ...bodies.flatMap((body) => [...domainsOf(body)])]);
}

function bodyOf(value: Attribute): Graph[] {
  return typeof value === 'object' && 'graph' in value ? [value.graph] : [];
}

function graphProto(graph: Graph, store: Store): ProtoWriter {
  const proto = protoWriter();
  const { nodes, used } = needed(graph);
  for (const node of nodes) writeMessage(proto, 1, nodeProto(node, store));
  writeString(proto, 2, 'coregain');
  for (const constant of graph.constants) {
    if (!used.has(constant.name)) continue;
    const tensor = tensorProto(constant);
    writeBytes(tensor, 9, bytesOf(constant.data));
    writeMessage(proto, 5, tensor);
  }
  for (const parameter of graph.parameters) {
    const tensor = tensorProto(parameter);
    store(tensor, parameter);
    writeMessage(proto, 5, tensor);
  }
  for (const input of graph.inputs) writeMessage(proto, 11, valueInfoProto(input));
  for (const output of graph.outputs) writeMessage(proto, 12, valueInfoProto(output));
  return proto;
}

/** The nodes that the outputs depend on, and the names of all values on the way: ONNX Runtime would run the others too. */
function needed(graph: Graph): { nodes: Node[]; used: Set<string> } {
  const used = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => used.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) used.add(name);
    // A body sees the values around it.
    for (const body of Object.values(node.attributes).flatMap(bodyOf))
      for (const name of needed(body).used) used.add(name);
  }
  return { nodes: nodes.reverse(), used };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function nodeProto(node: Node, store: Store): ProtoWriter {
  const proto = protoWriter();
  for (const input of node.inputs) writeString(proto, 1, input);
  for (const output of node.outputs) writeString(proto, 2, output);
  writeString(proto, 3, node.name);
  writeString(proto, 4, node.op);
  for (const [name, value] of Object.entries(node.attributes)) {
    writeMessage(proto, 5, attributeProto(name, value, store));
  }
  if (node.domain) writeString(proto, 7, node.domain);
  return proto;
}

function attributeProto(name: string, value: Attribute, store: Store): ProtoWriter {
  const proto = protoWriter();
  writeString(proto, 1, name);
  if (typeof value === 'number') {
    writeInt(proto, 3, value);
    writeInt(proto, 20, 2);
  } else if (typeof value === 'string') {
    writeString(proto, 4, value);
    writeInt(proto, 20, 3);
  } else if ('float' in value) {
    writeFloat(proto, 2, value.float);
    writeInt(proto, 20, 1);
  } else if ('graph' in value) {
    writeMessage(proto, 6, graphProto(value.graph, store));
    writeInt(proto, 20, 5);
  } else {
    for (const item of value) writeInt(proto, 8, item);
    writeInt(proto, 20, 7);
  }
  return proto;
}

function tensorProto({ name, dtype, shape }: Value): ProtoWriter {
  const proto = protoWriter();
  for (const dim of shape) writeInt(proto, 1, dim as number);
  writeInt(proto, 2, dataTypes[dtype]);
  writeString(proto, 8, name);
  return proto;
}

function valueInfoProto({ name, dtype, shape }: Value): ProtoWriter {
  const tensorType = protoWriter();
  writeInt(tensorType, 1, dataTypes[dtype]);
  writeMessage(tensorType, 2, shapeProto(shape));
  const type = protoWriter();
  writeMessage(type, 1, tensorType);
  const info = protoWriter();
  writeString(info, 1, name);
  writeMessage(info, 2, type);
  return info;
}

function shapeProto(shape: readonly Dim[]): ProtoWriter {
  const proto = protoWriter();
  for (const dim of shape) {
    const dimension = protoWriter();
    if (typeof dim === 'number') writeInt(dimension, 1, dim);
    else writeString(dimension, 2, dim);
    writeMessage(proto, 1, dimension);
  }
  return proto;
}
