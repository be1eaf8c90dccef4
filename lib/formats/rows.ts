/** Embeddings whose values lie in a file row after row, which most formats come down to. */
import { integer, outOfRange, wrongType } from '../check.js';
import type { RandomAccessFile } from './bytes.js';
import {
  conversionNotes,
  ELEMENTS,
  elementReader,
  type Floats,
  floatsOf,
  pieceReader,
  type Stored,
} from './elements.js';
import type { EmbeddingRows } from './source.js';

/** Where the rows are, and of what. */
export interface RowLayout extends Stored {
  /** What messages call it. */
  readonly source: string;
  /** Byte at which the first row begins. */
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
}

/** Rows that follow each other without gaps. The file is closed with them. */
export function flatRows(file: RandomAccessFile, layout: RowLayout): EmbeddingRows {
  const { type, offset, rows, cols } = layout;
  const { bytes, as: dtype } = ELEMENTS[type];
  const fill = elementReader(file, layout);
  const fillPieces = pieceReader(file, layout);
  return {
    path: file.path,
    dtype,
    rows,
    cols,
    notes: conversionNotes(layout.source, layout),
    async read(start, count, target) {
      const block = blockOf({ dtype, rows, cols }, start, count, target);
      await fill(offset + start * cols * bytes, block);
      return block;
    },
    ...(fillPieces && {
      async readColumns(first: number, count: number, target: Floats) {
        integer('first', first, 0, cols - 1);
        integer('count', count, 1, cols - first);
        blockOf({ dtype, rows, cols: count }, 0, rows, target);
        await fillPieces(offset + first * bytes, cols * bytes, rows, target);
      },
    }),
    close: () => file.close(),
  };
}

/** Checks what `read` was asked for. Returns the memory to fill: `target`, or new. */
export function blockOf(
  { dtype, rows, cols }: Pick<EmbeddingRows, 'dtype' | 'rows' | 'cols'>,
  start: number,
  count: number,
  target: Floats | undefined,
): Floats {
  integer('start', start, 0, rows);
  integer('count', count, 0, rows - start);
  if (target === undefined) return floatsOf(dtype, count * cols);
  const given = target instanceof Float32Array ? 'float32' : 'float64';
  if (given !== dtype) throw wrongType('target', `a ${dtype === 'float32' ? 'Float32Array' : 'Float64Array'}`, target);
  if (target.length !== count * cols) throw outOfRange('target.length', `${count * cols}`, target.length);
  return target;
}
