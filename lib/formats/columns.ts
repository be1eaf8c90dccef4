/** Embeddings whose values lie in a file column after column (Fortran order), read by rows all the same. */
import type { RandomAccessFile } from './bytes.js';
import { conversionNotes, ELEMENTS, elementReader, type Floats, floatsOf } from './elements.js';
import { blockOf, type RowLayout } from './rows.js';
import type { EmbeddingRows } from './source.js';

/** A band of rows is read at a time, a piece of each column: in so many bytes where that makes pieces of this many rows, */
const BAND_BYTES = 32 << 20;
const LEAST_ROWS = 1024;
/** and otherwise in no more than these. Wider matrices would be read in pieces too small for any disk. */
const LARGEST_BAND_BYTES = 256 << 20;
const PIECE_VALUES = 1 << 18;
/** Pieces that are asked for at once. */
const AT_ONCE = 8;

/** Rows of a band; undefined if the matrix is too wide, or one that would be read backwards where that is slow. */
export function bandRows(
  file: RandomAccessFile,
  { type, rows, cols }: Pick<RowLayout, 'type' | 'rows' | 'cols'>,
): number | undefined {
  const rowBytes = cols * (ELEMENTS[type].as === 'float32' ? 4 : 8);
  const wanted = file.forwardOnly ? rows : Math.min(rows, Math.max(LEAST_ROWS, Math.floor(BAND_BYTES / rowBytes)));
  return wanted * rowBytes <= LARGEST_BAND_BYTES ? wanted : undefined;
}

/**
 * Columns that follow each other without gaps. The file is closed with them.
 * @param height `bandRows`. Memory is a band of so many rows.
 */
export function columnRows(file: RandomAccessFile, layout: RowLayout, height: number): EmbeddingRows {
  const { type, offset, rows, cols } = layout;
  const { bytes, as: dtype } = ELEMENTS[type];
  let band: Floats | undefined;
  let first = -1;
  const readers = Array.from({ length: file.forwardOnly ? 1 : AT_ONCE }, () => elementReader(file, layout));

  const fill = async (start: number): Promise<void> => {
    band ??= floatsOf(dtype, height * cols);
    first = -1;
    const into = band;
    const count = Math.min(height, rows - start);
    // A band of all rows has whole columns, of which several come with one read.
    const width = count === rows ? Math.min(cols, Math.max(1, Math.floor(PIECE_VALUES / rows))) : 1;
    const pieces = readers.map(() => floatsOf(dtype, width * count));
    const load = async (i: number, col: number): Promise<void> => {
      const part = pieces[i]!.subarray(0, Math.max(0, Math.min(width, cols - col)) * count);
      if (part.length > 0) await readers[i]!(offset + (col * rows + start) * bytes, part);
      for (let from = 0; from < part.length; from += count) {
        scatter(part.subarray(from, from + count), into, col + from / count, cols);
      }
    };
    for (let col = 0; col < cols; col += pieces.length * width) {
      await Promise.all(pieces.map((_, i) => load(i, col + i * width)));
    }
    first = start;
  };

  return {
    path: file.path,
    dtype,
    rows,
    cols,
    notes: conversionNotes(layout.source, layout),
    async read(start, count, target) {
      const block = blockOf({ dtype, rows, cols }, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const begin = row - (row % height);
        if (begin !== first) await fill(begin);
        const part = Math.min(begin + height - row, count - done);
        block.set(band!.subarray((row - begin) * cols, (row - begin + part) * cols), done * cols);
        done += part;
      }
      return block;
    },
    async close() {
      band = undefined;
      first = -1;
      await file.close();
    },
  };
}

function scatter(piece: Floats, into: Floats, col: number, cols: number): void {
  for (let row = 0, at = col; row < piece.length; row++, at += cols) into[at] = piece[row]!;
}
