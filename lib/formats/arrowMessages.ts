/**
 * Arrow's IPC formats: messages one after the other, each a header (a flatbuffer) and a body of buffers. A file has a magic
 * before them and a footer after; a stream has nothing but them. Here the headers are read, which say where in the file
 * each buffer is; bodies are left to whoever wants some of their bytes.
 * https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
 */
import { DataError } from '../errors.js';
import { type ArrowField, readFields } from './arrowSchema.js';
import type { RandomAccessFile } from './bytes.js';
import { child, long, longField, rootTable, scalar, type Table, vector } from './flatbuffer.js';

/** A buffer of a batch. */
export interface BufferPlace {
  /** Byte of the file at which it begins. */
  readonly offset: number;
  readonly length: number;
}

/** A record batch: some rows of all columns. */
export interface ArrowBatch {
  readonly rows: number;
  /** NULLs of each field and child of a field, depth first. */
  readonly nulls: readonly number[];
  /** In the same order. */
  readonly buffers: readonly BufferPlace[];
  /** How many buffers more each view has. */
  readonly variadic: readonly number[];
  readonly codec: Codec | undefined;
}

export interface ArrowFile {
  readonly kind: 'file' | 'stream';
  readonly fields: readonly ArrowField[];
  readonly batches: readonly ArrowBatch[];
  /** Whether there is a mark after the last message; a stream may do without. */
  readonly ended: boolean;
}

const MAGIC = 'ARROW1';
const CONTINUATION = 0xffffffff;
/** No header of a table needs as much. */
const MAX_HEADER_BYTES = 64 << 20;
// Of Message.fbs.
const HEADER = { schema: 1, dictionary: 2, batch: 3 } as const;
const CODECS = ['LZ4', 'Zstandard'] as const;
/** How the buffers of a batch are compressed. */
export type Codec = (typeof CODECS)[number];

/** @throws {DataError} `ERR_ARROW_BROKEN`, `ERR_ARROW_ORDER`. */
export async function readMessages(file: RandomAccessFile): Promise<ArrowFile> {
  const start = Buffer.from(await file.readAt(0, Math.min(8, file.size)));
  return start.toString('latin1').startsWith(MAGIC) ? readFile(file) : readStream(file);
}

/** The footer of a file has the schema and says where the messages are. */
async function readFile(file: RandomAccessFile): Promise<ArrowFile> {
  const { path, size } = file;
  const end = Buffer.from(size < 18 ? new Uint8Array(10) : await file.readAt(size - 10, 10));
  if (end.toString('latin1', 4) !== MAGIC) throw brokenArrow(path, 'its end is missing');
  const length = end.readInt32LE(0);
  const at = size - 10 - length;
  if (length <= 0 || at < 8) throw brokenArrow(path, `its footer says that it has ${length} bytes`);
  const bytes = await file.readAt(at, length);
  const { fields, dictionaries, blocks } = within(path, 'footer', () => {
    const footer = rootTable(bytes);
    const schema = child(footer, 1);
    if (!schema) throw new RangeError('it has no schema');
    const offsets = (id: number) => {
      const { at: first, length: count } = vector(footer, id, 24);
      return Array.from({ length: count }, (_, i) => long(footer, first + 24 * i));
    };
    return { fields: fieldsOf(path, schema), dictionaries: offsets(2), blocks: offsets(3) };
  });
  // Of no use here, but whoever reads texts trusts them.
  for (const offset of dictionaries) await readMessage(file, offset);
  const batches: ArrowBatch[] = [];
  for (const offset of blocks) {
    const batch = (await readMessage(file, offset))?.batch;
    if (!batch) throw brokenArrow(path, `there is no batch at byte ${offset}`);
    batches.push(batch);
  }
  return { kind: 'file', fields, batches, ended: true };
}

async function readStream(file: RandomAccessFile): Promise<ArrowFile> {
  let fields: readonly ArrowField[] | undefined;
  const batches: ArrowBatch[] = [];
  let at = 0;
  let ended = false;
  while (at < file.size && !ended) {
    const message = await readMessage(file, at);
    ended = message === undefined;
    if (!message) break;
    fields ??= message.fields;
    if (message.batch) batches.push(message.batch);
    at = message.end;
  }
  if (!fields) throw brokenArrow(file.path, 'it has no schema');
  return { kind: 'stream', fields, batches, ended };
}

