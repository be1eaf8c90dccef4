/**
 * Embeddings on disk, found by the hash of everything they depend on. One folder per configuration:
 *
 *     vectors   float32 records of equal length, appended
 *     keys      48 bytes per record, appended after its vector: sha256 key, then 16 bytes of sha256(key + vector)
 *     lock.*    one file per process that has the cache open
 *
 * A record counts once its key is whole, and its checksum is verified on every read, so a kill or power cut at any
 * moment costs at most the records that were being written. Memory: about 150 bytes of index per record.
 */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError } from '../errors.js';
import { lockFolder } from '../lock.js';

const KEY_BYTES = 32;
const CHECK_BYTES = 16;
const ENTRY_BYTES = KEY_BYTES + CHECK_BYTES;

/** An opened embedding cache; the only writer of its folder. Close it when done. */
export interface EmbeddingCache {
  /** Number of distinct keys. */
  readonly size: number;
  /** Folder of this configuration: what `openRecords` takes. */
  readonly place: string;
  /** Number of the record under a key, or undefined if there is none. It is not read. */
  find(key: Buffer): number | undefined;
  /** The vector stored under a key (a sha256), or undefined if there is none or its record is damaged. */
  get(key: Buffer): Promise<Float32Array | undefined>;
  /** Stores a vector. Calls are carried out one after the other; storing again replaces. */
  put(key: Buffer, vector: Float32Array): Promise<void>;
  /** Forces everything to the disk and releases the folder. */
  close(): Promise<void>;
}

/**
 * Opens the cache of one configuration, making it if it is missing and cutting off a record that was only half written.
 * @param configuration everything but the sample that an embedding depends on, as text; it names the folder.
 * @param features length of the vectors.
 * @throws {DataError} `ERR_CACHE_LOCKED` if another live process has it open.
 */
