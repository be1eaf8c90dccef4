/**
 * NumPy's .npy format (NEP 1, versions 1 to 3): magic, version, header length, a Python dict literal padded to 64
 * bytes, then the raw values. Only what coregain exchanges is read and written: little-endian, C order.
 */
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import { writeAtomically } from '../files.js';
import type { EmbeddingRows } from './source.js';

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
/** Large enough for a disk's full speed, small enough that abort and other work are never far away. */
const CHUNK_BYTES = 4 << 20;

const FLOATS = {
  '<f4': { dtype: 'float32', bytes: 4 },
  '<f8': { dtype: 'float64', bytes: 8 },
} as const;

/**
 * Reads the header of any .npy file, whatever its element type.
 * @throws {DataError} `ERR_NPY_NOT_NPY` or `ERR_NPY_HEADER`, naming the file.
 */
export async function readNpyHeader(path: string): Promise<NpyHeader> {
  const file = await openFile(path);
  try {
    return await parseHeader(file, path);
  } finally {
    await file.close();
  }
}

/**
 * Opens embeddings, float32 or float64 [N, d], for reading by row blocks: memory is what the caller asks for per read.
 * @throws {DataError} naming the file and the cure, for every other type, order or shape and for a wrong file size.
 */
export async function openNpy(path: string): Promise<EmbeddingRows> {
  const file = await openFile(path);
  try {
    const header = await parseHeader(file, path);
    const { dtype, bytes, rows, cols } = embeddingLayout(header, path);
    checkSize(path, header, rows * cols * bytes, (await file.stat()).size);
    const Values = dtype === 'float32' ? Float32Array : Float64Array;
    return {
      path,
      dtype,
      rows,
      cols,
      notes: [],
      async read(start, count, target = new Values(count * cols)) {
        integer('start', start, 0, rows);
        integer('count', count, 0, rows - start);
        await readFully(file, path, target, header.dataOffset + start * cols * bytes);
        return target;
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
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

async function openFile(path: string): Promise<FileHandle> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new DataError(
      missing ? 'ERR_FILE_MISSING' : 'ERR_FILE_UNREADABLE',
      missing ? `${path} does not exist. Check the path.` : `${path} cannot be opened: ${(cause as Error).message}.`,
      { cause },
    );
  }
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new DataError('ERR_FILE_UNREADABLE', `${path} is not a file. Give the path of one .npy file.`);
}

async function parseHeader(file: FileHandle, path: string): Promise<NpyHeader> {
  const start = Buffer.alloc(12);
  const { bytesRead } = await file.read(start, 0, 12, 0);
  if (bytesRead < 10 || !start.subarray(0, 6).equals(MAGIC)) throw notNpy(path, start.subarray(0, bytesRead));
  const major = start[6]!;
  if (major < 1 || major > 3) {
    throw headerError(path, `is of .npy version ${major}, and only versions 1 to 3 exist`);
  }
  const length = major === 1 ? start.readUInt16LE(8) : start.readUInt32LE(8);
  const textOffset = major === 1 ? 10 : 12;
  if (length > MAX_HEADER_BYTES)
    throw headerError(path, `says that its header has ${length} bytes, which no array needs`);
  const bytes = Buffer.alloc(length);
  if ((await file.read(bytes, 0, length, textOffset)).bytesRead < length) {
    throw headerError(path, 'ends within its header');
  }
  const text = bytes.toString(major === 3 ? 'utf8' : 'latin1');
  const descr = /'descr'\s*:\s*(?:'([^']*)'|(\[.*?\])\s*,\s*'(?:fortran_order|shape)')/s.exec(text);
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text);
  const shape = /'shape'\s*:\s*\(([\d\sL,]*)\)/.exec(text);
  if (!descr || !order || !shape) throw headerError(path, `has a header that cannot be understood: ${text.trim()}`);
  const sides = (shape[1]!.match(/\d+/g) ?? []).map(Number);
  if (!sides.every(Number.isSafeInteger)) throw headerError(path, `has a side beyond 2^53: (${shape[1]})`);
  return {
    descr: descr[1] ?? descr[2]!,
    fortranOrder: order[1] === 'True',
    shape: sides,
    dataOffset: textOffset + length,
  };
}

function notNpy(path: string, start: Buffer): DataError {
  if (start.length === 0) return new DataError('ERR_NPY_NOT_NPY', `${path} is empty (0 bytes). Write it again.`);
  if (start.subarray(0, 4).equals(Buffer.from('PK\x03\x04', 'latin1'))) {
    return new DataError(
      'ERR_NPY_NOT_NPY',
      `${path} is an .npz archive, not an .npy file. Save one array of it: np.save('X.npy', np.load('X.npz')['name']).`,
    );
  }
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
  const layout = FLOATS[descr as keyof typeof FLOATS];
  if (!layout) {
    const [what, cure] = typeTrouble(descr);
    throw new DataError('ERR_NPY_DTYPE', `${path} holds ${what}, but embeddings are float32 or float64. ${cure}`);
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
  if (header.fortranOrder) {
    throw new DataError(
      'ERR_NPY_ORDER',
      `${path} is in Fortran order, but embeddings are in C order. Save np.ascontiguousarray(X).`,
    );
  }
  return { ...layout, rows, cols };
}

function typeTrouble(descr: string): [what: string, cure: string] {
  const cast = 'Save X.astype(np.float32).';
  if (/^>f[48]$/.test(descr)) return [`big-endian floats ('${descr}')`, `Save X.astype('<${descr.slice(1)}').`];
  if (/^.?f2$/.test(descr)) return ["float16 ('<f2')", cast];
  if (/^.?[iu]\d$/.test(descr)) return [`integers ('${descr}')`, cast];
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
    return dtype === 'float32' ? new Float32Array(memory) : new Float64Array(memory);
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

async function readFully(
  file: FileHandle,
  path: string,
  target: NodeJS.ArrayBufferView,
  position: number,
): Promise<void> {
  for (let done = 0; done < target.byteLength; ) {
    const count = Math.min(CHUNK_BYTES, target.byteLength - done);
    const { bytesRead } = await file.read(bytesOf(target, done, count), 0, count, position + done);
    if (bytesRead === 0) {
      throw new DataError('ERR_NPY_TRUNCATED', `${path} became shorter while it was read. Write or copy it again.`);
    }
    done += bytesRead;
  }
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
