/** Embeddings in Parquet files, read by DuckDB: one column of lists, or a column for each feature. */
import { resolve } from 'node:path';
import type { DuckDBConnection, DuckDBDataChunk, DuckDBListType } from '@duckdb/node-api';
import { ConfigError, DataError } from '../errors.js';
import { openBytes } from './bytes.js';
import { type Duckdb, firstLine, identifier, literal, openDuckdb, rowsOf } from './duckdb.js';
import { type ElementType, type Floats, floatsOf } from './elements.js';
import { forwardRows, type RowStream } from './forward.js';
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

const TYPES: Readonly<Record<string, ElementType>> = {
  FLOAT: 'float32',
  DOUBLE: 'float64',
  TINYINT: 'int8',
  UTINYINT: 'uint8',
  SMALLINT: 'int16',
  USMALLINT: 'uint16',
  INTEGER: 'int32',
  UINTEGER: 'uint32',
  BIGINT: 'int64',
  UBIGINT: 'uint64',
};
/** `DuckDBTypeId.LIST`: that enumeration comes with the library, which is loaded late. */
const LIST = 24;
const SQL_TYPES = { float32: 'FLOAT', float64: 'DOUBLE' } as const;

/** Parquet files that are one table, and which rows of it. */
export interface ParquetTable {
  /** What messages call it. */
  readonly path: string;
  /** In the order of their rows. */
  readonly files: readonly string[];
  /** A condition of SQL; all rows without it. */
  readonly where: string | undefined;
}

/**
 * Opens embeddings in one Parquet file, or in several that are one table. Rows are those that `where` is true for, in the
 * order of the files. DuckDB reads ahead by a few chunks of 2,048 rows; memory does not grow with the file.
 * @throws {DataError} `ERR_PARQUET_BROKEN`, `ERR_WHERE`, `ERR_NO_ROWS`, and as `chooseColumns`; reading throws
 * `ERR_NULL` and `ERR_LIST_LENGTH` naming the row.
 */
export async function openParquet(file: EmbeddingFile, files: readonly string[] = [file.path]): Promise<EmbeddingRows> {
  const table: ParquetTable = { path: file.path, files, where: file.where };
  const { path } = table;
  // A missing file is reported as those of other formats are.
  for (const each of files) await (await openBytes(each)).close();
  const duckdb = await openDuckdb(files);
  const { connection } = duckdb;
  try {
    const columns = await describe(connection, table);
    const from = await filtered(connection, table);
    const chosen = chooseColumns(path, columns, file.name);
    const dtype = columnType(chosen);
    const rows = await ask(table, () => rowsOf(connection, `SELECT count(*) FROM ${from}`)).then(([row]) =>
      Number(row![0]),
    );
    if (rows === 0) throw noRows(table);
    const cols = await widthOf(connection, table, from, chosen);
    const notes = [...chosen.notes, ...columnNotes(path, chosen)];
    const open = (row: number) => stream(duckdb, table, { from, chosen, dtype, cols, row });
    return {
      ...forwardRows({ path, dtype, rows, cols, notes }, open, (row) =>
        broken(path, `it ended at row ${row} of ${rows}`),
      ),
      async column(name) {
        findColumn(path, columns, name);
        const sql = `SELECT CAST(${identifier(name)} AS VARCHAR) FROM ${from}`;
        return ask(table, () => texts(connection, sql, path, name));
      },
      close: async () => duckdb.close(),
    };
  } catch (error) {
    duckdb.close();
    throw error;
  }
}

/** The rows of a table as SQL names them: what stands after FROM. */
export async function filtered(connection: DuckDBConnection, { path, files, where }: ParquetTable): Promise<string> {
  const source = `read_parquet([${files.map((file) => literal(resolve(file))).join(', ')}])`;
  if (where === undefined) return source;
  await checkCondition(connection, path, where);
  const from = `(SELECT * FROM ${source} WHERE (\n${where}\n))`;
  try {
    await (await connection.prepare(`SELECT 1 FROM ${from}`)).destroySync();
  } catch (cause) {
    throw whereError(path, where, firstLine(cause), cause);
  }
  return from;
}

/** Columns of a table, before any condition. */
export async function describe(connection: DuckDBConnection, table: ParquetTable): Promise<TableColumn[]> {
  const sql = `SELECT * FROM ${await filtered(connection, { ...table, where: undefined })} LIMIT 0`;
  const result = await ask(table, () => connection.run(sql));
  const halves = await halfColumns(connection, table);
  return result.columnNames().map((name, i) => {
    const sqlType = result.columnType(i);
    const element = sqlType.typeId === LIST ? (sqlType as DuckDBListType).valueType : undefined;
    const type = TYPES[String(element ?? sqlType)];
    return {
      name,
      shape: element ? 'list' : 'scalar',
      type: type === 'float32' && halves.has(name) ? 'float16' : type,
      typeName: String(sqlType),
    };
  });
}

/**
 * That a condition is one, does not end the parentheses around it to go on as something else, and says the same of a row
 * whenever it is asked: rows are counted first and read later.
 */
