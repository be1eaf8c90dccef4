/** The thread in which HDF5 runs. See hdf5.ts for what goes in and out. One file at a time. */
import { parentPort } from 'node:worker_threads';
import type { Dataset, File, Metadata } from 'h5wasm/node';
import * as hdf5 from 'h5wasm/node';
import { CoregainError, DataError } from '../errors.js';
import { chooseArray, type NamedArray } from './choose.js';
import { convert, ELEMENTS, type ElementType, floatsOf } from './elements.js';
import type { Hdf5Answer, Hdf5Request } from './hdf5.js';

interface Found extends NamedArray {
  readonly dataset: Dataset;
}

interface Opened {
  readonly path: string;
  readonly file: File;
  readonly dataset: Dataset;
  readonly type: ElementType;
  readonly rows: number;
  readonly cols: number;
  readonly height: number;
  readonly band: SharedArrayBuffer;
  /** Where HDF5 puts a band. */
  readonly pointer: number;
}

const INTEGERS = {
  1: ['uint8', 'int8'],
  2: ['uint16', 'int16'],
  4: ['uint32', 'int32'],
  8: ['uint64', 'int64'],
} as const;
const FLOATS = { 2: 'float16', 4: 'float32', 8: 'float64' } as const;
/** HDF5's classes of types, by their numbers. */
const CLASSES = 'integers, floats, times, strings, bit fields, opaque, compound, references, enum, lists, arrays'.split(
  ', ',
);

const BAND_BYTES = 1 << 20;
/** Bands are of whole chunks, each of which is unpacked once, where they are no larger than this. */
const LARGEST_BAND_BYTES = 64 << 20;

let current: Opened | undefined;
/** Whether HDF5 is as it was at the beginning, apart from the open file. */
let reusable = true;

const module = await hdf5.ready;
// Without it a failed read prints to stderr and returns whatever was in memory.
module.activate_throwing_error_handler();

parentPort!.on('message', (request: Hdf5Request) => parentPort!.postMessage(answer(request)));

function answer(request: Hdf5Request): Hdf5Answer {
  try {
    switch (request.kind) {
      case 'open':
        return open(request);
      case 'read':
        read(current!, request.start);
        return { kind: 'read' };
      case 'close':
        module._free(current!.pointer);
        current!.file.close();
        current = undefined;
        return { kind: 'closed', reusable };
    }
  } catch (error) {
    const { code, message } =
      error instanceof CoregainError ? error : broken(request.kind === 'open' ? request.path : current!.path, error);
    return { kind: 'failed', code, message, reusable };
  }
}

function open({ path, file: resolved, name }: Extract<Hdf5Request, { kind: 'open' }>): Hdf5Answer {
  const file = attempt(path, () => new hdf5.File(resolved, 'r'), true);
  try {
    return openDataset(path, file, name);
  } catch (error) {
    if (hasCrashed(error)) reusable = false;
    if (reusable) file.close();
    throw error;
  }
}

function openDataset(path: string, file: File, name: string | undefined): Hdf5Answer {
  const look = (key: string): Found[] => {
    const dataset = orUndefined(() => file.get(key));
    if (!(dataset instanceof hdf5.Dataset)) return [];
    const metadata = orUndefined(() => dataset.metadata);
    // A data set that h5wasm cannot describe stays open.
    if (!metadata) reusable = false;
    const type = metadata && elementOf(metadata);
    const typeName = type ?? CLASSES[metadata?.type ?? -1] ?? 'unknown';
    return [{ name: key, shape: metadata?.shape ?? [], type, typeName, dataset }];
  };
  const named = name === undefined ? [] : look(name.replace(/^\/+/, '')).map((found) => ({ ...found, name }));
  const all = named.length > 0 ? named : attempt(path, () => file.paths()).flatMap(look);
  const { dataset, shape, type, name: chosen } = chooseArray(path, 'data set', all, name);
  const [rows, cols] = shape as [number, number];
  const { bytes, as } = ELEMENTS[type];
  const height = bandHeight(dataset, rows, cols * bytes);
  const pointer = module._malloc(height * cols * bytes);
  if (pointer === 0) {
    throw new DataError('ERR_OUT_OF_MEMORY', `${path}: rows of ${cols} values are too wide to be read from HDF5.`);
  }
  const band = new SharedArrayBuffer(height * cols * (as === 'float32' ? 4 : 8));
  current = { path, file, dataset, type, rows, cols, height, band, pointer };
  return { kind: 'opened', name: chosen, type, rows, cols, height, band };
}

function read({ path, dataset, type, rows, cols, height, band, pointer }: Opened, start: number): void {
  const count = Math.min(height, rows - start);
  const [size, from, step] = [
    [BigInt(count), BigInt(cols)],
    [BigInt(start), 0n],
    [1n, 1n],
  ];
  attempt(path, () => module.get_dataset_data(dataset.file_id, dataset.path, size!, from!, step!, BigInt(pointer)));
  const length = count * cols;
  const { bytes, as } = ELEMENTS[type];
  // HDF5 gave them in the byte order of this machine. Its memory may have moved while it read.
  const raw = Buffer.from(module.HEAPU8.buffer, pointer, length * bytes);
  const target = as === 'float32' ? new Float32Array(band) : new Float64Array(band);
  target.set(convert({ type }, raw, floatsOf(as, length)));
}

/** What HDF5 says, or undefined where it has nothing to say of that. */
function orUndefined<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (cause) {
    if (hasCrashed(cause)) throw cause;
    return undefined;
  }
}

/** Runs a call of HDF5, whose errors are stack traces of C. Most calls that fail leave something of the file open. */
function attempt<T>(path: string, call: () => T, leavesNothing = false): T {
  try {
    return call();
  } catch (cause) {
    if (hasCrashed(cause) || !leavesNothing) reusable = false;
    const filter = /required filter '([^']*)'/.exec((cause as Error).message)?.[1];
    if (filter !== undefined) {
      throw new DataError(
        'ERR_HDF5_FILTER',
        `${path} is compressed by the filter ${filter}, which is not known here. Write it with gzip or without compression.`,
        { cause },
      );
    }
    throw broken(path, cause);
  }
}

function broken(path: string, cause: unknown): DataError {
  const message = `${path} is not a whole HDF5 file: it is damaged, cut off, or of another format. Write or copy it again.`;
  return new DataError('ERR_HDF5_FILE', message, { cause });
}

/** Whether the WebAssembly has ended, after which every call fails. */
function hasCrashed(cause: unknown): boolean {
  return (cause as Error).name === 'RuntimeError';
}

function elementOf({ type, size, signed }: Metadata): ElementType | undefined {
  if (type === 0) return INTEGERS[size as keyof typeof INTEGERS]?.[signed ? 1 : 0];
  return type === 1 ? FLOATS[size as keyof typeof FLOATS] : undefined;
}

/** Rows that are read at a time. */
function bandHeight({ metadata: { chunks } }: Dataset, rows: number, rowBytes: number): number {
  const chunkRows = chunks?.[0] ?? 1;
  const whole = chunkRows * Math.max(1, Math.floor(BAND_BYTES / (rowBytes * chunkRows)));
  const most = Math.max(1, Math.floor(LARGEST_BAND_BYTES / rowBytes));
  return Math.min(rows, whole, most);
}
