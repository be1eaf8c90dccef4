import { DataError } from '../errors.js';

/**
 * Throws if a value is NaN or infinite, naming its row and column (both counted from 0) and the cure.
 * `data` holds whole rows of `cols` values; `firstRow` is the row number of the first of them.
 * `firstColumn` likewise.
 * About 1 ns per value: give it a block at a time where the event loop must stay free.
 * @throws {DataError} `ERR_NOT_FINITE`.
 */
export function checkFinite(
  data: Float32Array | Float64Array,
  cols: number,
  source: string,
  firstRow = 0,
  firstColumn = 0,
): void {
  // x - x is 0 for finite x and NaN for NaN and +-infinity: one branch-free sum over the block decides.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]! - data[i]!;
  if (sum === 0) return;
  const at = data.findIndex((value) => !Number.isFinite(value));
  throw new DataError(
    'ERR_NOT_FINITE',
    `${source} has ${data[at]} in row ${firstRow + Math.floor(at / cols)}, column ${firstColumn + (at % cols)} (counted from 0). ` +
      'Remove or repair that row: distances to it are undefined.',
  );
}
