/** A matrix in several files, one below the other. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import { type Floats, floatsOf } from './elements.js';
import { glob, hasWildcards } from './glob.js';
import { naturalOrder } from './naturalOrder.js';
import { blockOf } from './rows.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

/** Rows that are converted at once where files of float32 stand beside files of float64. */
const CHUNK_VALUES = 1 << 18;
/** Files that are opened anew for every few columns, at most: each a fraction of a millisecond. */
const MOST_OPENED = 64;

/**
 * The files that a path names if it names several: those that a pattern finds, or those in a folder whose ending `isKnown`,
 * in natural order. Undefined for the path of one file, there or not.
 * @throws {DataError} `ERR_SHARDS_NONE`.
 */
export async function findShards(path: string, isKnown: (name: string) => boolean): Promise<string[] | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const entries = await readdir(path, { withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && isKnown(entry.name));
    if (files.length > 0) return files.map(({ name }) => join(path, name)).sort(naturalOrder);
    throw new DataError(
      'ERR_SHARDS_NONE',
      `${path} is not a file, and as a folder it has no files of embeddings. Give the path of one, or of a folder that has them.`,
    );
  }
  if (found || !hasWildcards(path)) return undefined;
  const files = await glob(path);
  if (files.length > 0) return files.sort(naturalOrder);
  throw new DataError('ERR_SHARDS_NONE', `${path} names no file. Check the pattern, and quote it in a shell.`);
}

interface Shard {
  readonly path: string;
  /** Row of the whole that its first row is. */
  readonly start: number;
  readonly rows: number;
  readonly dtype: 'float32' | 'float64';
}

/**
 * Opens files as one matrix, in their order. One file is open at a time. float32 beside float64 becomes float64.
 * @throws {DataError} `ERR_SHARDS_DIFFER` naming both files, `ERR_SHARDS_CHANGED`, and as `open`.
 */
export async function openShards(
  file: EmbeddingFile,
  paths: readonly string[],
  open: (file: EmbeddingFile) => Promise<EmbeddingRows>,
): Promise<EmbeddingRows> {
  const { path } = file;
  const shards: Shard[] = [];
  const said = new Map<string, string[]>();
  let tables = true;
  let byColumns = paths.length <= MOST_OPENED;
  let cols = 0;
  let rows = 0;
  for (const shardPath of paths) {
    const shard = await open({ ...file, path: shardPath });
    await shard.close();
    tables &&= shard.column !== undefined;
    byColumns &&= shard.readColumns !== undefined;
    cols ||= shard.cols;
    if (shard.cols !== cols) {
      throw new DataError(
        'ERR_SHARDS_DIFFER',
        `${paths[0]} has rows of ${cols} values, but ${shardPath} of ${shard.cols}. Leave out what is no part of the same embeddings.`,
      );
    }
    shards.push({ path: shardPath, start: rows, rows: shard.rows, dtype: shard.dtype });
    rows += shard.rows;
    for (const note of shard.notes) {
      const about = note.replaceAll(shardPath, path);
      said.set(about, [...(said.get(about) ?? []), note]);
    }
  }
  // What all files have in common is said once, of the whole.
  const notes = [...said].map(([about, each]) => {
    if (each.length === shards.length) return about;
    return each.length === 1 ? each[0]! : `${each[0]} (The same of ${each.length - 1} more.)`;
  });
  const dtype = shards.some((shard) => shard.dtype === 'float64') ? 'float64' : 'float32';
  const narrow = shards.filter((shard) => shard.dtype !== dtype).length;
  byColumns &&= narrow === 0;
  if (narrow > 0)
    notes.push(`${path}: ${narrow} of ${shards.length} files are float32 beside float64; read as float64.`);

  let current: { shard: Shard; rows: EmbeddingRows } | undefined;
  const close = async () => {
    const opened = current;
    current = undefined;
    await opened?.rows.close();
  };
  const use = async (shard: Shard): Promise<EmbeddingRows> => {
    if (current?.shard === shard) return current.rows;
    await close();
    const opened = await open({ ...file, path: shard.path });
    current = { shard, rows: opened };
    if (opened.rows === shard.rows && opened.cols === cols && opened.dtype === shard.dtype) return opened;
    await close();
    throw new DataError('ERR_SHARDS_CHANGED', `${shard.path} changed while it was read. Wait until it is written.`);
  };
  return {
    path,
    dtype,
    rows,
    cols,
    notes,
    async read(start, count, target) {
      const block = blockOf({ dtype, rows, cols }, start, count, target);
      for (let done = 0; done < count; ) {
        const row = start + done;
        const shard = shards[lastBefore(shards, row)]!;
        const part = Math.min(shard.start + shard.rows - row, count - done);
        const into = block.subarray(done * cols, (done + part) * cols);
        const opened = await use(shard);
        if (shard.dtype === dtype) await opened.read(row - shard.start, part, into);
        else await readWider(opened, row - shard.start, part, into);
        done += part;
      }
      return block;
    },
    ...(byColumns && {
      async readColumns(first: number, count: number, target: Floats) {
        integer('first', first, 0, cols - 1);
        integer('count', count, 1, cols - first);
        blockOf({ dtype, rows, cols: count }, 0, rows, target);
        for (const shard of shards) {
          const into = target.subarray(shard.start * count, (shard.start + shard.rows) * count);
          await (await use(shard)).readColumns!(first, count, into);
        }
      },
    }),
    ...(tables && {
      async column(name: string) {
        const all: string[] = [];
        for (const shard of shards) {
          for (const text of await (await use(shard)).column!(name)) all.push(text);
        }
        return all;
      },
    }),
    close,
  };
}

/** Index of the shard that has a row. */
function lastBefore(shards: readonly Shard[], row: number): number {
  let [low, high] = [0, shards.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (shards[middle]!.start <= row) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Reads float32 into float64. */
async function readWider(file: EmbeddingRows, start: number, count: number, into: Floats): Promise<void> {
  const { cols } = file;
  const height = Math.max(1, Math.min(count, Math.floor(CHUNK_VALUES / cols)));
  const values = floatsOf('float32', height * cols);
  for (let done = 0; done < count; done += height) {
    const part = Math.min(height, count - done);
    into.set(await file.read(start + done, part, values.subarray(0, part * cols)), done * cols);
  }
}
