/** What rows are called: the samples behind them. */
import { open } from 'node:fs/promises';
import { DataError } from '../errors.js';

/** A row's name, and its files relative to the root of its data set. */
export interface SelectedSample {
  /** Unique within the data set. */
  readonly id: string;
  readonly paths?: Readonly<Record<string, string | undefined>> | undefined;
}

/**
 * Reads `samples.jsonl` as `embed` writes it: line i describes row i. Other keys than `id` and `paths` are passed over.
 * @throws {DataError} `ERR_SAMPLES` naming file and line for bad JSON, a missing or repeated id, or another number of
 * lines than `rows`.
 */
export async function readSamples(path: string, rows: number, signal?: AbortSignal): Promise<SelectedSample[]> {
  const broken = (what: string, cause?: unknown) =>
    new DataError('ERR_SAMPLES', `${path} ${what}. Embed the data set again, or leave the file out.`, { cause });
  const file = await open(path).catch((cause: Error) => {
    throw broken(`cannot be read: ${cause.message}`, cause);
  });
  const samples: SelectedSample[] = [];
  const seen = new Set<string>();
  try {
    for await (const line of file.readLines({ autoClose: false })) {
      signal?.throwIfAborted();
      const number = samples.length + 1;
      const sample = parse(line, (what, cause) => broken(`${what} in line ${number}`, cause));
      if (seen.has(sample.id)) throw broken(`has the id ${JSON.stringify(sample.id)} a second time in line ${number}`);
      seen.add(sample.id);
      samples.push(sample);
    }
  } finally {
    await file.close();
  }
  if (samples.length !== rows) throw broken(`has ${samples.length} lines, but there are ${rows} embeddings`);
  return samples;
}

function parse(line: string, broken: (what: string, cause?: unknown) => Error): SelectedSample {
  let value: { id?: unknown; paths?: unknown } | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch (cause) {
    throw broken('is not JSON', cause);
  }
  const id = value?.id;
  if (typeof id !== 'string') throw broken('has no text as `id`');
  const paths = value?.paths;
  if (paths === undefined) return { id };
  if (typeof paths !== 'object' || paths === null || Array.isArray(paths)) {
    throw broken('has `paths` that are no object');
  }
  return { id, paths: paths as Record<string, string> };
}

/**
 * Samples of which no more than the ids are known, e.g. a column of the table that the embeddings are from.
 * @param source what messages call it.
 * @throws {DataError} `ERR_SAMPLES` naming an id that two rows have.
 */
export function samplesOfIds(ids: readonly string[], source: string): SelectedSample[] {
  const rowOf = new Map<string, number>();
  return ids.map((id, row) => {
    const earlier = rowOf.get(id);
    if (earlier !== undefined) {
      throw new DataError(
        'ERR_SAMPLES',
        `${source} has the id ${JSON.stringify(id)} in row ${earlier} and again in row ${row} (counted from 0). Name a column whose values are unique.`,
      );
    }
    rowOf.set(id, row);
    return { id };
  });
}

/**
 * Row numbers of ids, for `include` and `exclude`. Without samples the ids are the row numbers themselves.
 * @param name the option, for messages.
 * @throws {DataError} `ERR_UNKNOWN_ID` naming the first id that no row has.
 */
export function rowsOfIds(
  ids: readonly (string | number)[],
  samples: readonly SelectedSample[] | undefined,
  rows: number,
  name = 'include',
): number[] {
  const known = samples && new Map(samples.map(({ id }, row) => [id, row]));
  return ids.map((given) => {
    const id = String(given);
    const row = known ? known.get(id) : /^\d+$/.test(id) && Number(id) < rows ? Number(id) : undefined;
    if (row !== undefined) return row;
    const cure = known
      ? `Ids look like ${JSON.stringify(samples![0]?.id)}.`
      : `The rows have no ids: give row numbers in 0..${rows - 1}.`;
    throw new DataError('ERR_UNKNOWN_ID', `\`${name}\` has the id ${JSON.stringify(id)}, which no row has. ${cure}`);
  });
}
