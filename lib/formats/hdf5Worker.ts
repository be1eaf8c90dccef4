/** The thread in which HDF5 runs. See hdf5Thread.ts for what goes in and out. One file at a time. */
import { parentPort } from 'node:worker_threads';
import type { Dataset, File, Metadata } from 'h5wasm/node';
import * as hdf5 from 'h5wasm/node';
import { CoregainError, DataError } from '../errors.js';
import { chooseArray, type NamedArray } from './choose.js';
import { convert, ELEMENTS, type ElementType, floatsOf } from './elements.js';
import type { Hdf5Answer, Hdf5Request, Hdf5Values } from './hdf5Thread.js';

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

interface OpenedArrays {
  readonly path: string;
  readonly file: File;
  readonly datasets: ReadonlyMap<string, Dataset>;
}

let current: Opened | undefined;
let currentArrays: OpenedArrays | undefined;
/** Whether HDF5 is as it was at the beginning, apart from the open file. */
let reusable = true;

const module = await hdf5.ready;
// Without it a failed read prints to stderr and returns whatever was in memory.
module.activate_throwing_error_handler();

parentPort!.on('message', (request: Hdf5Request) => {
  const answered = answer(request);
  parentPort!.postMessage(answered, answered.kind === 'item' ? [answered.values.buffer as ArrayBuffer] : []);
});

function answer(request: Hdf5Request): Hdf5Answer {
  try {
    switch (request.kind) {
      case 'open':
        return open(request);
      case 'read':
        read(current!, request.start);
        return { kind: 'read' };
      case 'open-arrays':
        return openArrays(request);
      case 'item':
        return { kind: 'item', values: readItem(currentArrays!, request.array, request.index) };
      case 'close':
        if (current) module._free(current.pointer);
        (current ?? currentArrays)!.file.close();
        current = currentArrays = undefined;
        return { kind: 'closed', reusable };
    }
  } catch (error) {
    const path = 'path' in request ? request.path : (current ?? currentArrays)!.path;
    const { code, message } = error instanceof CoregainError ? error : broken(path, error);
    return { kind: 'failed', code, message, reusable };
  }
}

function open({ path, file, name }: Extract<Hdf5Request, { kind: 'open' }>): Hdf5Answer {
  return withFile(path, file, (opened) => openDataset(path, opened, name));
}

/** The file is closed again where `work` fails. */
function withFile(path: string, resolved: string, work: (file: File) => Hdf5Answer): Hdf5Answer {
  const file = attempt(path, () => new hdf5.File(resolved, 'r'), true);
  try {
    return work(file);
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

function openArrays(request: Extract<Hdf5Request, { kind: 'open-arrays' }>): Hdf5Answer {
  const { path } = request;
  return withFile(path, request.file, (file) => {
    const names = attempt(path, () => file.keys());
    const there = (wanted: readonly string[]) => wanted.filter((name) => names.includes(name));
    const datasets = new Map(
      there(request.arrays).map((name) => [name, attempt(path, () => file.get(name)) as Dataset]),
    );
    const arrays = new Map(
      [...datasets].map(([name, dataset]) => {
        const { shape, dtype } = attempt(path, () => ({ shape: dataset.shape ?? [], dtype: dataset.dtype }));
        return [name, { shape, dtype }];
      }),
    );
    const texts = new Map<string, string[]>();
    for (const name of there(request.texts)) {
      const found = attempt(path, () => stringsOf(file, name));
      if (found) texts.set(name, found);
    }
    currentArrays = { path, file, datasets };
    return { kind: 'opened-arrays', names, arrays, texts };
  });
}

/** A cell array of strings: references to arrays of UTF-16 codes. */
function stringsOf(file: File, name: string): string[] | undefined {
  const cells = (file.get(name) as Dataset).value;
  if (!Array.isArray(cells)) return undefined;
  return cells.map((reference) => {
    const codes = (file.dereference(reference as never) as unknown as Dataset).value;
    return codes instanceof Uint16Array ? String.fromCharCode(...codes) : '';
  });
}

function readItem({ path, datasets }: OpenedArrays, array: string, index: number): Hdf5Values {
  return attempt(path, () => datasets.get(array)!.slice([[index, index + 1]])) as Hdf5Values;
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