interface ArrowMessage {
  readonly fields?: readonly ArrowField[];
  readonly batch?: ArrowBatch;
  /** Byte after it. */
  readonly end: number;
}

/** Undefined for the mark of the end. */
async function readMessage(file: RandomAccessFile, at: number): Promise<ArrowMessage | undefined> {
  const { path, size } = file;
  const { headerAt, length } = await readPrefix(file, at);
  if (length === 0) return undefined;
  const bytes = await file.readAt(headerAt, length);
  const bodyAt = headerAt + length;
  return within(path, `message at byte ${at}`, () => {
    const message = rootTable(bytes);
    const kind = scalar(message, 1, 'getUint8');
    const header = child(message, 2);
    const bodyLength = longField(message, 3);
    const end = bodyAt + bodyLength;
    if (!header || !(bodyLength >= 0) || end > size)
      throw new RangeError(`its body of ${bodyLength} bytes is not there`);
    const place = { bodyAt, bodyLength };
    if (kind === HEADER.schema) return { fields: fieldsOf(path, header), end };
    if (kind === HEADER.batch) return { batch: readBatch(header, place), end };
    const data = kind === HEADER.dictionary ? child(header, 1) : undefined;
    if (data) readBatch(data, place);
    return { end };
  });
}

function fieldsOf(path: string, schema: Table): ArrowField[] {
  if (scalar(schema, 0, 'getInt16') !== 0) throw bigEndian(path);
  return readFields(schema);
}

/** Where the header of a message begins and how long it is; 0 marks the end. Before version 0.15 nothing stood before it. */
async function readPrefix(file: RandomAccessFile, at: number): Promise<{ headerAt: number; length: number }> {
  const { path, size } = file;
  if (!(at >= 0 && at + 4 <= size)) throw brokenArrow(path, `it ends at byte ${size}, and a message begins at ${at}`);
  const prefix = Buffer.from(await file.readAt(at, Math.min(8, size - at)));
  const marked = prefix.readUInt32LE(0) === CONTINUATION;
  if (marked && prefix.length < 8) throw brokenArrow(path, `it ends at byte ${size}, within a message`);
  const length = prefix.readInt32LE(marked ? 4 : 0);
  const headerAt = at + (marked ? 8 : 4);
  if (length < 0 || length > MAX_HEADER_BYTES || headerAt + length > size) {
    throw brokenArrow(path, `the message at byte ${at} says that its header has ${length} bytes`);
  }
  return { headerAt, length };
}

/** Says of which part it is that something in it is out of bounds. */
function within<T>(path: string, part: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw brokenArrow(path, `the ${part} is damaged: ${(cause as Error).message}`, cause);
  }
}

function readBatch(header: Table, { bodyAt, bodyLength }: { bodyAt: number; bodyLength: number }): ArrowBatch {
  const rows = longField(header, 0);
  const nodes = vector(header, 1, 16);
  const regions = vector(header, 2, 16);
  const compression = child(header, 3);
  const codec = compression && CODECS[scalar(compression, 0, 'getInt8')];
  if (compression && !codec) throw new RangeError('it is compressed by an unknown method');
  const views = vector(header, 4, 8);
  const buffers = Array.from({ length: regions.length }, (_, i) => {
    const offset = long(header, regions.at + 16 * i);
    const length = long(header, regions.at + 16 * i + 8);
    if (!(offset >= 0 && length >= 0 && offset + length <= bodyLength)) {
      throw new RangeError('a buffer lies outside of its batch');
    }
    return { offset: bodyAt + offset, length };
  });
  if (!(rows >= 0)) throw new RangeError(`it has ${rows} rows`);
  return {
    rows,
    nulls: Array.from({ length: nodes.length }, (_, i) => long(header, nodes.at + 16 * i + 8)),
    buffers,
    variadic: Array.from({ length: views.length }, (_, i) => long(header, views.at + 8 * i)),
    codec,
  };
}

export function brokenArrow(path: string, why: string, cause?: unknown): DataError {
  return new DataError('ERR_ARROW_BROKEN', `${path} cannot be read as Arrow (${why}). Write or copy it again.`, {
    cause,
  });
}

function bigEndian(path: string): DataError {
  return new DataError(
    'ERR_ARROW_ORDER',
    `${path} has the byte order of another kind of machine. Write it on one of this kind, or as Parquet.`,
  );
}