export async function openCache(folder: string, configuration: string, features: number): Promise<EmbeddingCache> {
  const place = join(folder, createHash('sha256').update(`${configuration}\n${features}`).digest('hex').slice(0, 32));
  await mkdir(place, { recursive: true });
  const unlock = await lockFolder(place);
  const files: FileHandle[] = [];
  const closeAll = async () => {
    for (const file of files) await file.close();
    await unlock();
  };
  try {
    for (const name of ['vectors', 'keys']) files.push(await openAppendable(join(place, name)));
    const [vectors, keys] = files as [FileHandle, FileHandle];
    const recordBytes = features * 4;
    const whole = Math.min(
      Math.floor((await vectors.stat()).size / recordBytes),
      Math.floor((await keys.stat()).size / ENTRY_BYTES),
    );
    await vectors.truncate(whole * recordBytes);
    await keys.truncate(whole * ENTRY_BYTES);
    return cacheOn(place, vectors, keys, recordBytes, whole, await readIndex(keys, whole), closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

function cacheOn(
  place: string,
  vectors: FileHandle,
  keys: FileHandle,
  recordBytes: number,
  whole: number,
  index: Map<string, number>,
  closeAll: () => Promise<void>,
): EmbeddingCache {
  let records = whole;
  let writing: Promise<void> = Promise.resolve();

  async function append(key: Buffer, vector: Float32Array): Promise<void> {
    const bytes = Buffer.from(vector.buffer as ArrayBuffer, vector.byteOffset, vector.byteLength);
    if (bytes.length !== recordBytes) {
      throw new RangeError(`A vector of ${vector.length} features cannot be stored: records have ${recordBytes / 4}.`);
    }
    await writeAll(vectors, bytes, records * recordBytes);
    await writeAll(keys, Buffer.concat([key, checksum(key, bytes)]), records * ENTRY_BYTES);
    index.set(name(key), records++);
  }

  return {
    place,
    get size() {
      return index.size;
    },
    find: (key) => index.get(name(key)),
    async get(key) {
      const record = index.get(name(key));
      if (record === undefined) return undefined;
      return readRecord(vectors, keys, recordBytes, record, key);
    },
    put(key, vector) {
      const written = writing.then(() => append(key, vector));
      writing = written.catch(() => {}); // The caller of the failed put hears of it; later ones stand for themselves.
      return written;
    },
    async close() {
      await writing;
      try {
        await vectors.datasync();
        await keys.datasync();
      } finally {
        await closeAll();
      }
    },
  };
}

/** Records of an opened or closed cache by number, for as many readers as there are, in any thread. Close it when done. */
export interface RecordReader {
  /** Record number `record`, or undefined if it is damaged or not there. Reads can be under way side by side. */
  read(record: number): Promise<Float32Array | undefined>;
  /** Makes the cache forget a damaged record, so that the next run makes it anew. */
  forget(record: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens the records in `place` (`EmbeddingCache.place`) for reading, beside whoever is writing.
 * @param features length of the vectors, as given to `openCache`.
 * @throws {DataError} `ERR_CACHE_UNUSABLE` if the files cannot be opened.
 */
export async function openRecords(place: string, features: number): Promise<RecordReader> {
  const vectors = await openExisting(join(place, 'vectors'), 'r');
  const keys = await openExisting(join(place, 'keys'), 'r+').catch(async (error) => {
    await vectors.close();
    throw error;
  });
  return {
    read: (record) => readRecord(vectors, keys, features * 4, record),
    forget: (record) => writeAll(keys, Buffer.alloc(ENTRY_BYTES), record * ENTRY_BYTES),
    async close() {
      await vectors.close();
      await keys.close();
    },
  };
}

/** Reads and verifies one record; of which key, only if `expected` says. */
async function readRecord(
  vectors: FileHandle,
  keys: FileHandle,
  recordBytes: number,
  record: number,
  expected?: Buffer,
): Promise<Float32Array | undefined> {
  const vector = new Float32Array(recordBytes / 4);
  const bytes = Buffer.from(vector.buffer);
  const entry = Buffer.alloc(ENTRY_BYTES);
  const whole =
    (await readAll(vectors, bytes, record * recordBytes)) && (await readAll(keys, entry, record * ENTRY_BYTES));
  const key = expected ?? entry.subarray(0, KEY_BYTES);
  return whole && checksum(key, bytes).equals(entry.subarray(KEY_BYTES)) ? vector : undefined;
}

/** Later records win: that is how a damaged one is replaced. */
async function readIndex(keys: FileHandle, records: number): Promise<Map<string, number>> {
  const index = new Map<string, number>();
  const perRead = 4096;
  const block = Buffer.alloc(perRead * ENTRY_BYTES);
  for (let first = 0; first < records; first += perRead) {
    const count = Math.min(perRead, records - first);
    await readAll(keys, block.subarray(0, count * ENTRY_BYTES), first * ENTRY_BYTES);
    for (let i = 0; i < count; i++) {
      index.set(name(block.subarray(i * ENTRY_BYTES, i * ENTRY_BYTES + KEY_BYTES)), first + i);
    }
  }
  return index;
}

function name(key: Buffer): string {
  return key.toString('latin1');
}

function checksum(key: Buffer, vector: Buffer): Buffer {
  return createHash('sha256').update(key).update(vector).digest().subarray(0, CHECK_BYTES);
}

function openAppendable(path: string): Promise<FileHandle> {
  return openExisting(path, 'r+').catch(() => openExisting(path, 'wx+'));
}

async function openExisting(path: string, flags: string): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (cause) {
    throw new DataError(
      'ERR_CACHE_UNUSABLE',
      `The embedding cache ${path} cannot be used: ${(cause as Error).message}. Choose another cache folder.`,
      { cause },
    );
  }
}

async function readAll(file: FileHandle, target: Buffer, position: number): Promise<boolean> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await file.read(target, done, target.length - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

async function writeAll(file: FileHandle, source: Buffer, position: number): Promise<void> {
  for (let done = 0; done < source.length; ) {
    done += (await file.write(source, done, source.length - done, position + done)).bytesWritten;
  }
}
