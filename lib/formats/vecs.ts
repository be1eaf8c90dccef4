/**
 * The .fvecs, .bvecs and .ivecs files of nearest-neighbour benchmarks (corpus-texmex.irisa.fr): each row is a little-endian
 * int32 d and then d values, float32, uint8 or int32.
 */
import { DataError } from '../errors.js';
import { openBytes, type RandomAccessFile } from './bytes.js';
import { conversionNotes, convert, ELEMENTS, type ElementType, floatsOf } from './elements.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

const TYPES: Record<string, ElementType> = { f: 'float32', b: 'uint8', i: 'int32' };
const CHUNK_BYTES = 1 << 20;

/**
 * Opens the rows of a file whose ending says what they hold; all must have the same d. The first and the last row are
 * checked now, every other one when it is read.
 * @throws {DataError} `ERR_VECS_SIZE`, `ERR_VECS_ROW`.
 */
export async function openVecs({ path }: EmbeddingFile): Promise<EmbeddingRows> {
  const type = TYPES[path.at(-5)!.toLowerCase()]!;
  const file = await openBytes(path);
  try {
    const { bytes, as: dtype } = ELEMENTS[type];
    const cols = file.size < 4 ? 0 : await prefixAt(file, 0);
    const rowBytes = 4 + cols * bytes;
    if (cols < 1 || file.size % rowBytes !== 0) {
      throw new DataError(
        'ERR_VECS_SIZE',
        `${path} has ${file.size} bytes, which is no whole number of rows${cols < 1 ? '' : ` of ${cols} ${type} each (as its first row says)`}. ` +
          'Write or copy it again.',
      );
    }
    const rows = file.size / rowBytes;
    const check = (d: number, row: number) => {
      if (d === cols) return;
      throw new DataError(
        'ERR_VECS_ROW',
        `${path} has rows of unequal length or is damaged: row ${row} says that it has ${d} values, row 0 has ${cols}. Write it again.`,
      );
    };
    check(await prefixAt(file, (rows - 1) * rowBytes), rows - 1);
    const most = Math.max(1, Math.floor(CHUNK_BYTES / rowBytes));
    return {
      path,
      dtype,
      rows,
      cols,
      notes: conversionNotes(path, { type }),
      async read(start, count, target) {
        const block = blockOf({ dtype, rows, cols }, start, count, target);
        const height = Math.min(most, count);
        const raw = Buffer.allocUnsafeSlow(height * rowBytes);
        const values = floatsOf(dtype, height * cols);
        for (let done = 0; done < count; done += height) {
          const part = Math.min(height, count - done);
          await file.readInto((start + done) * rowBytes, raw.subarray(0, part * rowBytes));
          for (let i = 0; i < part; i++) {
            check(raw.readInt32LE(i * rowBytes), start + done + i);
            raw.copyWithin(i * cols * bytes, i * rowBytes + 4, (i + 1) * rowBytes);
          }
          const length = part * cols;
          block.set(convert({ type }, raw.subarray(0, length * bytes), values.subarray(0, length)), done * cols);
        }
        return block;
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function prefixAt(file: RandomAccessFile, offset: number): Promise<number> {
  return Buffer.from((await file.readAt(offset, 4)).buffer).readInt32LE(0);
}
