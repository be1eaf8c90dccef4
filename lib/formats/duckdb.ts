/** DuckDB in this process, shut off from everything but the files that a call is about. */
import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DuckDBConnection } from '@duckdb/node-api';
import type * as Bindings from '@duckdb/node-bindings';
import { ConfigError } from '../errors.js';

export interface Duckdb {
  readonly connection: DuckDBConnection;
  /** DuckDB's C interface: the values of a whole vector at once, where node-api makes an object of each row. */
  readonly bindings: typeof Bindings;
  /** A second one, for what is read beside other queries; it works some chunks ahead. */
  readonly streaming: DuckDBConnection;
  close(): void;
}

/** More threads do not read one column faster. */
const MOST_THREADS = 4;
/** What is needed is a few row groups; sorting goes to the disk beyond it. */
const MEMORY_LIMIT = '2GB';
/** How far it works ahead. DuckDB's own limit, 1 MB, is less than one chunk of wide embeddings. */
const AHEAD = '32MB';

/**
 * Opens an empty database in memory that can read and write `files` and nothing else: no other file, no network, no
 * extension. Statements cannot undo that. Rows keep the order in which files have them, whatever the number of threads.
 * @throws {ConfigError} `ERR_DUCKDB_MISSING` where there is no DuckDB for this machine.
 */
export async function openDuckdb(files: readonly string[]): Promise<Duckdb> {
  const { api, bindings } = await load();
  const instance = await api.DuckDBInstance.create(':memory:', {
    threads: String(Math.min(MOST_THREADS, availableParallelism())),
    memory_limit: MEMORY_LIMIT,
    preserve_insertion_order: 'true',
    temp_directory: join(tmpdir(), `coregain-${process.pid}-${randomBytes(4).toString('hex')}`),
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  try {
    const connection = await instance.connect();
    const streaming = await instance.connect();
    await streaming.run(`SET streaming_buffer_size = ${literal(AHEAD)}`);
    await connection.run(`SET allowed_paths = [${files.map((file) => literal(resolve(file))).join(', ')}]`);
    await connection.run('SET enable_external_access = false');
    await connection.run('SET lock_configuration = true');
    const close = () => {
      streaming.closeSync();
      connection.closeSync();
      instance.closeSync();
    };
    return { connection, streaming, bindings, close };
  } catch (error) {
    instance.closeSync();
    throw error;
  }
}

async function load() {
  try {
    const api = await import('@duckdb/node-api');
    // That which node-api itself uses: another version of it could not read the same results.
    const fromApi = createRequire(createRequire(import.meta.url).resolve('@duckdb/node-api'));
    return { api, bindings: fromApi('@duckdb/node-bindings') as typeof Bindings };
  } catch (cause) {
    throw new ConfigError(
      'ERR_DUCKDB_MISSING',
      `DuckDB, which reads and writes Parquet, cannot be loaded (${firstLine(cause)}). Install it: npm install @duckdb/node-api.`,
      { cause },
    );
  }
}

/** Runs a query that gives few rows. Values are as JSON has them. */
export async function rowsOf(connection: DuckDBConnection, sql: string): Promise<unknown[][]> {
  return (await connection.runAndReadAll(sql)).getRowsJson();
}

/** Runs a statement that `signal` can interrupt. */
export async function runInterruptibly(
  connection: DuckDBConnection,
  sql: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  const stop = () => connection.interrupt();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await connection.run(sql);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** A text as SQL says it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A column's name as SQL says it. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** What a database says first; DuckDB goes on with a picture of the statement. */
export function firstLine(error: unknown): string {
  return (error as Error).message.split('\n')[0]!.trim().replace(/\.+$/, '');
}
