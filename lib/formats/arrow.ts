/** Embeddings in Arrow IPC files and streams: only the bytes of the rows that are asked for are read. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { decompressed, registerCodecs } from './arrowBodies.js';
import { type ArrowBatch, type ArrowFile, brokenArrow, readMessages } from './arrowMessages.js';
import { type ArrowField, checkText, columnsOf, placesOf, TYPE } from './arrowSchema.js';
import { openBytes, type RandomAccessFile } from './bytes.js';
import { ELEMENTS, elementReader, floatsOf } from './elements.js';
import { forwardRows, type RowStream } from './forward.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';
import {
  chooseColumns,
  columnNotes,
  columnType,
  type EmbeddingColumns,
  findColumn,
  hasNull,
  isNull,
  ragged,
  type TableColumn,
} from './tableColumns.js';

/** Rows of one batch whose values are at one place of the file for each column, d of them or one. */
interface Run {
  /** Row number of the first. */
  readonly start: number;
  readonly rows: number;
  /** Byte at which the values of each chosen column begin. */
  readonly offsets: readonly number[];
}

/** Offsets of lists that are looked at together. */
const CHUNK_ROWS = 1 << 16;
/** Where each feature is a column: bytes of the rows that are read together, a piece of each column. */
const BAND_BYTES = 32 << 20;

const CURE = 'Repair that row, or leave it out.';

/**
 * Opens embeddings in an Arrow IPC file (.arrow, .feather of version 2) or stream. Headers, NULLs and the lengths of lists are
 * looked at now, values when they are read.
 * @throws {DataError} `ERR_ARROW_BROKEN`, `ERR_ARROW_COMPRESSED`, `ERR_NULL` and `ERR_LIST_LENGTH` naming the row,
 * `ERR_NO_ROWS`, and as `chooseColumns`.
 */
