/** Embeddings in Arrow IPC files and streams: only the bytes of the rows that are asked for are read. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Field } from 'apache-arrow';
import { DataError } from '../errors.js';
import { type ArrowBatch, brokenArrow, columnsOf, placeOf, readMessages } from './arrowMessages.js';
import { openBytes, type RandomAccessFile } from './bytes.js';
import { ELEMENTS, type ElementType, type Floats, floatsOf, readElements } from './elements.js';
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
  const file = await openBytes(path);
  try {
    const { kind, schema, batches, ended } = await readMessages(file);
    const { fields } = schema;
    const columns = columnsOf(fields);
    const chosen = chooseColumns(path, columns, name);
    const { runs, rows, cols } = await findRuns(file, fields, batches, chosen);
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
        return texts(path, kind, wanted);
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function findRuns(
  file: RandomAccessFile,
  fields: readonly Field[],
  batches: readonly ArrowBatch[],
  chosen: EmbeddingColumns,
): Promise<{ runs: Run[]; rows: number; cols: number }> {
  const { path } = file;
  const runs: Run[] = [];
  let rows = 0;
  let cols = chosen.shape === 'scalar' ? chosen.columns.length : 0;
  for (const batch of batches) {
    if (batch.rows === 0) continue;
    const offsets: number[] = [];
    for (const column of chosen.columns) {
      const index = fields.findIndex((field) => field.name === column.name);
      const place = { batch, start: rows, ...placeOf(path, fields, index, batch) };
      const { bytes } = ELEMENTS[column.type];
      const label = `column ${JSON.stringify(column.name)}`;
      const nullRow = await firstNull(file, batch, place.node, place.buffer);
      if (nullRow >= 0) throw isNull(path, label, rows + nullRow, CURE);
      if (place.list === undefined) {
        offsets.push(within(path, batch, place.buffer + 1, 0, batch.rows * bytes));
        continue;
      }
      const { first, length } =
        place.list === 'fixed' ? { first: 0, length: place.listSize! } : await lengthOf(file, place, cols, label);
      cols ||= length;
      const [child, values] =
        place.list === 'fixed' ? [place.buffer + 1, place.buffer + 2] : [place.buffer + 2, place.buffer + 3];
      const nullAt = await firstNull(file, batch, place.node + 1, child, first, first + batch.rows * cols);
      if (nullAt >= 0) {
        const at = nullAt - first;
        throw hasNull(path, label, rows + Math.floor(at / cols), at % cols);
      }
      offsets.push(within(path, batch, values, first * bytes, batch.rows * cols * bytes));
    }
    runs.push({ start: rows, rows: batch.rows, offsets });
    rows += batch.rows;
  }
  if (rows === 0) throw new DataError('ERR_NO_ROWS', `${path} has no rows. Write at least one.`);
  if (cols === 0) {
    throw new DataError(
      'ERR_NO_ROWS',
      `${path}: the ${chosen.label} has no values in row 0. Write at least one in each row.`,
    );
  }
  return { runs, rows, cols };
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
  node: number,
  buffer: number,
  from = 0,
  to = batch.rows,
): Promise<number> {
  if (batch.nodes[node]!.nullCount === 0) return -1;
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
  place: { batch: ArrowBatch; start: number; buffer: number; list: 'fixed' | 'list' | 'large' | undefined },
  cols: number,
  label: string,
): Promise<{ first: number; length: number }> {
  const { batch, start } = place;
  const large = place.list === 'large';
  const bytes = large ? 8 : 4;
  const at = within(file.path, batch, place.buffer + 1, 0, (batch.rows + 1) * bytes);
  let length = cols;
  let first: number | undefined;
  for (let row = 0; row < batch.rows; row += CHUNK_ROWS) {
    const count = Math.min(CHUNK_ROWS, batch.rows - row);
    const { buffer } = await file.readAt(at + row * bytes, (count + 1) * bytes);
    const offsets = large ? Float64Array.from(new BigInt64Array(buffer), Number) : new Int32Array(buffer);
    first ??= offsets[0]!;
    for (let i = 0; i < count; i++) {
      const found = offsets[i + 1]! - offsets[i]!;
      length ||= found;
      if (found !== length) throw ragged(file.path, label, start + row + i, found, length);
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
  return {
    async read(start, count, target) {
      const block = blockOf(facts, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const run = runOf(runs, row);
        const part = Math.min(run.start + run.rows - row, count - done);
        const into = block.subarray(done * cols, (done + part) * cols);
        await readElements(file, { type }, run.offsets[0]! + (row - run.start) * rowBytes, into);
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
          const values = await elements(file, type, offset, count);
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

async function elements(file: RandomAccessFile, type: ElementType, offset: number, count: number): Promise<Floats> {
  const values = floatsOf(ELEMENTS[type].as, count);
  await readElements(file, { type }, offset, values);
  return values;
}

/** The values of a column, one batch in memory at a time. */
async function texts(path: string, kind: 'file' | 'stream', name: string): Promise<string[]> {
  const { DataType, RecordBatchReader } = await import('apache-arrow');
  const handle = kind === 'file' ? await open(path) : undefined;
  const label = `column ${JSON.stringify(name)}`;
  const found: string[] = [];
  try {
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
