import { integer } from '../check.js';
import { DataError } from '../errors.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import * as pca from '../reduce/pca.js';
import { checkMatrix } from '../select/bins.js';
import { someRows } from '../select/random.js';
import { inThread } from './inThread.js';
import { ROWS_STREAM, takeRows } from './rows.js';

export interface Dimensions {
  /** Where prediction of held-back rows stops improving. */
  readonly chosen: number;
  /** Dimensions that the data really has. */
  readonly rank: number;
  /** Smallest numbers of components that explain these shares of the variance; undefined where more than 256 do. */
  readonly explains: Readonly<Record<'90%' | '95%' | '99%', number | undefined>>;
  /** Mean squared error of predicted features of held-back rows, over that of their mean. */
  readonly curve: readonly { readonly dims: number; readonly error: number }[];
}

const MOST_ROWS = 2000;
const MOST_DIMENSIONS = 256;
const HELD_BACK = 0.2;

/**
 * How many principal components embeddings [N, d] need, from a seeded fifth of the rows held back: the smallest number whose
 * bi-cross-validated error is within one standard error (over held-back rows) of the smallest (Owen and Perry 2009; the
 * one-standard-error rule of Breiman et al. 1984). At most 256; at most 2,000 seeded rows are looked at.
 * @throws {DataError} `ERR_TOO_FEW_ROWS` below 10 rows or 2 features, and as `pca`; rejects with `signal.reason` when aborted.
 */
export async function chooseDimensions(
  matrix: EmbeddingMatrix,
  options: JobOptions & { seed?: number | undefined } = {},
): Promise<Dimensions> {
  checkMatrix(matrix);
  const seed = integer('seed', options.seed ?? 0, 0);
  if (matrix.rows < 10 || matrix.cols < 2) {
    throw new DataError(
      'ERR_TOO_FEW_ROWS',
      `Choosing dimensions needs at least 10 rows of 2 features, not ${matrix.rows} of ${matrix.cols}. Give a number of dimensions.`,
    );
  }
  const { signal } = options;
  const sample = takeRows(matrix, someRows(matrix.rows, MOST_ROWS, seed, ROWS_STREAM));
  const heldRows = someRows(sample.rows, Math.max(2, Math.round(HELD_BACK * sample.rows)), seed + 1, ROWS_STREAM);
  const isHeld = new Set(heldRows);
  const rest = Int32Array.from(Array.from({ length: sample.rows }, (_, i) => i).filter((i) => !isHeld.has(i)));
  const model = await pca.fit(takeRows(sample, rest), {
    dims: Math.min(MOST_DIMENSIONS, Math.floor(matrix.cols / 2)),
    signal,
  });
  const { ks, errors } = await inThread('dimensions', { model, held: takeRows(sample, heldRows), seed }, signal);
  const means = errors.map((list) => list.reduce((sum, value) => sum + value, 0) / list.length);
  const best = means.indexOf(Math.min(...means));
  const spread = errors[best]!.reduce((sum, value) => sum + (value - means[best]!) ** 2, 0) / (heldRows.length - 1);
  const limit = means[best]! + Math.sqrt(spread / heldRows.length);
  const explained = (share: number) => {
    let [sum, count] = [0, 0];
    while (sum < share * model.totalVariance && count < model.outputs) sum += model.variance[count++]!;
    return sum < share * model.totalVariance ? undefined : count;
  };
  return {
    chosen: ks[means.findIndex((value) => value <= limit)]!,
    rank: model.rank,
    explains: { '90%': explained(0.9), '95%': explained(0.95), '99%': explained(0.99) },
    curve: ks.map((dims, i) => ({ dims, error: means[i]! })),
  };
}
