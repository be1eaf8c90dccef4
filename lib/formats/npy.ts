/**
 * NumPy's .npy format (NEP 1, versions 1 to 3): magic, version, header length, a Python dict literal padded to 64
 * bytes, then the raw values. All real numbers are read, in either byte order; little-endian C order is written.
 */
import type { FileHandle } from 'node:fs/promises';
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { native } from '../native.js';
import { openBytes, type RandomAccessFile } from './bytes.js';
import { bandRows, columnRows } from './columns.js';
import { ELEMENTS, type ElementType, type Stored } from './elements.js';
import { flatRows } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

/** Element types that `writeNpy` takes. */
export type NpyArray = Int32Array | BigInt64Array | Float32Array | Float64Array;

/** What stands before the values of a .npy file. */
export interface NpyHeader {
  /** NumPy's type string, e.g. `<f4`; the whole field list for a structured array. */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Byte at which the values begin. */
  readonly dataOffset: number;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const MAX_HEADER_BYTES = 1 << 20;
/** From here on pages of 4 KiB cost: a fault each at the first touch, and look-ups of addresses ever after. */
const LARGE_BYTES = 8 << 20;
/** Large enough for a disk's full speed, small enough that abort and other work are never far away. */
const CHUNK_BYTES = 4 << 20;

/** Element types by kind and size in NumPy's type strings. */
const TYPES: Partial<Record<string, ElementType>> = {
  ...{ f2: 'float16', f4: 'float32', f8: 'float64' },
  ...{ i1: 'int8', i2: 'int16', i4: 'int32', i8: 'int64' },
  ...{ u1: 'uint8', u2: 'uint16', u4: 'uint32', u8: 'uint64' },
};

/**
 * Reads the header of any .npy file, whatever its element type.
 * @throws {DataError} `ERR_NPY_NOT_NPY` or `ERR_NPY_HEADER`, naming the file.
 */
export async function readNpyHeader(path: string): Promise<NpyHeader> {
  const file = await openBytes(path);
  try {
    return await parseNpyHeader(file, path);
  } finally {
    await file.close();
  }
}

/**
 * Opens embeddings, [N, d], for reading by row blocks: memory is what the caller asks for per read, and a band of at most
 * 256 MiB in Fortran order.
 * @throws {DataError} naming the file and the cure, for types that are no real numbers, for other shapes and for a wrong
 * file size; in Fortran order also where a row is too wide for such a band.
 */
export async function openNpy({ path }: EmbeddingFile): Promise<EmbeddingRows> {
  const file = await openBytes(path);
  try {
    return npyRows(file, path, await parseNpyHeader(file, path));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The rows of a whole .npy file, or of one in an archive. `source` is what messages call it. */
export function npyRows(file: RandomAccessFile, source: string, header: NpyHeader): EmbeddingRows {
  const { type, bigEndian, rows, cols } = embeddingLayout(header, source);
  checkSize(source, header, rows * cols * ELEMENTS[type].bytes, file.size);
  const layout = { source, type, bigEndian, rows, cols, offset: header.dataOffset };
  if (!header.fortranOrder) return flatRows(file, layout);
  const height = bandRows(file, layout);
  if (height !== undefined) return columnRows(file, layout, height);
  throw new DataError(
    'ERR_NPY_ORDER',
    `${source} is in Fortran order, which at ${rows} x ${cols} cannot be read by rows in bounded memory. Save np.ascontiguousarray(X).`,
  );
}

/** The element type that a type string means; undefined where it is no real number. */
export function elementOf(descr: string): Stored | undefined {
  const found = /^([<>|=]?)([fiu][1248])$/.exec(descr);
  const type = found && TYPES[found[2]!];
  return type ? { type, bigEndian: found[1] === '>' && ELEMENTS[type].bytes > 1 } : undefined;
}

/**
 * Writes an array of any shape, atomically. `data` is in C order: int32, int64, float32 or float64 by its class.
 * @throws {RangeError} if `shape` does not hold exactly `data.length` elements.
 */
export async function writeNpy(path: string, array: { data: NpyArray; shape: readonly number[] }): Promise<void> {
  const { data, shape } = array;
  for (const [i, side] of shape.entries()) integer(`shape[${i}]`, side, 0);
  const elements = shape.reduce((product, side) => product * side, 1);
  integer('data.length', data.length, elements, elements);
  await writeAtomically(path, async (file) => {
    const header = formatHeader(descrOf(data), shape);
    await writeFully(file, header, 0);
    await writeFully(file, data, header.byteLength);
  });
}

/**
 * Writes a float32 [N, cols] file row by row with bounded memory, atomically: `write` calls `append` with one or more
 * whole rows at a time, and the number of rows goes into the header at the end. Nothing appears at `path` unless
 * `write` succeeds. Rows that were appended may be reused by the caller once `append` has resolved.
 * @returns the number of rows written.
 */
export async function writeNpyRows(
  path: string,
  cols: number,
  write: (append: (rows: Float32Array) => Promise<void>) => Promise<void>,
): Promise<number> {
  integer('cols', cols, 1);
  let rows = 0;
  await writeAtomically(path, async (file) => {
    const placeholder = formatHeader('<f4', [0, cols]);
    await writeFully(file, placeholder, 0);
    // Small rows are gathered first: one system call per megabyte instead of one per row.
    const rowsPerWrite = Math.max(1, Math.floor((1 << 20) / (cols * 4)));
    const pending = new Float32Array(rowsPerWrite * cols);
    let filled = 0;
    let position = placeholder.byteLength;
    const flush = async () => {
      await writeFully(file, pending.subarray(0, filled), position);
      position += filled * 4;
      filled = 0;
    };
    await write(async (values) => {
      if (values.length % cols !== 0) integer('rows.length % cols', values.length % cols, 0, 0);
      for (let from = 0; from < values.length; ) {
        const count = Math.min(pending.length - filled, values.length - from);
        pending.set(values.subarray(from, from + count), filled);
        filled += count;
        from += count;
        if (filled === pending.length) await flush();
      }
      rows += values.length / cols;
    });
    await flush();
    await writeFully(file, formatHeader('<f4', [rows, cols]), 0);
  });
  return rows;
}

/** The header of a .npy file that may be part of another. `source` is what messages call it. */
export async function parseNpyHeader(file: RandomAccessFile, source: string): Promise<NpyHeader> {
  const start = Buffer.from((await file.readAt(0, Math.min(12, file.size))).buffer);
  if (start.length < 10 || !start.subarray(0, 6).equals(MAGIC)) throw notNpy(source, start);
  const major = start[6]!;
  if (major < 1 || major > 3) {
    throw headerError(source, `is of .npy version ${major}, and only versions 1 to 3 exist`);
  }
  const textOffset = major === 1 ? 10 : 12;
  if (file.size < textOffset) throw headerError(source, 'ends within its header');
  const length = major === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  if (length > MAX_HEADER_BYTES)
    throw headerError(source, `says that its header has ${length} bytes, which no array needs`);
  if (textOffset + length > file.size) throw headerError(source, 'ends within its header');
  const bytes = Buffer.from((await file.readAt(textOffset, length)).buffer);
  const text = bytes.toString(major === 3 ? 'utf8' : 'latin1');
  const descr = /'descr'\s*:\s*(?:'([^']*)'|(\[.*?\])\s*,\s*'(?:fortran_order|shape)')/s.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text);
  if (!descr || !order || !shape) {
    throw headerError(source, `has a header that cannot be understood: ${text.trim().slice(0, 200)}`);
  }
  const sides = (shape[1]!.match(/\d+/g) ?? []).map(Number);
  if (!sides.every(Number.isSafeInteger)) throw headerError(source, `has a side beyond 2^53: (${shape[1]})`);
  return {
    descr: descr[1] ?? descr[2]!,
    fortranOrder: order[1] === 'True',
    shape: sides,
    dataOffset: textOffset + length,
  };
}

function notNpy(path: string, start: Buffer): DataError {
  if (start.length === 0) return new DataError('ERR_NPY_NOT_NPY', `${path} is empty (0 bytes). Write it again.`);
  return new DataError(
    'ERR_NPY_NOT_NPY',
    `${path} is not an .npy file (it does not begin with \\x93NUMPY). Write it with np.save.`,
  );
}

function headerError(path: string, what: string): DataError {
  return new DataError('ERR_NPY_HEADER', `${path} ${what}. Write it again with np.save.`);
}

function embeddingLayout(header: NpyHeader, path: string) {
  const { descr, shape } = header;
  const stored = elementOf(descr);
  if (!stored) {
    const [what, cure] = typeTrouble(descr);
    throw new DataError('ERR_NPY_DTYPE', `${path} holds ${what}, but embeddings are real numbers. ${cure}`);
  }
  const shown = `(${shape.join(', ')}${shape.length === 1 ? ',' : ''})`;
  if (shape.length !== 2) {
    const cure =
      shape.length === 1
        ? 'Save X[:, None] (N points of one feature) or X[None, :] (one point).'
        : 'Save X.reshape(len(X), -1).';
    throw new DataError('ERR_NPY_SHAPE', `${path} has shape ${shown}, but embeddings are [N, d]. ${cure}`);
  }
  const [rows, cols] = shape as [number, number];
  if (rows === 0 || cols === 0) {
    throw new DataError('ERR_NPY_EMPTY', `${path} has shape ${shown}: it holds no values. Save at least one row.`);
  }
  return { ...stored, rows, cols };
}

function typeTrouble(descr: string): [what: string, cure: string] {
  const cast = 'Save X.astype(np.float32).';
  if (/^.?b1$/.test(descr)) return [`booleans ('${descr}')`, cast];
  if (/^.?c\d+$/.test(descr))
    return [`complex numbers ('${descr}')`, 'Save their real and imaginary parts as columns.'];
  if (descr.includes('O')) return ['pickled Python objects, which are never loaded', 'Save np.stack(list(X)).'];
  return [`values of type ${descr}`, cast];
}

function checkSize(path: string, header: NpyHeader, dataBytes: number, size: number): void {
  const expected = header.dataOffset + dataBytes;
  if (size < expected) {
    throw new DataError(
      'ERR_NPY_TRUNCATED',
      `${path} is truncated: its header promises ${expected} bytes, but it has ${size}. Write or copy it again.`,
    );
  }
  if (size > expected) {
    throw new DataError(
      'ERR_NPY_TRAILING',
      `${path} has ${size - expected} bytes after its last value: header and content do not belong together. Write it again.`,
    );
  }
}

/** Room for `length` floats on a SharedArrayBuffer. `source` is named when there is not enough memory. */
export function sharedFloats(
  dtype: 'float32' | 'float64',
  length: number,
  source: string,
): Float32Array | Float64Array {
  const bytes = length * (dtype === 'float32' ? 4 : 8);
  try {
    const memory = new SharedArrayBuffer(bytes);
    const array = dtype === 'float32' ? new Float32Array(memory) : new Float64Array(memory);
    if (bytes >= LARGE_BYTES) native().useLargePages(array);
    return array;
  } catch (cause) {
    const gigabytes = (bytes / 2 ** 30).toFixed(1);
    throw new DataError(
      'ERR_OUT_OF_MEMORY',
      `${source} needs ${gigabytes} GiB of memory, which could not be had. Use fewer features (aggregation mean) or fewer rows.`,
      { cause },
    );
  }
}

/** One Buffer over a whole array of more than 4 GiB cannot be made; one per chunk can. */
function bytesOf(values: NodeJS.ArrayBufferView, from: number, count: number): Buffer {
  return Buffer.from(values.buffer as ArrayBuffer, values.byteOffset + from, count);
}

async function writeFully(file: FileHandle, source: NodeJS.ArrayBufferView, position: number): Promise<void> {
  for (let done = 0; done < source.byteLength; ) {
    const count = Math.min(CHUNK_BYTES, source.byteLength - done);
    done += (await file.write(bytesOf(source, done, count), 0, count, position + done)).bytesWritten;
  }
}

function descrOf(data: NpyArray): string {
  if (data instanceof Int32Array) return '<i4';
  if (data instanceof BigInt64Array) return '<i8';
  return data instanceof Float32Array ? '<f4' : '<f8';
}

/** Version 1.0, padded to whole 128 bytes so that a row count of any size can be put in afterwards. */
function formatHeader(descr: string, shape: readonly number[]): Buffer {
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${sides}), }`;
  const total = Math.ceil((10 + dict.length + 1) / 128) * 128;
  const header = Buffer.alloc(total, 0x20);
  MAGIC.copy(header);
  header[6] = 1;
  header[7] = 0;
  header.writeUInt16LE(total - 10, 8);
  header.write(dict, 10, 'latin1');
  header[total - 1] = 0x0a;
  return header;
}
