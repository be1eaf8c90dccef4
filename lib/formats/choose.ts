/** Which of the arrays of a file is the matrix. */
import { DataError } from '../errors.js';
import type { ElementType } from './elements.js';

/** An array of a file that has names for them. */
export interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  /** Undefined where it holds no real numbers. */
  readonly type: ElementType | undefined;
  /** In the words of the format. */
  readonly typeName: string;
}

/** As many names as a sentence bears. */
const MOST_NAMES = 20;

/**
 * The array that `name` names; without a name the only [N, d] of floating-point numbers, or of integers where there is none.
 * @param word what the format calls an array.
 * @throws {DataError} `ERR_ARRAY_MISSING` (no such name), `ERR_ARRAY_AMBIGUOUS` (a name is needed), `ERR_ARRAY_UNFIT` (not
 * [N, d] numbers, or none such), `ERR_NO_ROWS`; each lists what is there.
 */
export function chooseArray<T extends NamedArray>(
  path: string,
  word: string,
  arrays: readonly T[],
  name: string | undefined,
): T & { type: ElementType } {
  if (name !== undefined) {
    const found = arrays.find((array) => array.name === name);
    if (!found) {
      throw new DataError(
        'ERR_ARRAY_MISSING',
        `${path} has no ${word} "${name}". Give \`name\` as one of those there: ${list(arrays)}.`,
      );
    }
    return checkArray(path, word, found);
  }
  const matrices = arrays.filter(({ shape, type }) => shape.length === 2 && type !== undefined);
  const floats = matrices.filter(({ type }) => type!.includes('float'));
  const candidates = floats.length > 0 ? floats : matrices;
  if (candidates.length === 1) return checkArray(path, word, candidates[0]!);
  if (candidates.length > 1) {
    throw new DataError(
      'ERR_ARRAY_AMBIGUOUS',
      `${path} has several ${word}s that embeddings may be. Say which with \`name\`: ${list(candidates)}.`,
    );
  }
  throw new DataError(
    'ERR_ARRAY_UNFIT',
    arrays.length === 0
      ? `${path} has no ${word}s. Write the embeddings into it, [N, d].`
      : `${path} has no ${word} of numbers [N, d], only ${list(arrays)}. Write the embeddings with two dimensions.`,
  );
}

/** @throws {DataError} `ERR_ARRAY_UNFIT`, `ERR_NO_ROWS`. */
export function checkArray<T extends NamedArray>(path: string, word: string, array: T): T & { type: ElementType } {
  const { name, shape, type } = array;
  if (shape.length !== 2 || type === undefined) {
    const what = type === undefined ? 'embeddings are real numbers' : 'embeddings are [N, d]';
    throw new DataError(
      'ERR_ARRAY_UNFIT',
      `${path}: the ${word} ${show(array)} cannot be read, because ${what}. Choose another \`name\`, or convert it.`,
    );
  }
  if (shape.includes(0)) {
    throw new DataError(
      'ERR_NO_ROWS',
      `${path}: the ${word} "${name}" has shape (${shape.join(', ')}): it holds no values. Write at least one row.`,
    );
  }
  return array as T & { type: ElementType };
}

function show({ name, shape, typeName }: NamedArray): string {
  return `"${name}" (${typeName} [${shape.join(', ')}])`;
}

function list(arrays: readonly NamedArray[]): string {
  const more = arrays.length - MOST_NAMES;
  return `${arrays.slice(0, MOST_NAMES).map(show).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