export async function openArrow({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  const stored = await openBytes(path);
  try {
    const { kind, fields, batches: packed, ended } = await readMessages(stored);
    const { file, batches } = await decompressed(stored, packed);
    const columns = columnsOf(fields);
    const chosen = chooseColumns(path, columns, name);
    const { runs, rows, cols } = await findRuns(file, { fields, batches }, columns, chosen);
    const dtype = columnType(chosen);
    const notes = [...chosen.notes, ...columnNotes(path, chosen)];
    if (!ended && kind === 'stream') notes.push(`${path} has no mark of its end; if it was cut off, rows are missing.`);
    const facts = { path, dtype, rows, cols, notes };
    const read = chosen.shape === 'list' ? listRows(file, runs, chosen, facts) : bands(file, runs, chosen, facts);
    return {
      ...facts,
      ...read,
      async column(wanted) {
        findColumn(path, columns, wanted);
        checkText(path, fields.find((field) => field.name === wanted)!);
        return texts(path, kind, wanted);
      },
    };
  } catch (error) {
    await stored.close();
    throw error;
  }
}

async function findRuns(
  file: RandomAccessFile,
  { fields, batches }: Pick<ArrowFile, 'fields' | 'batches'>,
  columns: readonly TableColumn[],
  chosen: EmbeddingColumns,
): Promise<{ runs: Run[]; rows: number; cols: number }> {
  const { path } = file;
  const runs: Run[] = [];
  let rows = 0;
  let cols = chosen.shape === 'scalar' ? chosen.columns.length : 0;
  for (const batch of batches) {
    if (batch.rows === 0) continue;
    const places = placesOf(fields, batch.variadic);
    const offsets: number[] = [];
    for (const column of chosen.columns) {
      const index = columns.indexOf(column);
      const part = { batch, start: rows, column, field: fields[index]!, ...places[index]! };
      const nullRow = await firstNull(file, batch, part);
      if (nullRow >= 0) throw isNull(path, labelOf(column), rows + nullRow, CURE);
      if (chosen.shape === 'scalar') {
        offsets.push(within(path, batch, part.buffer + 1, 0, batch.rows * ELEMENTS[column.type].bytes));
      } else {
        const found = await findLists(file, part, cols);
        cols = found.cols;
        offsets.push(found.offset);
      }
    }
    runs.push({ start: rows, rows: batch.rows, offsets });
    rows += batch.rows;
  }
  if (rows > 0) return { runs, rows, cols };
  throw new DataError('ERR_NO_ROWS', `${path} has no rows. Write at least one.`);
}

/** A column in a batch. */
interface Part {
  readonly batch: ArrowBatch;
  /** Row number of the batch's first. */
  readonly start: number;
  readonly column: EmbeddingColumns['columns'][number];
  readonly field: ArrowField;
  /** Its first node and buffer. */
  readonly node: number;
  readonly buffer: number;
}

function labelOf({ name }: { readonly name: string }): string {
  return `column ${JSON.stringify(name)}`;
}

/**
 * Where the values of a column of lists begin, which must all have `cols` of them.
 * @param cols 0 where that is not known yet.
 */
async function findLists(file: RandomAccessFile, part: Part, cols: number): Promise<{ offset: number; cols: number }> {
  const { path } = file;
  const { batch, start, column, field, node, buffer } = part;
  const fixed = field.typeId === TYPE.fixedSizeList;
  // After validity, lists of any length have their offsets.
  const child = { node: node + 1, buffer: buffer + (fixed ? 1 : 2) };
  const { first, length } = fixed ? { first: 0, length: field.listSize! } : await lengthOf(file, part, cols);
  if (!(length > 0)) {
    throw new DataError(
      'ERR_NO_ROWS',
      `${path}: the ${labelOf(column)} has no values in row ${start}. Write at least one in each row.`,
    );
  }
  const { bytes } = ELEMENTS[column.type];
  const offset = within(path, batch, child.buffer + 1, first * bytes, batch.rows * length * bytes);
  const nullAt = await firstNull(file, batch, child, first, first + batch.rows * length);
  if (nullAt < 0) return { offset, cols: length };
  const at = nullAt - first;
  throw hasNull(path, labelOf(column), start + Math.floor(at / length), at % length);
}

/** Byte of the file at which `length` bytes begin that must be in a buffer from `offset` on. */
function within(path: string, batch: ArrowBatch, buffer: number, offset: number, length: number): number {
  const place = batch.buffers[buffer];
  if (place && offset + length <= place.length) return place.offset + offset;
  throw brokenArrow(path, 'a buffer is shorter than its rows need');
}

/** Index of the first NULL in [from, to) of a node; -1 if there is none. Bit 0 of a validity buffer says NULL. */
async function firstNull(
  file: RandomAccessFile,
  batch: ArrowBatch,
  { node, buffer }: { readonly node: number; readonly buffer: number },
  from = 0,
  to = batch.rows,
): Promise<number> {
  if (batch.nulls[node] === 0) return -1;
  const first = Math.floor(from / 8);
  const count = Math.ceil(to / 8) - first;
  const at = within(file.path, batch, buffer, first, count);
  for (let done = 0; done < count; done += CHUNK_ROWS) {
    const bits = await file.readAt(at + done, Math.min(CHUNK_ROWS, count - done));
    const begin = 8 * (first + done);
    for (let i = Math.max(from, begin); i < Math.min(to, begin + 8 * bits.length); i++) {
      if ((bits[(i - begin) >> 3]! & (1 << (i & 7))) === 0) return i;
    }
  }
  return -1;
}

/** Of lists of any length: where the first begins, and how long all of them are. */
async function lengthOf(
  file: RandomAccessFile,
  { batch, start, column, field, buffer }: Part,
  cols: number,
): Promise<{ first: number; length: number }> {
  const large = field.typeId === TYPE.largeList;
  const bytes = large ? 8 : 4;
  const at = within(file.path, batch, buffer + 1, 0, (batch.rows + 1) * bytes);
  let length = cols;
  let first: number | undefined;
  for (let row = 0; row < batch.rows; row += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, batch.rows - row);
    const read = await file.readAt(at + row * bytes, (count + 1) * bytes);
    const offsets = large ? Float64Array.from(new BigInt64Array(read.buffer), Number) : new Int32Array(read.buffer);
    first ??= offsets[0]!;
    for (let i = 0; i < count; i++) {
      const found = offsets[i + 1]! - offsets[i]!;
      // The first list there is says how long all are.
      if (start + row + i === 0) length = found;
      if (found !== length) throw ragged(file.path, labelOf(column), start + row + i, found, length);
    }
  }
  if (!(first! >= 0)) throw brokenArrow(file.path, 'a list begins before its values');
  return { first: first!, length };
}

