/**
 * Arrow's IPC formats: messages one after the other, each a header (a flatbuffer) and a body of buffers. A file has a magic
 * before them and a footer after; a stream has nothing but them. Here the headers are read, which say where in the file
 * each buffer is; bodies are left to whoever wants some of their bytes.
 * https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
 */
import type { Field, Schema } from 'apache-arrow';
import { DataError } from '../errors.js';
import type { RandomAccessFile } from './bytes.js';
import type { ElementType } from './elements.js';
import type { TableColumn } from './tableColumns.js';

/** A buffer of a batch. */
export interface BufferPlace {
  /** Byte of the file at which it begins. */
  readonly offset: number;
  readonly length: number;
}

/** A record batch: some rows of all columns. */
export interface ArrowBatch {
  readonly rows: number;
  /** One for each field and child of a field, depth first. */
  readonly nodes: readonly { readonly length: number; readonly nullCount: number }[];
  /** In the same order. */
  readonly buffers: readonly BufferPlace[];
  /** How many buffers more each view has, in the same order. */
  readonly variadic: readonly number[];
}

export interface ArrowFile {
  readonly kind: 'file' | 'stream';
  readonly schema: Schema;
  readonly batches: readonly ArrowBatch[];
  /** Whether there is a mark after the last message; a stream may do without. */
  readonly ended: boolean;
}

export const ARROW_MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
/** No header of a table needs as much. */
const MAX_HEADER_BYTES = 256 << 20;

// Type and UnionMode of Arrow's Schema.fbs.
const TYPE = {
  int: 2,
  float: 3,
  binary: 4,
  utf8: 5,
  list: 12,
  struct: 13,
  union: 14,
  fixedSizeList: 16,
  map: 17,
  largeBinary: 19,
  largeUtf8: 20,
  largeList: 21,
  binaryView: 23,
  utf8View: 24,
  null: 1,
} as const;

/** @throws {DataError} `ERR_ARROW_BROKEN`, `ERR_ARROW_COMPRESSED`. */
export async function readMessages(file: RandomAccessFile): Promise<ArrowFile> {
  const { Message } = await import('apache-arrow');
  const { path, size } = file;
  const start = Buffer.from(await file.readAt(0, Math.min(8, size)));
  const kind = start.toString('latin1').startsWith(ARROW_MAGIC) ? 'file' : 'stream';
  if (kind === 'file') {
    const end = size < 16 ? '' : Buffer.from(await file.readAt(size - 6, 6)).toString('latin1');
    if (end !== ARROW_MAGIC) throw brokenArrow(path, 'it has no end');
  }
  let schema: Schema | undefined;
  let ended = false;
  const batches: ArrowBatch[] = [];
  let at = kind === 'file' ? 8 : 0;
  while (at + 4 <= size) {
    const prefix = Buffer.from(await file.readAt(at, Math.min(8, size - at)));
    // Before version 0.15 there was no continuation mark.
    const marked = prefix.readUInt32LE(0) === CONTINUATION;
    if (marked && prefix.length < 8) throw brokenArrow(path, `it ends within the header at byte ${at}`);
    const length = prefix.readInt32LE(marked ? 4 : 0);
    ended = length === 0;
    if (ended) break;
    const headerAt = at + (marked ? 8 : 4);
    if (length < 0 || length > MAX_HEADER_BYTES || headerAt + length > size) {
      throw brokenArrow(path, `the header at byte ${at} says that it has ${length} bytes`);
    }
    const bytes = await file.readAt(headerAt, length);
    const bodyAt = headerAt + length;
    const found = decode(path, at, () => {
      const message = Message.decode(bytes);
      const header = message.header() as unknown;
      // What is wrong inside shows when it is looked at.
      if (message.isSchema()) return { schema: header as Schema, bodyLength: message.bodyLength };
      if (!message.isRecordBatch()) return { bodyLength: message.bodyLength };
      return {
        batch: batchOf(header as RecordBatchHeader, bodyAt, message.bodyLength),
        bodyLength: message.bodyLength,
      };
    });
    if (!(found.bodyLength >= 0 && bodyAt + found.bodyLength <= size)) {
      throw brokenArrow(path, `it ends at byte ${size}, within the batch that begins at byte ${at}`);
    }
    if (found.schema) schema ??= found.schema;
    if (found.batch?.compressed !== undefined) throw compressed(path, found.batch.compressed);
    if (found.batch) batches.push(found.batch);
    at = bodyAt + found.bodyLength;
  }
  if (!schema) throw brokenArrow(path, 'it has no schema');
  return { kind, schema, batches, ended };
}

interface RecordBatchHeader {
  readonly length: number;
  readonly nodes: readonly { length: number; nullCount: number }[];
  readonly buffers: readonly BufferPlace[];
  readonly variadicBufferCounts?: readonly number[];
  readonly compression?: { readonly type: number } | null;
}

