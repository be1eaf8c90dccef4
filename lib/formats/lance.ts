/** Embeddings in LanceDB tables, by way of LanceDB's own package, which users of it have: an optional peer. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Field } from 'apache-arrow';
import { ConfigError, DataError } from '../errors.js';
import { type ArrowField, columnsOf, integerType, TYPE } from './arrowSchema.js';
import { firstLine } from './duckdb.js';
import { convert, ELEMENTS, type ElementType, type Floats, floatsOf } from './elements.js';
import { forwardRows, type RowStream } from './forward.js';
import { naturalOrder } from './naturalOrder.js';
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

const PACKAGE = '@lancedb/lancedb';
/** Other versions of Node have other versions of the package. */
const INSTALL = 'npm install @lancedb/lancedb (on Node 20: @lancedb/lancedb@0.37)';

// What is used of the package. Its objects are those of its own apache-arrow, older than ours.
interface Lancedb {
  connect(folder: string): Promise<{ openTable(name: string): Promise<Table>; close?(): void }>;
}
interface Table {
  schema(): Promise<{ readonly fields: readonly Field[] }>;
  countRows(where?: string): Promise<number>;
  query(): Query;
  close(): void;
}
interface Query extends AsyncIterable<Batch> {
  select(columns: readonly string[]): Query;
  where(condition: string): Query;
  offset(rows: number): Query;
  limit(rows: number): Query;
}
interface Batch {
  readonly numRows: number;
  getChildAt(index: number): ArrowColumn | null;
}
interface ArrowColumn {
  readonly data: readonly ArrowData[];
  [Symbol.iterator](): Iterator<unknown>;
}
interface ArrowData {
  readonly length: number;
  readonly nullCount: number;
  readonly values: NodeJS.ArrayBufferView;
  readonly valueOffsets?: ArrayLike<number | bigint>;
  readonly children: readonly ArrowData[];
  getValid(index: number): boolean;
}

/** Whether a path is that of a LanceDB table: a folder, which other formats would take for one of shards. */
export function isLance(path: string): boolean {
  return /\.lance[/\\]*$/.test(path);
}

/** All files of a table, for its hash. */
export async function lanceFiles(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true, recursive: true }).catch((cause: Error) => {
    throw new DataError('ERR_FILE_UNREADABLE', `${path} cannot be read: ${cause.message}.`, { cause });
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort(naturalOrder);
}

/**
 * Opens embeddings in a LanceDB table, the folder `NAME.lance` of a local database. Rows are those that `where` is true for,
 * in the order of the table.
 * @throws {ConfigError} `ERR_LANCEDB_MISSING`, `ERR_WHERE`.
 * @throws {DataError} `ERR_FILE_MISSING`, `ERR_LANCE_BROKEN`, `ERR_NO_ROWS`, and as `chooseColumns`; reading throws `ERR_NULL`
 * and `ERR_LIST_LENGTH` naming the row.
 */
export async function openLance({ path, name, where }: EmbeddingFile): Promise<EmbeddingRows> {
  await readdir(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') throw new DataError('ERR_FILE_MISSING', `${path} does not exist. Check the path.`);
    throw new DataError('ERR_FILE_UNREADABLE', `${path} cannot be read: ${cause.message}.`, { cause });
  });
  const lancedb = await load();
  const ask = asker(path);
  const database = await ask(() => lancedb.connect(dirname(path)));
  const table = await ask(() => database.openTable(basename(path).replace(/\.lance$/, '')));
  const close = () => {
    table.close();
    database.close?.();
  };
  try {
    const columns = columnsOf((await ask(() => table.schema())).fields.map(fieldOf));
    const chosen = chooseColumns(path, columns, name);
    const dtype = columnType(chosen);
    // What comes after an expression is passed over by LanceDB; within parentheses it is not.
    const condition = where === undefined ? undefined : `(\n${where}\n)`;
    const rows = await table.countRows(condition).catch((cause) => {
      throw where === undefined ? broken(path, cause) : whereError(path, where, cause);
    });
    if (rows === 0) {
      const why =
        where === undefined ? 'has no rows. Write at least one' : `has no row for which ${where}. Ask for less`;
      throw new DataError('ERR_NO_ROWS', `${path} ${why}.`);
    }
    const query = (names: readonly string[]) => {
      const all = table.query().select(names);
      return condition === undefined ? all : all.where(condition);
    };
    const names = chosen.columns.map((column) => column.name);
    const batches = (row: number) => (row > 0 ? query(names).offset(row) : query(names));
    const cols =
      chosen.shape === 'scalar' ? names.length : await ask(() => widthOf(query(names).limit(1), path, chosen));
    return {
      ...forwardRows(
        { path, dtype, rows, cols, notes: [...chosen.notes, ...columnNotes(path, chosen)] },
        async (row) => stream(batches(row), path, chosen, cols, row),
        (row) => broken(path, new Error(`it ended at row ${row} of ${rows}`)),
      ),
      async column(wanted) {
        findColumn(path, columns, wanted);
        return ask(() => texts(query([wanted]), path, wanted));
      },
      close: async () => close(),
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function load(): Promise<Lancedb> {
  try {
    const name: string = PACKAGE;
    return (await import(name)) as Lancedb;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const why = missing ? 'is not installed' : `cannot be loaded (${firstLine(cause)})`;
    throw new ConfigError(
      'ERR_LANCEDB_MISSING',
      `LanceDB tables are read by the package ${PACKAGE}, which ${why}. Install it: ${INSTALL}.`,
      { cause },
    );
  }
}

function asker(path: string) {
  return async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof DataError) throw cause;
      throw broken(path, cause);
    }
  };
}

