/** Embeddings that can only be read from front to back, read in any order all the same. */
import type { Floats } from './elements.js';
import { blockOf } from './rows.js';
import type { EmbeddingRows } from './source.js';

/** Rows from some row on. `next` gives one or more whole rows, valid until it is called again; nothing at the end. */
export interface RowStream {
  next(): Promise<Floats | undefined>;
  close(): Promise<void>;
}

/**
 * Rows behind a stream, which goes on where the last read ended and begins anew for every other row. Memory is what the stream
 * gives at a time.
 * @param openAt opens the stream at a row.
 * @param ended the error for a stream that ends before row `rows`.
 */
export function forwardRows(
  facts: Pick<EmbeddingRows, 'path' | 'dtype' | 'rows' | 'cols' | 'notes'>,
  openAt: (row: number) => Promise<RowStream>,
  ended: (row: number) => Error,
): Pick<EmbeddingRows, 'path' | 'dtype' | 'rows' | 'cols' | 'notes' | 'read' | 'close'> {
  const { cols } = facts;
  let stream: RowStream | undefined;
  let held: Floats | undefined;
  /** Row that `held` begins with. */
  let first = 0;
  const heldRows = () => (held ? held.length / cols : 0);

  const close = async () => {
    const opened = stream;
    stream = undefined;
    held = undefined;
    await opened?.close();
  };
  /** Makes `held` have the row. */
  const seek = async (row: number) => {
    if (held && row >= first && row < first + heldRows()) return;
    if (!stream || row !== first + heldRows()) {
      await close();
      stream = await openAt(row);
      first = row;
    } else {
      first += heldRows();
    }
    held = await stream.next();
    if (!held) throw ended(row);
  };

  return {
    ...facts,
    async read(start, count, target) {
      const block = blockOf(facts, start, count, target);
      try {
        for (let done = 0; done < count; ) {
          const row = start + done;
          await seek(row);
          const part = Math.min(first + heldRows() - row, count - done);
          block.set(held!.subarray((row - first) * cols, (row - first + part) * cols), done * cols);
          done += part;
        }
      } catch (error) {
        await close();
        throw error;
      }
      return block;
    },
    close,
  };
}
