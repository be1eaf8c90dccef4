/** Values and nothing else, row after row, little-endian: what `X.tofile(path)` writes. */
import { integer, oneOf } from '../check.js';
import { DataError } from '../errors.js';
import { openBytes } from './bytes.js';
import { ELEMENT_TYPES, ELEMENTS, type ElementType } from './elements.js';
import { flatRows } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

/** Endings that say what the values are. */
const BY_ENDING: Record<string, ElementType> = { '.f16': 'float16', '.f32': 'float32', '.f64': 'float64' };

/**
 * Opens raw values as [N, `cols`] of `dtype`, which is float32 unless the ending (.f16, .f64) says otherwise.
 * @throws {DataError} `ERR_RAW_COLS` (no `cols`), `ERR_RAW_SIZE` (no whole number of rows).
 */
export async function openRaw({ path, cols: wanted, dtype }: EmbeddingFile): Promise<EmbeddingRows> {
  const file = await openBytes(path);
  try {
    if (wanted === undefined) {
      throw new DataError(
        'ERR_RAW_COLS',
        `${path} holds values and no word on their shape. Give \`cols\`, the number of values in a row.`,
      );
    }
    const cols = integer('cols', wanted, 1);
    const type = oneOf(
      'dtype',
      dtype ?? BY_ENDING[/\.[^.]*$/.exec(path)?.[0].toLowerCase() ?? ''] ?? 'float32',
      ELEMENT_TYPES,
    );
    const rowBytes = cols * ELEMENTS[type].bytes;
    if (file.size % rowBytes !== 0) {
      throw new DataError(
        'ERR_RAW_SIZE',
        `${path} has ${file.size} bytes, which is no whole number of rows of ${cols} ${type} (${rowBytes} bytes). ` +
          'Check `cols` and `dtype`, or copy it again.',
      );
    }
    return flatRows(file, { source: path, type, offset: 0, rows: file.size / rowBytes, cols });
  } catch (error) {
    await file.close();
    throw error;
  }
}