async function checkCondition(connection: DuckDBConnection, path: string, where: string): Promise<void> {
  const parse = async (condition: string) => {
    const sql = `SELECT 1 FROM t WHERE (\n${condition}\n)`;
    const [row] = await rowsOf(connection, `SELECT json_serialize_sql(${literal(sql)})`);
    const { statements, error_message: error } = JSON.parse(row![0] as string);
    const node = statements?.[0]?.node;
    const tree = JSON.stringify(node?.where_clause);
    delete node?.where_clause;
    return { error, tree, rest: JSON.stringify(statements) };
  };
  const { error, tree, rest } = await parse(where);
  if (error !== undefined) throw whereError(path, where, error.split('\n')[0]!);
  if (rest !== (await parse('true')).rest) throw whereError(path, where, 'it is more than one condition');
  const changing = await rowsOf(
    connection,
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability = 'VOLATILE'",
  );
  const used = changing.find(([name]) => tree.includes(`"function_name":${JSON.stringify(name)}`));
  if (used) throw whereError(path, where, `${used[0]}() gives something else each time`);
}

function whereError(path: string, where: string, why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    'ERR_WHERE',
    `\`where\` (${where.trim()}) is no condition on the columns of ${path}: ${why}. Write it as in SQL: split = 'train'.`,
    { cause },
  );
}

/** Runs a query whose failure is a fault of the files, or of a condition on their values. */
async function ask<T>({ path, where }: ParquetTable, query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    const why = firstLine(cause);
    if (where !== undefined && /^(Conversion|Out of Range|Binder) Error/.test(why)) {
      throw whereError(path, where, why, cause);
    }
    throw broken(path, why, cause);
  }
}

function broken(path: string, why: string, cause?: unknown): DataError {
  if (why.startsWith('Out of Memory')) {
    return new DataError(
      'ERR_OUT_OF_MEMORY',
      `${path} needs more memory than DuckDB was given (${why}). Write it with smaller row groups.`,
      { cause },
    );
  }
  return new DataError('ERR_PARQUET_BROKEN', `${path} cannot be read as Parquet (${why}). Write or copy it again.`, {
    cause,
  });
}

function noRows({ path, where }: ParquetTable): DataError {
  const why =
    where === undefined ? 'has no rows. Write at least one' : `has no row for which ${where.trim()}. Ask for less`;
  return new DataError('ERR_NO_ROWS', `${path} ${why}.`);
}

/** d. */
async function widthOf(
  connection: DuckDBConnection,
  table: ParquetTable,
  from: string,
  { shape, columns, label }: EmbeddingColumns,
): Promise<number> {
  if (shape === 'scalar') return columns.length;
  const sql = `SELECT len(${identifier(columns[0]!.name)}) FROM ${from} LIMIT 1`;
  const [row] = await ask(table, () => rowsOf(connection, sql));
  const length = row?.[0] === null ? null : Number(row?.[0]);
  if (length === null) throw isNull(table.path, label, 0, NULL_CURE);
  if (length > 0) return length;
  throw new DataError(
    'ERR_NO_ROWS',
    `${table.path}: the ${label} has no values in row 0. Write at least one in each row.`,
  );
}

/** The condition is quoted with the name of an example. */
const NULL_CURE = 'Leave such rows out: `where` "... IS NOT NULL".';

/** Names of the columns of the first file that are float16, which DuckDB gives as FLOAT. */
async function halfColumns(connection: DuckDBConnection, table: ParquetTable): Promise<Set<string>> {
  const file = literal(resolve(table.files[0]!));
  const fields = (await ask(table, () =>
    rowsOf(connection, `SELECT name, num_children, logical_type FROM parquet_schema(${file})`),
  )) as [string, string | null, string | null][];
  const found = new Set<string>();
  // Depth first: the root, then each column with all that is under it.
  for (let i = 1; i < fields.length; ) {
    const [name] = fields[i]!;
    for (let open = 1; open > 0 && i < fields.length; open--, i++) {
      const [, children, logical] = fields[i]!;
      if (logical?.startsWith('Float16')) found.add(name);
      open += Number(children ?? 0);
    }
  }
  return found;
}

interface StreamOf {
  readonly from: string;
  readonly chosen: EmbeddingColumns;
  readonly dtype: 'float32' | 'float64';
  readonly cols: number;
  readonly row: number;
}

async function stream(
  duckdb: Duckdb,
  table: ParquetTable,
  { from, chosen, dtype, cols, row }: StreamOf,
): Promise<RowStream> {
  const { bindings, streaming } = duckdb;
  const list = chosen.shape === 'list' ? '[]' : '';
  const wanted = chosen.columns.map(({ name, type }) =>
    // DuckDB gives float16 as FLOAT. What needs no cast is not copied.
    type === dtype || (type === 'float16' && dtype === 'float32')
      ? identifier(name)
      : `CAST(${identifier(name)} AS ${SQL_TYPES[dtype]}${list})`,
  );
  const offset = row > 0 ? ` OFFSET ${row}` : '';
  const result = await ask(table, () => streaming.stream(`SELECT ${wanted.join(', ')} FROM ${from}${offset}`));
  const where = { path: table.path, label: chosen.label, cols, dtype };
  let at = row;
  // Its memory is what `next` gives a view of.
  let held: DuckDBDataChunk | null = null;
  let out: Floats | undefined;
  return {
    async next() {
      held = await ask(table, () => result.fetchChunk());
      const count = held?.rowCount ?? 0;
      if (!held || count === 0) return undefined;
      out = out?.length === count * cols ? out : floatsOf(dtype, count * cols);
      const values =
        chosen.shape === 'list'
          ? listValues(bindings, held, { ...where, at }, out)
          : scalarValues(bindings, held, { ...where, at }, chosen.columns, out);
      at += count;
      return values;
    },
    async close() {
      held = null;
    },
  };
}

