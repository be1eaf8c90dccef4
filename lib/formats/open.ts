import type { EmbeddingMatrix } from '../matrix.js';
import { openNpy, sharedFloats } from './npy.js';
import type { EmbeddingRows, EmbeddingSource } from './source.js';

/** Large enough for a disk's full speed, small enough that abort and other work are never far away. */
const CHUNK_BYTES = 4 << 20;

/**
 * Opens embeddings, [N, d], for reading by row blocks: memory is what the caller asks for per read.
 * @throws {DataError} naming the file and the cure.
 */
export async function openEmbeddings(source: EmbeddingSource): Promise<EmbeddingRows> {
  const { path } = typeof source === 'string' ? { path: source } : source;
  return openNpy(path);
}

/**
 * Reads embeddings, [N, d], onto a SharedArrayBuffer, in chunks that leave the event loop free.
 * @throws {DataError} like `openEmbeddings`; rejects with `signal.reason` when aborted.
 */
export async function readEmbeddings(
  source: EmbeddingSource,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<EmbeddingMatrix> {
  const file = await openEmbeddings(source);
  try {
    return { data: await readAll(file, options), rows: file.rows, cols: file.cols };
  } finally {
    await file.close();
  }
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
