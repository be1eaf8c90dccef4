/** What embeddings are read from. One file of this folder for each format; open.ts chooses. */
import type { EmbeddingMatrix } from '../matrix.js';
import type { ElementType } from './elements.js';

/** A file of embeddings, with what it cannot say of itself. */
export interface EmbeddingFile {
  /** Of one file, or of several that are one matrix, in natural order: a folder, or a pattern with `*`, `?` or `**`. */
  path: string;
  /**
   * Of .npz, safetensors and HDF5: the array; needed where several may be meant. Of tables: the column that holds the
   * embeddings as lists, or the columns of one feature each, `x,y,z` or `f*`.
   */
  name?: string | undefined;
  /** Of raw values: d, how many make a row. */
  cols?: number | undefined;
  /** Of raw values: their type; float32 if not given. */
  dtype?: ElementType | undefined;
  /**
   * Of Parquet and LanceDB: a condition in SQL on the columns of a row, `split = 'train' AND year > 2020`; rows for which it
   * is not true are as if they were not there. It is evaluated here, by a database that can reach no other file.
   */
  where?: string | undefined;
}

/** Embeddings on disk: the path of a file, or more than a path. */
export type EmbeddingSource = string | EmbeddingFile;

/** Embeddings in memory or on disk. */
export type Embeddings = EmbeddingMatrix | EmbeddingSource;

/** Opened embeddings, [N, d]. Close them when done. */
export interface EmbeddingRows {
  /** What messages call it. */
  readonly path: string;
  /** Of what `read` gives. */
  readonly dtype: 'float32' | 'float64';
  readonly rows: number;
  readonly cols: number;
  /** Sentences about values that are not given as they are stored, e.g. float16 that became float32. */
  readonly notes: readonly string[];
  /**
   * Reads rows [start, start + count) into memory of their own, or into `target`, which must have count * cols elements
   * and may be on a SharedArrayBuffer. One call at a time. Any order is right; from front to back is fast in every format.
   */
  read(start: number, count: number, target?: Float32Array | Float64Array): Promise<Float32Array | Float64Array>;
  /**
   * Reads columns [first, first + count) of all rows, [N, count], likewise; absent where rows are read about as fast. One call at a
   * time, of either.
   */
  readColumns?(first: number, count: number, target: Float32Array | Float64Array): Promise<void>;
  /**
   * Of tables: what another column has in each of the N rows, as text.
   * @throws {DataError} `ERR_COLUMN_MISSING`, and `ERR_NULL` naming the first row that has nothing there.
   */
  column?(name: string): Promise<string[]>;
  close(): Promise<void>;
}

export function onDisk(input: Embeddings): input is EmbeddingSource {
  return typeof input === 'string' || (typeof input === 'object' && input !== null && 'path' in input);
}

/** How messages call the input. */
export function sourceOf(input: Embeddings): string {
  if (typeof input === 'string') return input;
  return 'path' in input ? input.path : 'The embedding matrix';
}
