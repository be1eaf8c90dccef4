import { readFile } from 'node:fs/promises';
import { ConfigError } from './errors.js';

/**
 * Reads ids (or row numbers) from a file with one a line; empty lines and lines that begin with # do not count.
 * @throws {ConfigError} `ERR_ID_LIST` where the file cannot be read.
 */
export async function readIdList(path: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new ConfigError('ERR_ID_LIST', `The list of ids ${path} cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}
