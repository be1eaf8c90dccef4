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

/**
 * Reads the label of each row from a file with one a line. Every line counts, whatever it begins with; only the end of
 * the file may be an empty line.
 * @throws {ConfigError} `ERR_GROUPS` naming the file, and the line of a label that is empty, or the number of labels where
 * it is not `rows`.
 */
export async function readLabels(path: string, rows: number): Promise<string[]> {
  const broken = (what: string, cause?: unknown) =>
    new ConfigError('ERR_GROUPS', `The groups ${path} ${what}. Give one group a row, one a line.`, { cause });
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw broken(`cannot be read: ${cause.message}`, cause);
  });
  const labels = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const empty = labels.findIndex((label) => label.trim() === '');
  if (empty >= 0) throw broken(`have no label in line ${empty + 1}`);
  if (labels.length !== rows) throw broken(`have ${labels.length} lines, but there are ${rows} embeddings`);
  return labels;
}
