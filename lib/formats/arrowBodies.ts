/**
 * Compressed bodies of Arrow, as if they were not: a file whose bytes are those of all buffers, decompressed, one after the
 * other. A buffer is decompressed when some of it is read, and kept until another one is.
 */
import * as zlib from 'node:zlib';
import { DataError } from '../errors.js';
import { type ArrowBatch, type BufferPlace, brokenArrow, type Codec } from './arrowMessages.js';
import type { RandomAccessFile } from './bytes.js';
import { decodeLz4, decodeLz4Sync, LZ4_RATIO } from './lz4.js';

/** More than a method can make of one byte is damage; Zstandard of zeros reaches thousands. */
const LARGEST_RATIO = { LZ4: LZ4_RATIO, Zstandard: 1 << 16 } as const;

// Node has Zstandard from 22.15 on, the types of the oldest Node that is supported do not.
interface Zstandard {
  zstdDecompressSync?(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
  zstdDecompress?(
    bytes: Uint8Array,
    options: { maxOutputLength: number },
    done: (error: Error | null, bytes: Uint8Array) => void,
  ): void;
}
const { zstdDecompress, zstdDecompressSync } = zlib as Zstandard;

interface Packed {
  /** In the decompressed bytes. */
  readonly start: number;
  readonly length: number;
  /** In the file, after the length that stands before. */
  readonly offset: number;
  readonly bytes: number;
  /** Undefined where compression did not make it smaller. */
  readonly codec: Codec | undefined;
}

/**
 * Bytes and places of batches without their compression.
 * @throws {DataError} `ERR_ARROW_COMPRESSED` for Zstandard before Node 22.15, `ERR_ARROW_BROKEN`.
 */
export async function decompressed(
  file: RandomAccessFile,
  batches: readonly ArrowBatch[],
): Promise<{ file: RandomAccessFile; batches: readonly ArrowBatch[] }> {
  if (!batches.some(({ codec }) => codec)) return { file, batches };
  for (const { codec } of batches) if (codec) checkCodec(file.path, codec);
  const packed: Packed[] = [];
  let size = 0;
  const plain: ArrowBatch[] = [];
  for (const batch of batches) {
    const buffers: BufferPlace[] = [];
    for (const place of batch.buffers) {
      const one = await unpack(file, place, batch.codec, size);
      packed.push(one);
      buffers.push({ offset: one.start, length: one.length });
      size += one.length;
    }
    plain.push({ ...batch, buffers, codec: undefined });
  }
  return { file: view(file, packed, size), batches: plain };
}

/** A compressed buffer begins with its length, or with -1 where it is as it is; an empty one has nothing. */
async function unpack(
  file: RandomAccessFile,
  { offset, length }: BufferPlace,
  codec: Codec | undefined,
  start: number,
): Promise<Packed> {
  if (codec === undefined || length === 0) return { start, length, offset, bytes: length, codec: undefined };
  if (length < 8) throw brokenArrow(file.path, 'a buffer is too short');
  const said = Number(Buffer.from(await file.readAt(offset, 8)).readBigInt64LE(0));
  const bytes = length - 8;
  if (said === -1) return { start, length: bytes, offset: offset + 8, bytes, codec: undefined };
  if (!(said >= 0 && said <= bytes * LARGEST_RATIO[codec])) {
    throw brokenArrow(file.path, `a buffer of ${bytes} bytes says that it was ${said}`);
  }
  return { start, length: said, offset: offset + 8, bytes, codec };
}

function checkCodec(path: string, codec: Codec): void {
  if (codec === 'LZ4' || zstdDecompress) return;
  throw new DataError(
    'ERR_ARROW_COMPRESSED',
    `${path} is compressed by ${codec}, which Node reads from version 22.15 on. Write it with compression="lz4" or "uncompressed", or as Parquet.`,
  );
}

function view(file: RandomAccessFile, packed: readonly Packed[], size: number): RandomAccessFile {
  const { path } = file;
  let held: { packed: Packed; bytes: Uint8Array } | undefined;
  const load = async (one: Packed): Promise<Uint8Array> => {
    if (held?.packed === one) return held.bytes;
    held = undefined;
    const source = await file.readAt(one.offset, one.bytes);
    const bytes = one.codec ? await decode(path, one.codec, source, one.length) : source;
    held = { packed: one, bytes };
    return bytes;
  };
  const readInto = async (offset: number, target: NodeJS.ArrayBufferView): Promise<void> => {
    const into = new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
    for (let done = 0; done < into.length; ) {
      const at = offset + done;
      const one = packed[lastBefore(packed, at)];
      if (!one || at >= one.start + one.length) throw brokenArrow(path, 'a buffer is shorter than its rows need');
      const bytes = await load(one);
      const count = Math.min(into.length - done, one.start + one.length - at);
      into.set(bytes.subarray(at - one.start, at - one.start + count), done);
      done += count;
    }
  };
  return {
    path,
    size,
    readInto,
    async readAt(offset, length) {
      if (!(offset >= 0 && length >= 0 && offset + length <= size))
        throw brokenArrow(path, 'a buffer is out of bounds');
      const bytes = new Uint8Array(new ArrayBuffer(length));
      await readInto(offset, bytes);
      return bytes;
    },
    async close() {
      held = undefined;
      await file.close();
    },
  };
}

/** The last that begins at or before a byte; empty ones begin where the next does. */
function lastBefore(packed: readonly Packed[], at: number): number {
  let [low, high] = [0, packed.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (packed[middle]!.start <= at) low = middle;
    else high = middle - 1;
  }
  return low;
}

async function decode(path: string, codec: Codec, source: Uint8Array, length: number): Promise<Uint8Array> {
  try {
    if (codec === 'Zstandard') return await unzstd(source, length);
    const target = new Uint8Array(length);
    await decodeLz4(source, target);
    return target;
  } catch (cause) {
    throw brokenArrow(path, `a buffer cannot be decompressed: ${(cause as Error).message}`, cause);
  }
}

async function unzstd(source: Uint8Array, length: number): Promise<Uint8Array> {
  const bytes = await new Promise<Uint8Array>((resolve, reject) => {
    zstdDecompress!(source, { maxOutputLength: Math.max(1, length) }, (error, found) =>
      error ? reject(error) : resolve(found),
    );
  });
  if (bytes.length !== length) throw new RangeError(`it has ${bytes.length} bytes instead of ${length}`);
  return bytes;
}

/** Teaches apache-arrow, which is used for other columns than the embeddings, to decompress. */
export async function registerCodecs(): Promise<void> {
  const { CompressionType, compressionRegistry } = await import('apache-arrow');
  compressionRegistry.set(CompressionType.LZ4_FRAME, { decode: decodeLz4Sync });
  if (zstdDecompressSync) {
    compressionRegistry.set(CompressionType.ZSTD, {
      decode: (source) => zstdDecompressSync(source, { maxOutputLength: source.length * LARGEST_RATIO.Zstandard }),
    });
  }
}
