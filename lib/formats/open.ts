import { DataError } from '../errors.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { openBytes } from './bytes.js';
import { openHdf5 } from './hdf5.js';
import { openNpy, sharedFloats } from './npy.js';
import { openNpz } from './npz.js';
import { openRaw } from './raw.js';
import { openSafetensorsRows } from './safetensors.js';
import { findShards, openShards } from './shards.js';
import type { EmbeddingFile, EmbeddingRows, EmbeddingSource } from './source.js';
import { openVecs } from './vecs.js';

/** Large enough for a disk's full speed, small enough that abort and other work are never far away. */
const CHUNK_BYTES = 4 << 20;

/** Bytes that tell formats apart: HDF5's may come after a block of the user. */
const START_BYTES = 520;

interface Format {
  /** For people. */
  readonly name: string;
  readonly endings: readonly string[];
  /** Options of `EmbeddingFile` that mean something to it. */
  readonly takes: readonly ('name' | 'cols' | 'dtype')[];
  /** Whether a file begins as all of this format do; absent where they have no sign. */
  readonly begins?: (start: Buffer) => boolean;
  readonly open: (file: EmbeddingFile) => Promise<EmbeddingRows>;
}

const begins = (...signs: string[]) => {
  const bytes = signs.map((sign) => Buffer.from(sign, 'latin1'));
  return (start: Buffer) => bytes.some((sign) => start.subarray(0, sign.length).equals(sign));
};
const HDF5_SIGN = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');

const RAW: Format = {
  name: 'raw',
  endings: ['.f32', '.f64', '.f16', '.raw', '.bin'],
  takes: ['cols', 'dtype'],
  open: openRaw,
};
const FORMATS: readonly Format[] = [
  { name: 'NumPy', endings: ['.npy'], takes: [], begins: begins('\x93NUMPY'), open: openNpy },
  { name: 'NumPy archive', endings: ['.npz'], takes: ['name'], begins: begins('PK\x03\x04'), open: openNpz },
  {
    name: 'safetensors',
    endings: ['.safetensors'],
    takes: ['name'],
    begins: (start) => start.length > 8 && start.readUInt32LE(4) === 0 && start[8] === 0x7b,
    open: openSafetensorsRows,
  },
  {
    name: 'HDF5',
    endings: ['.h5', '.hdf5', '.he5', '.mat'],
    takes: ['name'],
    begins: (start) => [0, 512].some((at) => start.subarray(at, at + 8).equals(HDF5_SIGN)),
    open: openHdf5,
  },
  { name: 'fvecs', endings: ['.fvecs', '.bvecs', '.ivecs'], takes: [], open: openVecs },
  RAW,
];

/**
 * Opens embeddings, [N, d], for reading by row blocks: memory is what the caller asks for per read, and what docs/formats.md
 * says of the format. A folder or a pattern (`part-*.npy`) is one matrix of all its files.
 * @throws {DataError} naming the file and the cure.
 */
export async function openEmbeddings(source: EmbeddingSource): Promise<EmbeddingRows> {
  const file = typeof source === 'string' ? { path: source } : source;
  const shards = await findShards(file.path, isKnown);
  const [first = file.path, ...others] = shards ?? [];
  const format = await formatOf(first, file);
  for (const path of others) {
    const other = await formatOf(path, file);
    if (other === format) continue;
    throw new DataError(
      'ERR_SHARDS_DIFFER',
      `${first} is ${format.name}, but ${path} is ${other.name}. Name files of one format, by a pattern such as part-*.npy.`,
    );
  }
  checkOptions(file, first, format);
  return shards ? openShards(file, shards, format.open) : format.open(file);
}

/** The files that a path of embeddings stands for: itself, or all that a folder or a pattern names. */
export async function filesOf(path: string): Promise<string[]> {
  return (await findShards(path, isKnown)) ?? [path];
}

/**
 * Reads embeddings, [N, d], onto a SharedArrayBuffer, in chunks that leave the event loop free.
 * @returns the matrix, and the `notes` of `EmbeddingRows`.
 * @throws {DataError} like `openEmbeddings`; rejects with `signal.reason` when aborted.
 */
export async function readEmbeddings(
  source: EmbeddingSource,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<EmbeddingMatrix & { readonly notes: readonly string[] }> {
  const file = await openEmbeddings(source);
  try {
    const { rows, cols, notes } = file;
    return { data: await readAll(file, options), rows, cols, notes };
  } finally {
    await file.close();
  }
}

/** @throws {DataError} `ERR_OPTION_UNUSED`. */
function checkOptions(file: EmbeddingFile, path: string, format: Format): void {
  for (const option of ['name', 'cols', 'dtype'] as const) {
    if (file[option] === undefined || format.takes.includes(option)) continue;
    const takers = FORMATS.filter(({ takes }) => takes.includes(option)).map(({ name }) => name);
    throw new DataError(
      'ERR_OPTION_UNUSED',
      `\`${option}\` is an option of the formats ${takers.join(', ')}, but ${path} is ${format.name}. Leave it out.`,
    );
  }
}

function isKnown(name: string): boolean {
  return FORMATS.some((format) => hasEnding(name, format));
}

function hasEnding(path: string, { endings }: Format): boolean {
  return endings.some((ending) => path.toLowerCase().endsWith(ending));
}

/** The format by the ending, which what the file begins with must not belie; by that alone where the ending is unknown. */
async function formatOf(path: string, { cols }: EmbeddingFile): Promise<Format> {
  const start = await startOf(path);
  const named = FORMATS.find((format) => hasEnding(path, format));
  const seen = FORMATS.find((format) => format.begins?.(start));
  if (named?.begins && seen && named !== seen) {
    throw new DataError(
      'ERR_FORMAT_DIFFERS',
      `${path} is named like ${named.name}, but begins like ${seen.name}. Rename it to end in ${seen.endings[0]}.`,
    );
  }
  const format = named ?? seen ?? (cols === undefined ? undefined : RAW);
  if (format) return format;
  const known = FORMATS.map(({ name, endings }) => `${name} (${endings.join(', ')})`);
  throw new DataError(
    'ERR_FORMAT_UNKNOWN',
    `${path} is of no known format. Embeddings are read from ${known.join(', ')}; give \`cols\` for raw values under another name.`,
  );
}

async function startOf(path: string): Promise<Buffer> {
  const file = await openBytes(path);
  try {
    if (file.size === 0) throw new DataError('ERR_FILE_EMPTY', `${path} is empty (0 bytes). Write it again.`);
    return Buffer.from((await file.readAt(0, Math.min(START_BYTES, file.size))).buffer);
  } finally {
    await file.close();
  }
}

/** The `notes` on embeddings that are read elsewhere, such as in a thread. */
export async function notesOf(source: EmbeddingSource): Promise<string[]> {
  const file = await openEmbeddings(source);
  await file.close();
  return [...file.notes];
}

/** All rows of an opened file; as `readEmbeddings`. */
export async function readAll(
  file: EmbeddingRows,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Float32Array | Float64Array> {
  const { rows, cols } = file;
  const data = sharedFloats(file.dtype, rows * cols, file.path);
  const rowsPerRead = Math.max(1, Math.floor(CHUNK_BYTES / (cols * data.BYTES_PER_ELEMENT)));
  for (let row = 0; row < rows; row += rowsPerRead) {
    options.signal?.throwIfAborted();
    const count = Math.min(rowsPerRead, rows - row);
    await file.read(row, count, data.subarray(row * cols, (row + count) * cols));
  }
  return data;
}
