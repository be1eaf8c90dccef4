/** Embeddings in an HDF5 file, read by h5wasm. */
import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Dataset, Metadata } from 'h5wasm/node';
import { DataError } from '../errors.js';
import { chooseArray, type NamedArray } from './choose.js';
import { conversionNotes, convert, ELEMENTS, type ElementType, type Floats, floatsOf } from './elements.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

interface Found extends NamedArray {
  readonly dataset: Dataset;
}

const INTEGERS = {
  1: ['uint8', 'int8'],
  2: ['uint16', 'int16'],
  4: ['uint32', 'int32'],
  8: ['uint64', 'int64'],
} as const;
const FLOATS = { 2: 'float16', 4: 'float32', 8: 'float64' } as const;
/** HDF5's classes of types, by their numbers. */
const CLASSES = [
  'integers',
  'floats',
  'times',
  'strings',
  'bit fields',
  'opaque',
  'compound',
  'references',
  'enum',
  'lists',
  'arrays',
];

/** HDF5 runs on the JavaScript thread: a few milliseconds for a band of so many bytes, other work in between. */
const BAND_BYTES = 1 << 20;
/** Bands are of whole chunks, each of which is unpacked once, where they are no larger than this. */
const LARGEST_BAND_BYTES = 64 << 20;

/**
 * Opens a data set, [N, d]: the path `name`, or the only one that embeddings may be. Memory is a band of rows: 1 MiB, or as
 * many whole chunks as make up rows, up to 64 MiB.
 * @throws {DataError} `ERR_HDF5_FILE`, `ERR_HDF5_FILTER`, and as `chooseArray`.
 */
export async function openHdf5({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  // Loaded only when needed: it compiles 4 MB of WebAssembly.
  const hdf5 = await import('h5wasm/node');
  const module = await hdf5.ready;
  // Without it a failed read prints to stderr and returns whatever was in memory.
  module.activate_throwing_error_handler();

  const file = attempt(path, 'opening it', () => new hdf5.File(resolve(path), 'r'));
  const look = (key: string): Found[] => {
    try {
      const dataset = file.get(key);
      if (!(dataset instanceof hdf5.Dataset)) return [];
      const { metadata } = dataset;
      const type = elementOf(metadata);
      const typeName = type ?? CLASSES[metadata.type] ?? 'unknown';
      return [{ name: key, shape: metadata.shape ?? [], type, typeName, dataset }];
    } catch {
      // Nothing of that name, or a type that h5wasm cannot describe.
      return [];
    }
  };
  let pointer = 0;
  const close = async () => {
    if (pointer !== 0) module._free(pointer);
    pointer = 0;
    file.close();
  };
  try {
    const named = name === undefined ? [] : look(name.replace(/^\/+/, '')).map((found) => ({ ...found, name }));
    const all = named.length > 0 ? named : attempt(path, 'listing it', () => file.paths()).flatMap(look);
    const { dataset, shape, type, name: chosen } = chooseArray(path, 'data set', all, name);
    const [rows, cols] = shape as [number, number];
    const { bytes, as: dtype } = ELEMENTS[type];
    const height = bandHeight(dataset, rows, cols * bytes);
    pointer = module._malloc(height * cols * bytes);
    if (pointer === 0) {
      throw new DataError('ERR_OUT_OF_MEMORY', `${path}: rows of ${cols} values are too wide to be read from HDF5.`);
    }
    let band: Floats | undefined;
    let first = -1;
    const load = async (start: number): Promise<void> => {
      band ??= floatsOf(dtype, height * cols);
      first = -1;
      // Other work first, however many bands a read has.
      await setImmediate();
      const count = Math.min(height, rows - start);
      const box = [
        [BigInt(count), BigInt(cols)],
        [BigInt(start), 0n],
        [1n, 1n],
      ] as const;
      attempt(path, `reading "${chosen}"`, () => {
        const [size, at, step] = box;
        module.get_dataset_data(dataset.file_id, dataset.path, [...size], [...at], [...step], BigInt(pointer));
      });
      const length = count * cols;
      // HDF5 gave them in the byte order of this machine. Its memory may have moved while it read.
      const raw = Buffer.from(module.HEAPU8.buffer, pointer, length * bytes);
      const values = band.subarray(0, length);
      const converted = convert({ type }, raw, values);
      if (converted !== values) values.set(converted);
      first = start;
    };
    return {
      path,
      dtype,
      rows,
      cols,
      notes: conversionNotes(`${path} (data set "${chosen}")`, { type }),
      async read(start, count, target) {
        const block = blockOf({ dtype, rows, cols }, start, count, target);
        for (let done = 0; done < count; ) {
          const row = start + done;
          const begin = row - (row % height);
          if (begin !== first) await load(begin);
          const part = Math.min(begin + height - row, count - done);
          block.set(band!.subarray((row - begin) * cols, (row - begin + part) * cols), done * cols);
          done += part;
        }
        return block;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Runs a call of HDF5, whose errors are stack traces of C. */
function attempt<T>(path: string, doing: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    const filter = /required filter '([^']*)'/.exec((cause as Error).message)?.[1];
    if (filter !== undefined) {
      throw new DataError(
        'ERR_HDF5_FILTER',
        `${path} is compressed by the filter ${filter}, which is not known here. Write it with gzip or without compression.`,
        { cause },
      );
    }
    throw new DataError(
      'ERR_HDF5_FILE',
      `${path} failed at ${doing}: it is not an HDF5 file, damaged or cut off. Write or copy it again.`,
      { cause },
    );
  }
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
