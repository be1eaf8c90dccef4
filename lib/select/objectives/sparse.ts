/** Checks of sparse rows (CSR). */
import { isFloat64Array } from 'node:util/types';
import { integer, outOfRange, wrongType } from '../../check.js';
import type { ObjectiveName, SparseEntries, SparseRows } from './types.js';

const MAX = 2 ** 31 - 1;

/** @throws {TypeError} or {RangeError} unless offsets, indices and values fit together. */
export function checkSparse(name: string, sparse: SparseRows): void {
  if (typeof sparse !== 'object' || sparse === null) throw wrongType(name, 'SparseRows', sparse);
  const { offsets, indices, values } = sparse;
  const rows = integer(`${name}.rows`, sparse.rows, 1, MAX);
  const cols = integer(`${name}.cols`, sparse.cols, 1, MAX);
  if (!(offsets instanceof Int32Array)) throw wrongType(`${name}.offsets`, 'an Int32Array', offsets);
  if (!(indices instanceof Int32Array)) throw wrongType(`${name}.indices`, 'an Int32Array', indices);
  if (values !== undefined && !isFloat64Array(values)) throw wrongType(`${name}.values`, 'a Float64Array', values);
  if (offsets.length !== rows + 1) throw outOfRange(`${name}.offsets.length`, `rows + 1 = ${rows + 1}`, offsets.length);
  if (offsets[0] !== 0) throw outOfRange(`${name}.offsets[0]`, '0', offsets[0]);
  if (offsets[rows] !== indices.length) {
    throw outOfRange(`${name}.indices.length`, `offsets[rows] = ${offsets[rows]}`, indices.length);
  }
  if (values && values.length !== indices.length) {
    throw outOfRange(`${name}.values.length`, `indices.length = ${indices.length}`, values.length);
  }
  for (let row = 0; row < rows; row++) {
    if (offsets[row]! <= offsets[row + 1]!) continue;
    throw outOfRange(`${name}.offsets[${row + 1}]`, `at least ${offsets[row]}, the one before`, offsets[row + 1]);
  }
  const lastRow = new Int32Array(cols).fill(-1);
  for (let row = 0; row < rows; row++) {
    for (let e = offsets[row]!; e < offsets[row + 1]!; e++) {
      const column = indices[e]!;
      if (column < 0 || column >= cols) throw outOfRange(`${name}.indices[${e}]`, `in 0..${cols - 1}`, column);
      if (lastRow[column] === row) throw outOfRange(`${name}.indices[${e}]`, 'a column once in a row', column);
      lastRow[column] = row;
    }
  }
}

/** The rows with their values, checked for what an objective needs. */
export function sparseEntries(name: string, sparse: SparseRows, objective: ObjectiveName): SparseEntries {
  const values = sparse.values ?? new Float64Array(sparse.indices.length).fill(1);
  const most = objective === 'probabilistic-set-cover' ? 1 : Number.MAX_VALUE;
  const at = values.findIndex((value) => !(value >= 0 && value <= most));
  if (at >= 0) {
    const expected = most === 1 ? 'a probability in [0, 1]' : `a finite number >= 0 for ${objective}`;
    throw outOfRange(`${name}.values[${at}]`, expected, values[at]);
  }
  const { rows, cols, offsets, indices } = sparse;
  return { rows, cols, offsets, indices, values };
}