function broken(path: string, cause: unknown): DataError {
  const why = firstLine(cause);
  return new DataError(
    'ERR_LANCE_BROKEN',
    `${path} cannot be read as a LanceDB table (${why}). Write or copy it again.`,
    {
      cause,
    },
  );
}

function whereError(path: string, where: string, cause: Error): ConfigError {
  return new ConfigError(
    'ERR_WHERE',
    `\`where\` (${where}) is no condition on the columns of ${path}: ${firstLine(cause)}. Write it as in SQL: split = 'train'.`,
    { cause },
  );
}

const NULL_CURE = 'Leave such rows out: `where` "... IS NOT NULL".';

/** Our description of a field of any version of apache-arrow. */
function fieldOf({ name, type }: Field): ArrowField {
  const { typeId, children, listSize, precision, bitWidth, isSigned } = type as unknown as Record<string, number> & {
    children: readonly Field[] | null;
    isSigned: boolean;
  };
  const floats = ['float16', 'float32', 'float64'] as const;
  // Dictionaries have a number of their own, below all of the format's.
  const dictionary = typeId! < 0;
  return {
    name,
    typeId: typeId!,
    children: dictionary ? [] : (children ?? []).map(fieldOf),
    element:
      typeId === TYPE.float ? floats[precision!] : typeId === TYPE.int ? integerType(bitWidth!, isSigned) : undefined,
    listSize,
    dense: false,
    dictionary,
  };
}

/** d. */
async function widthOf(query: Query, path: string, { label }: EmbeddingColumns): Promise<number> {
  for await (const batch of query) {
    for (const data of batch.getChildAt(0)!.data) {
      if (data.length === 0) continue;
      if (!data.getValid(0)) throw isNull(path, label, 0, NULL_CURE);
      const { from, to } = listOf(data, 0);
      if (to > from) return to - from;
      throw new DataError(
        'ERR_NO_ROWS',
        `${path}: the ${label} has no values in row 0. Write at least one in each row.`,
      );
    }
  }
  throw new Error('it has no rows');
}

/** The values of a list are [from, to) of the child. */
function listOf(data: ArrowData, row: number): { from: number; to: number } {
  if (data.valueOffsets) return { from: Number(data.valueOffsets[row]), to: Number(data.valueOffsets[row + 1]) };
  const size = data.children[0]!.length / data.length;
  return { from: row * size, to: (row + 1) * size };
}

function stream(query: Query, path: string, chosen: EmbeddingColumns, cols: number, start: number): RowStream {
  const batches = query[Symbol.asyncIterator]();
  const dtype = columnType(chosen);
  const ask = asker(path);
  let at = start;
  return {
    async next() {
      for (;;) {
        const { done, value: batch } = await ask(() => batches.next());
        if (done) return undefined;
        if (batch.numRows === 0) continue;
        const out = floatsOf(dtype, batch.numRows * cols);
        for (const [col, column] of chosen.columns.entries()) {
          const place = { path, label: `column ${JSON.stringify(column.name)}`, type: column.type, cols, at };
          let row = 0;
          for (const data of batch.getChildAt(col)!.data) {
            if (chosen.shape === 'list') copyLists(data, { ...place, at: at + row }, out.subarray(row * cols));
            else copyScalars(data, { ...place, at: at + row }, out.subarray(row * cols + col));
            row += data.length;
          }
        }
        at += batch.numRows;
        return out;
      }
    },
    async close() {
      await batches.return?.();
    },
  };
}

interface Place {
  readonly path: string;
  readonly label: string;
  readonly type: ElementType;
  readonly cols: number;
  /** Row number of the first. */
  readonly at: number;
}

function copyLists(data: ArrowData, { path, label, type, cols, at }: Place, out: Floats): void {
  const nullRow = firstNull(data, 0, data.length);
  if (nullRow >= 0) throw isNull(path, label, at + nullRow, NULL_CURE);
  const child = data.children[0]!;
  const values = valuesOf(child, type);
  for (let row = 0; row < data.length; row++) {
    const { from, to } = listOf(data, row);
    if (to - from !== cols) throw ragged(path, label, at + row, to - from, cols);
    const nullAt = firstNull(child, from, to);
    if (nullAt >= 0) throw hasNull(path, label, at + row, nullAt - from);
    out.set(values.subarray(from, to), row * cols);
  }
}

function copyScalars(data: ArrowData, { path, label, type, cols, at }: Place, out: Floats): void {
  const nullRow = firstNull(data, 0, data.length);
  if (nullRow >= 0) throw isNull(path, label, at + nullRow, NULL_CURE);
  const values = valuesOf(data, type);
  for (let row = 0, to = 0; row < data.length; row++, to += cols) out[to] = values[row]!;
}

function firstNull(data: ArrowData, from: number, to: number): number {
  if (data.nullCount === 0) return -1;
  for (let i = from; i < to; i++) if (!data.getValid(i)) return i;
  return -1;
}

function valuesOf({ values, length }: ArrowData, type: ElementType): Floats {
  const { bytes, as } = ELEMENTS[type];
  // Of its own memory, because `convert` wants aligned values that it may overwrite.
  const raw = Buffer.allocUnsafeSlow(length * bytes);
  raw.set(new Uint8Array(values.buffer, values.byteOffset, length * bytes));
  const out = floatsOf(as, length);
  const converted = convert({ type }, raw, out);
  if (converted !== out) out.set(converted);
  return out;
}

async function texts(query: Query, path: string, name: string): Promise<string[]> {
  const found: string[] = [];
  for await (const batch of query) {
    for (const value of batch.getChildAt(0)!) {
      if (value === null) throw isNull(path, `column ${JSON.stringify(name)}`, found.length, 'Give every row a value.');
      found.push(String(value));
    }
  }
  return found;
}
