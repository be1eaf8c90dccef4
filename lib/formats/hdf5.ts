/** Embeddings in an HDF5 file. See hdf5Thread.ts for where it is read. */
import { resolve } from 'node:path';
import { conversionNotes, ELEMENTS, type Floats } from './elements.js';
import { ask, release, take } from './hdf5Thread.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

/**
 * Opens a data set, [N, d]: the path `name`, or the only one that embeddings may be. Memory is a band of rows, 1 MiB or as
 * many whole chunks as make up rows, up to 64 MiB, twice.
 * @throws {DataError} `ERR_HDF5_FILE`, `ERR_HDF5_FILTER`, and as `chooseArray`.
 */
export async function openHdf5({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  const worker = take();
  const opened = await ask<'opened'>(worker, path, { kind: 'open', path, file: resolve(path), name });
  const { type, rows, cols, height } = opened;
  const dtype = ELEMENTS[type].as;
  const band: Floats = dtype === 'float32' ? new Float32Array(opened.band) : new Float64Array(opened.band);
  let first = -1;
  let closed: Promise<void> | undefined;
  return {
    path,
    dtype,
    rows,
    cols,
    notes: conversionNotes(`${path} (data set "${opened.name}")`, { type }),
    async read(start, count, target) {
      const block = blockOf({ dtype, rows, cols }, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const begin = row - (row % height);
        if (begin !== first) {
          first = -1;
          await ask<'read'>(worker, path, { kind: 'read', start: begin }).catch((error) => {
            closed = Promise.resolve();
            throw error;
          });
          first = begin;
        }
        const part = Math.min(begin + height - row, count - done);
        block.set(band.subarray((row - begin) * cols, (row - begin + part) * cols), done * cols);
        done += part;
      }
      return block;
    },
    close() {
      closed ??= ask<'closed'>(worker, path, { kind: 'close' }).then(({ reusable }) => release(worker, reusable));
      return closed;
    },
  };
}
