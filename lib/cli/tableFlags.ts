/** Options of commands that read tables: what rows are called, and the table that is written. */
import { ConfigError } from '../errors.js';
import { readColumn } from '../formats/open.js';
import type { EmbeddingFile } from '../formats/source.js';
import { readLabels } from '../idList.js';
import { readSamples, type SelectedSample, samplesOfIds } from '../select/samples.js';
import type { Strategy } from '../select/select.js';

export interface RowFlags {
  samples?: string;
  idColumn?: string;
  groups?: string;
  groupColumn?: string;
  strategy?: Strategy;
}

/** @throws {ConfigError} `ERR_FLAG_UNUSED` for flags that contradict each other or would do nothing. */
export function checkRowFlags({ samples, idColumn, groups, groupColumn, strategy }: RowFlags): void {
  const unused = (message: string) => new ConfigError('ERR_FLAG_UNUSED', message);
  if (idColumn !== undefined && samples !== undefined) {
    throw unused('`--id-column` and `--samples` both say what the rows are called. Leave one of them out.');
  }
  if (groupColumn === undefined) return;
  if (groups !== undefined) {
    throw unused('`--group-column` and `--groups` both say what groups the rows are in. Leave one of them out.');
  }
  if (strategy === 'round-robin') return;
  throw unused('`--group-column` is of the strategy round-robin. Add `--strategy round-robin`, or leave it out.');
}

/** What the rows are called; undefined where their numbers are all there is. */
export async function samplesOf(
  { samples, idColumn }: RowFlags,
  source: EmbeddingFile,
  rows: number,
  signal: AbortSignal | undefined,
): Promise<SelectedSample[] | undefined> {
  if (samples !== undefined) return readSamples(samples, rows, signal);
  if (idColumn === undefined) return undefined;
  return samplesOfIds(await readColumn(source, idColumn), `${source.path}: the column ${JSON.stringify(idColumn)}`);
}

/** The group of each row; undefined where none was asked for. */
export async function groupsOf(
  { groups, groupColumn }: RowFlags,
  source: EmbeddingFile,
  rows: number,
): Promise<string[] | undefined> {
  if (groups !== undefined) return readLabels(groups, rows);
  return groupColumn === undefined ? undefined : readColumn(source, groupColumn);
}

/** Whether a path is that of a Parquet file, by its ending. */
export function isParquetPath(path: string): boolean {
  return /\.(parquet|pq)$/i.test(path);
}

/** @throws {ConfigError} `ERR_TABLE_FORMAT`. */
export function checkTablePath(path: string | undefined): void {
  if (path === undefined || isParquetPath(path)) return;
  throw new ConfigError(
    'ERR_TABLE_FORMAT',
    `\`--table\` writes Parquet, and ${path} does not end in .parquet. Rename it.`,
  );
}
