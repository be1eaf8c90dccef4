/**
 * The safetensors format: a little-endian uint64 header length, a JSON header
 * `{name: {dtype, shape, data_offsets: [begin, end]}}`, then the tensors' bytes without gaps.
 */
import type { FileHandle } from 'node:fs/promises';
import { ModelError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { openForReading, type RandomAccessFile } from './readAt.js';
import {
  asBytes,
  asElements,
  dtypes,
  elementCount,
  type Tensor,
  type TensorDtype,
  type TensorFile,
  type TensorInfo,
} from './tensor.js';

// The limit of the reference implementation; it keeps a hostile length from being allocated.
const LARGEST_HEADER = 100_000_000;

interface Entry extends TensorInfo {
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Opens a safetensors file and checks its whole header. ModelError `ERR_SAFETENSORS_INVALID` when the header is not
 * exactly right: length, JSON, element types, shapes, offsets that overlap, leave gaps or miss the end of the file.
 */
export async function openSafetensors(path: string): Promise<TensorFile> {
  const file = await openForReading(path);
  try {
    const entries = await readHeader(file);
    const find = (name: string): Entry => {
      const entry = entries.get(name);
      if (!entry) throw new ModelError('ERR_TENSOR_MISSING', `${path} has no tensor "${name}".`);
      return entry;
    };
    return {
      path,
      tensors: entries,
      close: file.close,
      async read(name) {
        const { dtype, shape, begin, end } = find(name);
        return { dtype, shape, data: asElements(dtype, await file.readAt(begin, end - begin)) };
      },
      async readRows(name, start, end) {
        const { dtype, shape, begin } = find(name);
        const rowShape = shape.slice(1);
        const rowBytes = elementCount(rowShape) * dtypes[dtype].bytes;
        const bytes = await file.readAt(begin + start * rowBytes, (end - start) * rowBytes);
        return { dtype, shape: [end - start, ...rowShape], data: asElements(dtype, bytes) };
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(file: RandomAccessFile): Promise<Map<string, Entry>> {
  const invalid = (what: string, cause?: unknown) =>
    new ModelError(
      'ERR_SAFETENSORS_INVALID',
      `${file.path} is not a valid safetensors file: ${what}. Write or download it again.`,
      { cause },
    );
  if (file.size < 8) throw invalid(`it has ${file.size} bytes, fewer than the 8 of the header length`);
  const prefix = await file.readAt(0, 8);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(LARGEST_HEADER)) throw invalid(`its header would be ${length} bytes (limit ${LARGEST_HEADER})`);
  const dataStart = 8 + Number(length);
  if (dataStart > file.size) throw invalid(`its header would end at byte ${dataStart}, after the end (${file.size})`);

  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await file.readAt(8, Number(length))));
  } catch (cause) {
    throw invalid('its header is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw invalid('its header is not an object');

  const entries: [string, Entry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = parseEntry(value, dataStart);
    if (typeof entry === 'string') throw invalid(`tensor "${name}" ${entry}`);
    entries.push([name, entry]);
  }

  let position = dataStart;
  for (const [name, { begin, end }] of [...entries].sort((a, b) => a[1].begin - b[1].begin || a[1].end - b[1].end)) {
    if (begin !== position) {
      throw invalid(`tensor "${name}" begins at byte ${begin}, but the bytes before it end at ${position}`);
    }
    position = end;
  }
  if (position !== file.size) throw invalid(`its tensors end at byte ${position}, but the file at ${file.size}`);
  return new Map(entries);
}

/** An entry of the header with absolute offsets, or what is wrong with it. */
function parseEntry(value: unknown, dataStart: number): Entry | string {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const natural = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (typeof dtype !== 'string' || !Object.hasOwn(dtypes, dtype)) {
    return `has the element type ${JSON.stringify(dtype)}; these are known: ${Object.keys(dtypes).join(', ')}`;
  }
  if (!Array.isArray(shape) || !shape.every(natural)) return `has the shape ${JSON.stringify(shape)}`;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural) || offsets[0]! > offsets[1]!) {
    return `has the offsets ${JSON.stringify(offsets)}`;
  }
  const [begin, end] = offsets as [number, number];
  const bytes = elementCount(shape) * dtypes[dtype as TensorDtype].bytes;
  if (bytes !== end - begin) return `needs ${bytes} bytes by its shape, but has ${end - begin}`;
  return { dtype: dtype as TensorDtype, shape, begin: dataStart + begin, end: dataStart + end };
}

/** Reads a whole safetensors file. */
export async function readSafetensors(path: string): Promise<Record<string, Tensor>> {
  const file = await openSafetensors(path);
  try {
    const tensors: Record<string, Tensor> = {};
    for (const name of file.tensors.keys()) tensors[name] = await file.read(name);
    return tensors;
  } finally {
    await file.close();
  }
}

/** Puts `data` into the tensor `name`, beginning with its element number `element`. */
export type TensorSink = (name: string, element: number, data: ArrayBufferView) => Promise<void>;

/**
 * Writes a safetensors file atomically. `layout` says what it will hold, in order; `fill` then delivers the elements
 * piece by piece in any order, so that the tensors need not be in memory together.
 */
export async function streamSafetensors(
  path: string,
  layout: Readonly<Record<string, TensorInfo>>,
  fill: (put: TensorSink) => Promise<void>,
): Promise<void> {
  const header: Record<string, unknown> = {};
  const begins = new Map<string, number>();
  let position = 0;
  for (const [name, { dtype, shape }] of Object.entries(layout)) {
    const end = position + elementCount(shape) * dtypes[dtype].bytes;
    header[name] = { dtype, shape, data_offsets: [position, end] };
    begins.set(name, position);
    position = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  // Spaces up to a multiple of 8 keep the tensors aligned for readers that map the file.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  const dataStart = 8 + padded.length;

  await writeAtomically(path, async (file) => {
    await file.truncate(dataStart + position);
    await writeAt(file, Buffer.concat([prefix, padded]), 0);
    await fill((name, element, data) =>
      writeAt(file, asBytes(data), dataStart + begins.get(name)! + element * dtypes[layout[name]!.dtype].bytes),
    );
  });
}

async function writeAt(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

/** Writes tensors that are in memory, in the order of the keys, atomically. */
export function writeSafetensors(path: string, tensors: Readonly<Record<string, Tensor>>): Promise<void> {
  return streamSafetensors(path, tensors, async (put) => {
    for (const [name, tensor] of Object.entries(tensors)) await put(name, 0, tensor.data);
  });
}