function batchOf(header: RecordBatchHeader, bodyAt: number, bodyLength: number) {
  const { length: rows, nodes, buffers, compression } = header;
  const inside = ({ offset, length }: BufferPlace) => offset >= 0 && length >= 0 && offset + length <= bodyLength;
  if (!(rows >= 0) || !buffers.every(inside)) throw new Error('a buffer lies outside of its batch');
  return {
    rows,
    nodes: nodes.map(({ length, nullCount }) => ({ length, nullCount })),
    buffers: buffers.map(({ offset, length }) => ({ offset: bodyAt + offset, length })),
    variadic: [...(header.variadicBufferCounts ?? [])],
    compressed: compression ? (compression.type === 0 ? 'LZ4' : 'Zstandard') : undefined,
  };
}

function decode<T>(path: string, at: number, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw brokenArrow(path, `the message at byte ${at} cannot be understood: ${(cause as Error).message}`, cause);
  }
}

export function brokenArrow(path: string, why: string, cause?: unknown): DataError {
  return new DataError('ERR_ARROW_BROKEN', `${path} cannot be read as Arrow (${why}). Write or copy it again.`, {
    cause,
  });
}

function compressed(path: string, codec: string): DataError {
  return new DataError(
    'ERR_ARROW_COMPRESSED',
    `${path} is compressed by ${codec}. Write it with compression="uncompressed", or as Parquet.`,
  );
}

/** The columns of a schema. `fields` may be of any version of apache-arrow. */
export function columnsOf(fields: readonly Field[]): TableColumn[] {
  return fields.map(({ name, type }) => {
    const { typeId, children } = type as { typeId: number; children?: Field[] };
    const isList = typeId === TYPE.list || typeId === TYPE.fixedSizeList || typeId === TYPE.largeList;
    const inner = isList ? children?.[0]?.type : type;
    return { name, shape: isList ? 'list' : 'scalar', type: inner && elementType(inner), typeName: String(type) };
  });
}

function elementType(type: unknown): ElementType | undefined {
  const { typeId, bitWidth, isSigned, precision } = type as Record<string, number | boolean>;
  if (typeId === TYPE.float) return `float${16 << (precision as number)}` as ElementType;
  if (typeId === TYPE.int) return `${isSigned ? '' : 'u'}int${bitWidth}` as ElementType;
  return undefined;
}

/** Where the parts of one field are among the nodes and buffers of a batch. */
export interface FieldPlace {
  readonly list: 'fixed' | 'list' | 'large' | undefined;
  /** d of lists of a fixed size. */
  readonly listSize: number | undefined;
  /** Index of its first node and buffer; of lists, the child's node is the next. */
  readonly node: number;
  readonly buffer: number;
}

/**
 * Finds a field in a batch. Number and order of buffers by type: "Buffer Listing for Each Layout" of the format.
 * @throws {DataError} `ERR_ARROW_BROKEN`.
 */
export function placeOf(path: string, fields: readonly Field[], index: number, batch: ArrowBatch): FieldPlace {
  const at = { node: 0, buffer: 0, variadic: 0 };
  for (const field of fields.slice(0, index)) skip(field, at, batch);
  const { typeId, listSize } = fields[index]!.type as unknown as { typeId: number; listSize?: number };
  const { node, buffer } = at;
  skip(fields[index]!, at, batch);
  if (at.node > batch.nodes.length || at.buffer > batch.buffers.length) {
    throw brokenArrow(path, 'a batch has too few buffers for the schema');
  }
  const list =
    typeId === TYPE.fixedSizeList
      ? 'fixed'
      : typeId === TYPE.list
        ? 'list'
        : typeId === TYPE.largeList
          ? 'large'
          : undefined;
  return { list, listSize, node, buffer };
}

function skip(field: Field, at: { node: number; buffer: number; variadic: number }, batch: ArrowBatch): void {
  const { typeId, children, mode } = field.type as unknown as { typeId: number; children?: Field[]; mode?: number };
  at.node++;
  switch (typeId) {
    case TYPE.null:
      return;
    case TYPE.binary:
    case TYPE.utf8:
    case TYPE.largeBinary:
    case TYPE.largeUtf8:
      at.buffer += 3;
      return;
    case TYPE.binaryView:
    case TYPE.utf8View:
      at.buffer += 2 + (batch.variadic[at.variadic++] ?? 0);
      return;
    case TYPE.struct:
    case TYPE.fixedSizeList:
      at.buffer += 1;
      break;
    case TYPE.union:
      // Type ids, and of dense ones offsets.
      at.buffer += mode === 1 ? 2 : 1;
      break;
    default:
      at.buffer += 2;
      // A dictionary's values are in messages of their own; its indices have no children.
      if (typeId !== TYPE.list && typeId !== TYPE.largeList && typeId !== TYPE.map) return;
  }
  for (const child of children ?? []) skip(child, at, batch);
}
