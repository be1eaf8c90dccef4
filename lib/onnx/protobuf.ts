/** Protocol Buffers wire format, as much as an ONNX file needs. */

/** One message being written; sub-messages are writers of their own. */
export interface ProtoWriter {
  readonly chunks: Uint8Array[];
  length: number;
}

export function protoWriter(): ProtoWriter {
  return { chunks: [], length: 0 };
}

function append(writer: ProtoWriter, chunk: Uint8Array): void {
  writer.chunks.push(chunk);
  writer.length += chunk.length;
}

function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  // Negative numbers are written as their 64-bit two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

/** Wire types: 0 varint, 2 length-delimited, 5 fixed 32 bit. */
function tag(writer: ProtoWriter, field: number, wireType: 0 | 2 | 5): void {
  append(writer, varint(field * 8 + wireType));
}

export function writeInt(writer: ProtoWriter, field: number, value: number | bigint): void {
  tag(writer, field, 0);
  append(writer, varint(value));
}

export function writeFloat(writer: ProtoWriter, field: number, value: number): void {
  tag(writer, field, 5);
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  append(writer, bytes);
}

export function writeBytes(writer: ProtoWriter, field: number, bytes: Uint8Array): void {
  tag(writer, field, 2);
  append(writer, varint(bytes.length));
  append(writer, bytes);
}

export function writeString(writer: ProtoWriter, field: number, text: string): void {
  writeBytes(writer, field, Buffer.from(text));
}

export function writeMessage(writer: ProtoWriter, field: number, message: ProtoWriter): void {
  tag(writer, field, 2);
  append(writer, varint(message.length));
  for (const chunk of message.chunks) append(writer, chunk);
}

/** The finished message. */
export function finish(writer: ProtoWriter): Uint8Array {
  return Buffer.concat(writer.chunks, writer.length);
}