interface Place {
  readonly path: string;
  readonly label: string;
  readonly cols: number;
  readonly dtype: 'float32' | 'float64';
  /** Row number of the chunk's first. */
  readonly at: number;
}

type Vector = Parameters<Duckdb['bindings']['vector_get_data']>[0];

function floatsIn(bindings: Duckdb['bindings'], vector: Vector, count: number, dtype: 'float32' | 'float64'): Floats {
  const { buffer, byteOffset } = bindings.vector_get_data(vector, count * (dtype === 'float32' ? 4 : 8));
  return dtype === 'float32'
    ? new Float32Array(buffer as ArrayBuffer, byteOffset, count)
    : new Float64Array(buffer as ArrayBuffer, byteOffset, count);
}

/** Index of the first NULL in [from, to); -1 if there is none. */
function firstNull(validity: Uint8Array | null | undefined, from: number, to: number): number {
  if (!validity) return -1;
  for (let i = from; i < to; i++) {
    if (i % 8 === 0 && i + 8 <= to && validity[i >> 3] === 0xff) i += 7;
    else if ((validity[i >> 3]! & (1 << (i & 7))) === 0) return i;
  }
  return -1;
}

function validityOf(bindings: Duckdb['bindings'], vector: Vector, count: number): Uint8Array | null {
  return bindings.vector_get_validity(vector, Math.ceil(count / 64) * 8);
}

/** Values of a column of lists: a view of DuckDB's memory where they follow each other, else copied into `out`. */
function listValues(bindings: Duckdb['bindings'], chunk: DuckDBDataChunk, place: Place, out: Floats): Floats {
  const { path, label, cols, dtype, at } = place;
  const count = chunk.rowCount;
  const vector = bindings.data_chunk_get_vector(chunk.chunk, 0);
  const nullRow = firstNull(validityOf(bindings, vector, count), 0, count);
  if (nullRow >= 0) throw isNull(path, label, at + nullRow, NULL_CURE);
  const entries = bindings.vector_get_data(vector, count * 16);
  // Offset and length of each list, 64 bits each; a chunk has far fewer values than 2^32.
  const words = new Uint32Array(entries.buffer as ArrayBuffer, entries.byteOffset, count * 4);
  const child = bindings.list_vector_get_child(vector);
  const size = bindings.list_vector_get_size(vector);
  const values = floatsIn(bindings, child, size, dtype);
  const validity = validityOf(bindings, child, size);
  let straight = true;
  for (let i = 0; i < count; i++) {
    const [offset, length] = [words[4 * i]!, words[4 * i + 2]!];
    if (length !== cols) throw ragged(path, label, at + i, length, cols);
    const nullAt = firstNull(validity, offset, offset + cols);
    if (nullAt >= 0) throw hasNull(path, label, at + i, nullAt - offset);
    straight &&= offset === words[0]! + i * cols;
  }
  if (straight) return values.subarray(words[0]!, words[0]! + count * cols);
  for (let i = 0; i < count; i++) {
    const offset = words[4 * i]!;
    out.set(values.subarray(offset, offset + cols), i * cols);
  }
  return out;
}

function scalarValues(
  bindings: Duckdb['bindings'],
  chunk: DuckDBDataChunk,
  { path, cols, dtype, at }: Place,
  columns: readonly TableColumn[],
  out: Floats,
): Floats {
  const count = chunk.rowCount;
  for (let col = 0; col < cols; col++) {
    const vector = bindings.data_chunk_get_vector(chunk.chunk, col);
    const nullRow = firstNull(validityOf(bindings, vector, count), 0, count);
    if (nullRow >= 0) throw isNull(path, `column ${JSON.stringify(columns[col]!.name)}`, at + nullRow, NULL_CURE);
    const values = floatsIn(bindings, vector, count, dtype);
    for (let row = 0, to = col; row < count; row++, to += cols) out[to] = values[row]!;
  }
  return out;
}

async function texts(connection: DuckDBConnection, sql: string, path: string, name: string): Promise<string[]> {
  const result = await connection.stream(sql);
  const found: string[] = [];
  for (;;) {
    const chunk = await result.fetchChunk();
    if (!chunk || chunk.rowCount === 0) return found;
    for (const text of chunk.getColumnValues(0)) {
      if (text === null) throw isNull(path, `column ${JSON.stringify(name)}`, found.length, 'Give every row a value.');
      found.push(text as string);
    }
  }
}
