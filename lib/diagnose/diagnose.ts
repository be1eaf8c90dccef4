/** What a data set's embeddings say before anything is trained: redundancy, and agreement between modalities. */
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import { pca } from '../reduce/pca.js';
import { checkMatrix } from '../select/bins.js';
import { effectiveRows } from '../select/strategies/densityBalanced.js';
import type { Cca } from './cca.js';
import type { Cka } from './cka.js';
import { inThread } from './inThread.js';
import { type Quantiles, quantiles } from './quantiles.js';
import { type Expectation, expectationOf } from './redundancy.js';
import { someRows, takeRows } from './rows.js';

/** Everything that compares all pairs looks at no more rows than this. */
export const MOST_ROWS = 2000;
const MOST_COMPONENTS = 64;
/** Of the variance, that the compared components hold. */
const VARIANCE = 0.99;
const WORST = 20;

export interface Redundancy {
  readonly rows: number;
  /** Median nearest-neighbour distance / median pairwise distance, over at most 2,000 seeded rows. */
  readonly nearestOverMedian: number;
  /** Sum of 1 / |eps-ball| over all rows, eps as in `densityBalanced`: how many rows there are if near ones count as one. */
  readonly effectiveRows: number;
  readonly expectation: Expectation;
}

export interface Consistency {
  /** Rows compared: at most 2,000, seeded. */
  readonly rows: number;
  readonly cka: Cka;
  readonly cca: Cca;
  /** Cosine of each sample's x with its y after the rotation that fits the other half of the samples best. */
  readonly procrustes: Quantiles;
  /** Spearman's correlation of pairwise distances. */
  readonly distanceCorrelation: number;
  /** Of `inconsistency`, 1 = usual. */
  readonly inconsistency: Quantiles;
  /** Rows of the largest inconsistency, largest first. */
  readonly mostInconsistent: readonly number[];
}

export interface DiagnoseOptions extends JobOptions {
  /** Of the rows that are compared where there are more than 2,000; 0 if not given. */
  seed?: number | undefined;
  threads?: number | undefined;
}

/**
 * How redundant embeddings are, [N, d] with N >= 3.
 * @throws as `densityBalanced`; rejects with `signal.reason` when aborted.
 */
export async function redundancy(matrix: EmbeddingMatrix, options: DiagnoseOptions = {}): Promise<Redundancy> {
  checkMatrix(matrix);
  const seed = integer('seed', options.seed ?? 0, 0);
  enough(matrix.rows);
  const effective = await effectiveRows(matrix, { ...options, seed });
  const x = takeRows(matrix, someRows(matrix.rows, MOST_ROWS, seed));
  const ratio = await inThread('redundancy', { x }, options.signal);
  return {
    rows: matrix.rows,
    nearestOverMedian: ratio,
    effectiveRows: effective,
    expectation: expectationOf(ratio, effective / matrix.rows),
  };
}

/**
 * How far two modalities of the same samples agree: x [N, dx] and y [N, dy], such as the mean tokens of RGB and of the mask.
 * Linear CKA, canonical correlations, cosine after an orthogonal Procrustes rotation, rank correlation of distances, and how
 * much each sample's y disagrees with the y of those that look like it in x. CCA, rotation and inconsistency are over the
 * principal components that hold 99 % of the variance, at most a tenth of the rows and 64.
 * @throws {DataError} `ERR_ROWS_DIFFER`, `ERR_TOO_FEW_ROWS`, and as `pca`; rejects with `signal.reason` when aborted.
 */
export async function consistency(
  x: EmbeddingMatrix,
  y: EmbeddingMatrix,
  options: DiagnoseOptions = {},
): Promise<Consistency> {
  for (const matrix of [x, y]) checkMatrix(matrix);
  if (x.rows !== y.rows) {
    throw new DataError(
      'ERR_ROWS_DIFFER',
      `The modalities have ${x.rows} and ${y.rows} rows. Give both the same samples in the same order.`,
    );
  }
  enough(x.rows);
  const seed = integer('seed', options.seed ?? 0, 0);
  const { signal } = options;
  const rows = someRows(x.rows, MOST_ROWS, seed);
  const [a, b] = [takeRows(x, rows), takeRows(y, rows)];
  const [scoresX, scoresY] = [await componentsOf(a, { signal }), await componentsOf(b, { signal })];
  const { inconsistency: scores, ...found } = await inThread('consistency', { x: a, y: b, scoresX, scoresY }, signal);
  const order = Array.from(rows.keys()).sort((i, j) => scores[j]! - scores[i]! || i - j);
  return {
    rows: rows.length,
    ...found,
    inconsistency: quantiles(scores),
    mostInconsistent: order.slice(0, WORST).map((i) => rows[i]!),
  };
}

async function componentsOf(matrix: EmbeddingMatrix, job: JobOptions): Promise<EmbeddingMatrix> {
  const most = Math.max(1, Math.min(MOST_COMPONENTS, Math.floor(matrix.rows / 10)));
  const model = await pca.fit(matrix, most, job);
  let [sum, count] = [0, 0];
  while (count < model.outputs && sum < VARIANCE * model.totalVariance) sum += model.variance[count++]!;
  const components = model.components.subarray(0, count * model.inputs);
  return pca.transform(
    { ...model, outputs: count, components, variance: model.variance.subarray(0, count) },
    matrix,
    job,
  );
}

function enough(rows: number): void {
  if (rows >= 3) return;
  throw new DataError('ERR_TOO_FEW_ROWS', `Diagnostics need at least 3 rows, not ${rows}.`);
}
