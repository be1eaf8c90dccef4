/** Arrays of several dimensions in an HDF5 file, item by item. See hdf5Thread.ts for where it is read. */
import { resolve } from 'node:path';
import { DataError } from '../errors.js';
import { ask, type Hdf5Array, type Hdf5Values, release, take } from './hdf5Thread.js';

export interface Hdf5Arrays {
  /** Of all that the file has at its root. */
  readonly names: readonly string[];
  /** Those of the arrays asked for that are there. */
  readonly arrays: ReadonlyMap<string, Hdf5Array>;
  /** Those of the cells of strings, as MATLAB writes them: references to arrays of UTF-16 codes. */
  readonly texts: ReadonlyMap<string, readonly string[]>;
  /**
   * What an array has at `index` of its first dimension, in memory of its own. One read after the other, however many are asked for;
   * what one of them meets does not keep others from being read.
   * @throws {DataError} `ERR_HDF5_FILE`, `ERR_HDF5_FILTER`, or `ERR_DATASET_CLOSED` where `close` was called before its turn.
   */
  read(array: string, index: number): Promise<Hdf5Values>;
  close(): Promise<void>;
}

/**
 * Opens a file for what it has of some arrays and cells of strings.
 * @throws {DataError} `ERR_HDF5_FILE`.
 */
export async function openHdf5Arrays(
  path: string,
  wanted: { arrays: readonly string[]; texts: readonly string[] },
): Promise<Hdf5Arrays> {
  const worker = take();
  const request = { kind: 'open-arrays', path, file: resolve(path), ...wanted } as const;
  const { names, arrays, texts } = await ask<'opened-arrays'>(worker, path, request);
  let turn: Promise<unknown> = Promise.resolve();
  let closed: Promise<void> | undefined;
  const readNow = async (array: string, index: number) => {
    if (closed) throw new DataError('ERR_DATASET_CLOSED', `${path} was closed. Read before closing it.`);
    return (await ask<'item'>(worker, path, { kind: 'item', array, index }, true)).values;
  };
  const close = async () => {
    await turn;
    const { reusable } = await ask<'closed'>(worker, path, { kind: 'close' }, true).catch(() => ({ reusable: false }));
    await release(worker, reusable);
  };
  return {
    names,
    arrays,
    texts,
    read(array, index) {
      const values = turn.then(() => readNow(array, index));
      turn = values.catch(() => {});
      return values;
    },
    close() {
      closed ??= close();
      return closed;
    },
  };
}
