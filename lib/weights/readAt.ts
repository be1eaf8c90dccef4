import { ModelError } from '../errors.js';
import { type FileErrors, openBytes, type RandomAccessFile } from '../formats/bytes.js';

const modelErrors: FileErrors = {
  unreadable(path, message, cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'there is no such file' : message;
    return new ModelError('ERR_WEIGHTS_UNREADABLE', `${path} cannot be read: ${why}. Check the path.`, { cause });
  },
  tooShort: (path, size, from, to) =>
    new ModelError(
      'ERR_WEIGHTS_TRUNCATED',
      `${path} ends at byte ${size}, but bytes ${from}..${to} are needed. Copy or download the file again.`,
    ),
};

/** Opens a file of weights; ModelError `ERR_WEIGHTS_UNREADABLE`, and `ERR_WEIGHTS_TRUNCATED` where it ends too early. */
export function openForReading(path: string): Promise<RandomAccessFile> {
  return openBytes(path, modelErrors);
}
