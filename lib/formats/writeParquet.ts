/** Parquet files, written by DuckDB. */
import { resolve } from 'node:path';
import type { DuckDBAppender } from '@duckdb/node-api';
import { integer, outOfRange } from '../check.js';
import { CoregainError, DataError } from '../errors.js';
import { writePathAtomically } from '../files.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { type Duckdb, firstLine, literal, openDuckdb, runInterruptibly } from './duckdb.js';

/**
 * Writes a query's rows, in their order, as a Parquet file, atomically.
 * @param files that the query reads.
 * @param prepare makes what else the query needs, and gives the query.
 */
export async function writeQuery(
  path: string,
  files: readonly string[],
  prepare: (duckdb: Duckdb) => Promise<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  await writePathAtomically(path, async (temporary) => {
    const duckdb = await openDuckdb([...files, temporary]);
    try {
      const query = await prepare(duckdb);
      const to = `${literal(resolve(temporary))} (FORMAT parquet, ROW_GROUP_SIZE ${ROWS_PER_GROUP}, USE_TMP_FILE false)`;
      await runInterruptibly(duckdb.connection, `COPY (${query}) TO ${to}`, signal);
    } catch (cause) {
      signal?.throwIfAborted();
      if (cause instanceof CoregainError) throw cause;
      throw new DataError('ERR_PARQUET_WRITE', `${path} cannot be written (${firstLine(cause)}).`, { cause });
    } finally {
      duckdb.close();
    }
  });
}

/** Whoever reads wide embeddings needs memory for a part of a group: less than DuckDB's own 122,880 rows. */
const ROWS_PER_GROUP = 20_480;
/** What a chunk of DuckDB holds. */
const CHUNK_ROWS = 2048;
/** Rows between two moments in which other work can run. */
const ROWS_AT_ONCE = 8192;

/** Appends rows to a table in memory. */
export async function appendRows(
  { connection }: Duckdb,
  table: string,
  rows: number,
  append: (appender: DuckDBAppender, row: number) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const appender = await connection.createAppender(table);
  for (let row = 0; row < rows; row++) {
    if (row % ROWS_AT_ONCE === ROWS_AT_ONCE - 1) {
      await new Promise((next) => setImmediate(next));
      signal?.throwIfAborted();
    }
    append(appender, row);
    appender.endRow();
  }
  appender.closeSync();
}

export interface WriteParquetOptions {
  /** One for each row, for a column `id` before the embeddings. */
  ids?: readonly string[] | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Writes embeddings, [N, d], as a Parquet file with a column `embedding` of lists of d numbers, atomically.
 * @throws {RangeError} unless there is one id a row; rejects with `signal.reason` when aborted.
 */
export async function writeParquet(
  path: string,
  { data, rows, cols }: EmbeddingMatrix,
  { ids, signal }: WriteParquetOptions = {},
): Promise<void> {
  integer('data.length', data.length, rows * cols, rows * cols);
  if (ids && ids.length !== rows) throw outOfRange('ids.length', `${rows}, one for each row`, ids.length);
  await writeQuery(
    path,
    [],
    async (duckdb) => {
      const api = await import('@duckdb/node-api');
      const { connection, bindings } = duckdb;
      const number = data instanceof Float32Array ? 'FLOAT' : 'DOUBLE';
      await connection.run(`CREATE TABLE embeddings (${ids ? 'id VARCHAR, ' : ''}embedding ${number}[${cols}])`);
      const list = api.ARRAY(api[number], cols);
      const appender = await connection.createAppender('embeddings');
      for (let row = 0; row < rows; row += CHUNK_ROWS) {
        signal?.throwIfAborted();
        const count = Math.min(CHUNK_ROWS, rows - row);
        const chunk = api.DuckDBDataChunk.create(ids ? [api.VARCHAR, list] : [list], count);
        if (ids) chunk.setColumnValues(0, ids.slice(row, row + count));
        const child = bindings.array_vector_get_child(bindings.data_chunk_get_vector(chunk.chunk, ids ? 1 : 0));
        // Of its own memory: DuckDB copies from no shared one.
        const values = data.slice(row * cols, (row + count) * cols);
        bindings.copy_data_to_vector(child, 0, values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
        appender.appendDataChunk(chunk);
        await new Promise((next) => setImmediate(next));
      }
      appender.closeSync();
      return 'SELECT * FROM embeddings';
    },
    signal,
  );
}
