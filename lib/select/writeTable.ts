/** A selection as a table, beside the columns that its rows had. */
import { realpath } from 'node:fs/promises';
import { outOfRange } from '../check.js';
import { ConfigError, DataError } from '../errors.js';
import { identifier, rowsOf } from '../formats/duckdb.js';
import { parquetOf } from '../formats/open.js';
import { describe, filtered } from '../formats/parquet.js';
import type { EmbeddingSource } from '../formats/source.js';
import { appendRows, writeQuery } from '../formats/writeParquet.js';
import type { SelectedSample } from './samples.js';
import type { Selection } from './types.js';
import { rowDescriber } from './write.js';

export interface WriteTableOptions {
  /** What was selected from. If it is Parquet, the chosen rows keep all their columns. */
  source?: EmbeddingSource | undefined;
  /** One for each of the N rows: their ids, where the source has no columns to keep; else the id of a row is its number. */
  samples?: readonly SelectedSample[] | undefined;
  signal?: AbortSignal | undefined;
}

/** As every name that is written here begins. */
const PREFIX = 'coregain_';

/**
 * Writes the chosen rows as a Parquet file, atomically, in the order of `selection.rows`, with the columns
 *
 *     coregain_row    BIGINT, row of the source (of those for which its `where` is true), from 0
 *     coregain_bin    INTEGER; -1: in none
 *     coregain_rank   INTEGER, place among all rows of its bin in the order of selection, from 0; NULL where in none
 *     coregain_gain   DOUBLE, when it was put into the bin; NULL where in none
 *
 * after all columns of a Parquet source (but those of these names), or after `id` for other sources.
 * @throws {ConfigError} `ERR_TABLE_IS_SOURCE` where it would replace what it was selected from.
 * @throws {DataError} as `openEmbeddings`, and `ERR_SOURCE_DIFFERS` where the source has another number of rows.
 * @throws {RangeError} unless there is one sample a row; rejects with `signal.reason` when aborted.
 */
export async function writeSelectionTable(
  path: string,
  selection: Selection,
  options: WriteTableOptions = {},
): Promise<void> {
  const { source, samples, signal } = options;
  const { rows, partition } = selection;
  const count = partition.bins.length;
  if (samples && samples.length !== count) {
    throw outOfRange('samples.length', `${count}, one for each row of the partition`, samples.length);
  }
  const table = source === undefined ? undefined : await parquetOf(source);
  await checkTarget(path, table?.files ?? []);
  const describeRow = rowDescriber(selection, samples);
  await writeQuery(
    path,
    table?.files ?? [],
    async (duckdb) => {
      const { connection } = duckdb;
      const names = ['row BIGINT', 'bin INTEGER', 'rank INTEGER', 'gain DOUBLE'].map((name) => PREFIX + name);
      await connection.run(`CREATE TABLE chosen (place BIGINT, ${names.join(', ')}, id VARCHAR)`);
      await appendRows(
        duckdb,
        'chosen',
        rows.length,
        (appender, place) => {
          const { id, row, bin, rank, gain } = describeRow(rows[place]!);
          appender.appendBigInt(BigInt(place));
          appender.appendBigInt(BigInt(row));
          appender.appendInteger(bin);
          if (rank === null) appender.appendNull();
          else appender.appendInteger(rank);
          if (gain === null) appender.appendNull();
          else appender.appendDouble(gain);
          appender.appendVarchar(id);
        },
        signal,
      );
      const ours = names.map((name) => `chosen.${name.split(' ')[0]}`).join(', ');
      if (!table) return `SELECT id, ${ours} FROM chosen ORDER BY place`;
      const from = await filtered(connection, table);
      const found = Number((await rowsOf(connection, `SELECT count(*) FROM ${from}`))[0]![0]);
      if (found !== count) {
        throw new DataError(
          'ERR_SOURCE_DIFFERS',
          `${table.path} has ${found} rows, but the selection is from ${count}. Give what was selected from, with the same \`where\`.`,
        );
      }
      const columns = (await describe(connection, table)).map(({ name }) => name);
      // SQL does not tell upper case from lower case in names.
      const lower = columns.map((name) => name.toLowerCase());
      const kept = columns.filter((_, i) => !lower[i]!.startsWith(PREFIX)).map((name) => `source.${identifier(name)}`);
      let number = `${PREFIX}number`;
      while (lower.includes(number)) number += '_';
      const numbered = `SELECT *, row_number() OVER () - 1 AS ${number} FROM ${from}`;
      return `SELECT ${[...kept, ours].join(', ')} FROM (${numbered}) source
        JOIN chosen ON source.${number} = chosen.${PREFIX}row ORDER BY chosen.place`;
    },
    signal,
  );
}

async function checkTarget(path: string, files: readonly string[]): Promise<void> {
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined) return;
  for (const file of files) {
    if ((await realpath(file)) !== target) continue;
    throw new ConfigError(
      'ERR_TABLE_IS_SOURCE',
      `${path} is what is selected from, and would be replaced. Give the table another name.`,
    );
  }
}
