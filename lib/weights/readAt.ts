import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { ModelError } from '../errors.js';

/** An open file whose size is known. */
export interface RandomAccessFile {
  readonly path: string;
  readonly size: number;
  /** Reads exactly `length` bytes at `offset` into memory of their own; ModelError when the file ends before. */
  readAt(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

// One pread of more than 2 GiB is cut short by Linux.
const LARGEST_READ = 1 << 30;

/** Opens a file for reading at any offset; ModelError `ERR_WEIGHTS_UNREADABLE` where that fails. */
export async function openForReading(path: string): Promise<RandomAccessFile> {
  let handle: FileHandle;
  let size: number;
  try {
    handle = await open(path, 'r');
    const stat = await handle.stat();
    if (!stat.isFile()) {
      await handle.close();
      throw new Error('it is not a regular file');
    }
    size = stat.size;
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : (cause as Error).message;
    throw new ModelError('ERR_WEIGHTS_UNREADABLE', `${path} cannot be read: ${why}. Check the path.`, { cause });
  }
  return {
    path,
    size,
    close: () => handle.close(),
    async readAt(offset, length) {
      const truncated = () =>
        new ModelError(
          'ERR_WEIGHTS_TRUNCATED',
          `${path} ends at byte ${size}, but bytes ${offset}..${offset + length} are needed. Copy or download the file again.`,
        );
      if (offset < 0 || length < 0 || offset + length > size) throw truncated();
      const bytes = new Uint8Array(new ArrayBuffer(length));
      for (let done = 0; done < length; ) {
        const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, LARGEST_READ), offset + done);
        if (bytesRead === 0) throw truncated();
        done += bytesRead;
      }
      return bytes;
    },
  };
}
