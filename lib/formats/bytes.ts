import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { DataError } from '../errors.js';
import { native } from '../native.js';

/** An open file, or a part of one that can be read like a file, whose size is known. */
export interface RandomAccessFile {
  readonly path: string;
  readonly size: number;
  /** Set where a read before the end of the last one begins anew at the start of the file, and takes accordingly. */
  readonly forwardOnly?: true;
  /** Reads exactly `length` bytes at `offset` into memory of their own; fails where the file ends before, without making any. */
  readAt(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** The same into given memory, which may be shared and of any size. */
  readInto(offset: number, target: NodeJS.ArrayBufferView): Promise<void>;
  /**
   * Reads `count` pieces, each `stride` bytes after the one before, one behind the other into `target`; absent where that is not
   * much faster than to read each by itself.
   */
  readPieces?(offset: number, stride: number, count: number, target: NodeJS.TypedArray): Promise<void>;
  close(): Promise<void>;
}

/** What an opened file throws, so that weights and embeddings each speak of themselves. */
export interface FileErrors {
  unreadable(path: string, why: string, cause: unknown): Error;
  /** Bytes [from, to) are needed, but the file ends at `size`. */
  tooShort(path: string, size: number, from: number, to: number): Error;
}

/** Large enough for a disk's full speed, small enough that abort and other work are never far away. */
const CHUNK_BYTES = 4 << 20;

const dataErrors: FileErrors = {
  unreadable(path, why, cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing ? `${path} does not exist. Check the path.` : `${path} cannot be read: ${why}.`;
    return new DataError(missing ? 'ERR_FILE_MISSING' : 'ERR_FILE_UNREADABLE', message, { cause });
  },
  tooShort: (path, size, from, to) =>
    new DataError(
      'ERR_FILE_TRUNCATED',
      `${path} ends at byte ${size}, but bytes ${from}..${to} are needed. Write or copy it again.`,
    ),
};

/**
 * Opens a file for reading at any offset.
 * @throws {DataError} `ERR_FILE_MISSING`, `ERR_FILE_UNREADABLE`, `ERR_FILE_TRUNCATED`, or what `errors` gives.
 */
export async function openBytes(path: string, errors: FileErrors = dataErrors): Promise<RandomAccessFile> {
  let handle: FileHandle | undefined;
  let size: number;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('it is not a regular file');
    size = stat.size;
  } catch (cause) {
    await handle?.close();
    throw errors.unreadable(path, (cause as Error).message, cause);
  }
  const file = handle;
  const readInto = async (offset: number, target: NodeJS.ArrayBufferView): Promise<void> => {
    const end = offset + target.byteLength;
    for (let done = 0; done < target.byteLength; ) {
      // One Buffer over more than 4 GiB cannot be made; one for each chunk can.
      const count = Math.min(CHUNK_BYTES, target.byteLength - done);
      const chunk = Buffer.from(target.buffer as ArrayBuffer, target.byteOffset + done, count);
      const { bytesRead } = await file.read(chunk, 0, count, offset + done);
      if (bytesRead === 0) throw errors.tooShort(path, offset + done, offset, end);
      done += bytesRead;
    }
  };
  return {
    path,
    size,
    readInto,
    async readAt(offset, length) {
      // Also false where a hostile file made one of them NaN or beyond 2^53.
      if (!(offset >= 0 && length >= 0 && offset + length <= size)) {
        throw errors.tooShort(path, size, offset, offset + length);
      }
      const bytes = new Uint8Array(new ArrayBuffer(length));
      await readInto(offset, bytes);
      return bytes;
    },
    ...(process.platform !== 'win32' && {
      async readPieces(offset: number, stride: number, count: number, target: NodeJS.TypedArray) {
        const end = offset + (count - 1) * stride + target.byteLength / count;
        const job = { file: file.fd, offset, stride, count, target };
        const read = await native()
          .readPieces(job)
          .catch((cause: Error) => {
            throw errors.unreadable(path, cause.message, cause);
          });
        if (read < target.byteLength) throw errors.tooShort(path, (await file.stat()).size, offset, end);
      },
    }),
    close: () => file.close(),
  };
}