type Facts = Pick<EmbeddingRows, 'path' | 'dtype' | 'rows' | 'cols' | 'notes'>;
type Reading = Pick<EmbeddingRows, 'read' | 'close'>;

/** Lists: the values of rows that follow each other do so too. */
function listRows(file: RandomAccessFile, runs: readonly Run[], chosen: EmbeddingColumns, facts: Facts): Reading {
  const { cols } = facts;
  const { type } = chosen.columns[0]!;
  const rowBytes = cols * ELEMENTS[type].bytes;
  const fill = elementReader(file, { type });
  return {
    async read(start, count, target) {
      const block = blockOf(facts, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const run = runOf(runs, row);
        const part = Math.min(run.start + run.rows - row, count - done);
        const into = block.subarray(done * cols, (done + part) * cols);
        await fill(run.offsets[0]! + (row - run.start) * rowBytes, into);
        done += part;
      }
      return block;
    },
    close: () => file.close(),
  };
}

/** The run that has a row. */
function runOf(runs: readonly Run[], row: number): Run {
  let [low, high] = [0, runs.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (runs[middle]!.start <= row) low = middle;
    else high = middle - 1;
  }
  return runs[low]!;
}

/** A column for each feature: a band of rows at a time. */
function bands(file: RandomAccessFile, runs: readonly Run[], chosen: EmbeddingColumns, facts: Facts): Reading {
  const { cols, dtype } = facts;
  const height = Math.max(1, Math.floor(BAND_BYTES / (cols * (dtype === 'float32' ? 4 : 8))));
  const readers = new Map(chosen.columns.map(({ type }) => [type, elementReader(file, { type })]));
  const openAt = async (row: number): Promise<RowStream> => {
    let next = row;
    return {
      async next() {
        if (next >= facts.rows) return undefined;
        const run = runOf(runs, next);
        const count = Math.min(height, run.start + run.rows - next);
        const band = floatsOf(dtype, count * cols);
        for (const [col, { type }] of chosen.columns.entries()) {
          const offset = run.offsets[col]! + (next - run.start) * ELEMENTS[type].bytes;
          const values = floatsOf(ELEMENTS[type].as, count);
          await readers.get(type)!(offset, values);
          for (let i = 0, at = col; i < count; i++, at += cols) band[at] = values[i]!;
        }
        next += count;
        return band;
      },
      async close() {},
    };
  };
  const forward = forwardRows(facts, openAt, (row) => brokenArrow(facts.path, `it ended at row ${row}`));
  return {
    read: forward.read,
    async close() {
      await forward.close();
      await file.close();
    },
  };
}

/** The values of a column, one batch in memory at a time. */
async function texts(path: string, kind: 'file' | 'stream', name: string): Promise<string[]> {
  const { DataType, RecordBatchReader } = await import('apache-arrow');
  const handle = kind === 'file' ? await open(path) : undefined;
  const label = `column ${JSON.stringify(name)}`;
  const found: string[] = [];
  try {
    await registerCodecs();
    const reader = await (handle
      ? RecordBatchReader.from(handle)
      : RecordBatchReader.from(createReadStream(path, { highWaterMark: 1 << 20 })));
    for await (const batch of reader) {
      const column = batch.getChild(name)!;
      const isTime = DataType.isTimestamp(column.type) || DataType.isDate(column.type);
      for (const value of column) {
        if (value === null) throw isNull(path, label, found.length, 'Give every row a value.');
        found.push(isTime ? new Date(value as number).toISOString() : String(value));
      }
    }
    return found;
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw brokenArrow(path, `the ${label} cannot be read: ${(cause as Error).message}`, cause);
  } finally {
    await handle?.close();
  }
}
