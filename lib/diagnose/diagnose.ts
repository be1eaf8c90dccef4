/** What a data set's embeddings say before anything is trained: redundancy, and agreement between modalities. */
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import * as pca from '../reduce/pca.js';
import { checkMatrix } from '../select/bins.js';
import { draw } from '../select/draw.js';
import { maximize } from '../select/maximize.js';
import { someRows } from '../select/random.js';
import { effectiveRows } from '../select/strategies/densityBalanced.js';
import { oneStratum } from '../select/strategies/strata.js';
import { sharedData } from '../sharedData.js';
import type { Cca } from './cca.js';
import type { Cka } from './cka.js';
import { inThread } from './inThread.js';
import { type Quantiles, quantiles } from './quantiles.js';
import { type Expectation, expectationOf } from './redundancy.js';
import { queriesOf, ROWS_STREAM, takeRows } from './rows.js';

/** Everything that compares all pairs looks at no more rows than this. */
const MOST_ROWS = 2000;
/** Rows that a subset is chosen from to see what coverage gains, its part of them, and random subsets beside it. */
const COVERED_ROWS = 4096;
const COVERED_VALUES = 2 ** 28;
const COVERAGE_BUDGET = 0.05;
const RANDOM_SUBSETS = 5;
const MOST_COMPONENTS = 64;
/** Of the variance, that the compared components hold. */
const VARIANCE = 0.99;
const WORST = 20;

export interface Redundancy {
  readonly rows: number;
  /** Median distance to the nearest of all rows / median pairwise distance, over at most 2,000 seeded rows. */
  readonly nearestOverMedian: number;
  /** Sum of 1 / |eps-ball| over all rows, eps as in `densityBalanced`: how many rows there are if near ones count as one. */
  readonly effectiveRows: number;
  /**
   * Mean distance to the nearest chosen row, for 5 % of at most 4,096 seeded rows by facility location over the mean of five
   * random subsets: below 1 by what covering gains. NaN where all rows are equal.
   */
  readonly coverageOverRandom: number;
  readonly expectation: Expectation;
}

export interface Consistency {
  /** Rows whose agreement is measured: at most 2,000, seeded. */
  readonly rows: number;
  readonly cka: Cka;
  readonly cca: Cca;
  /** Cosine of each sample's x with its y after the rotation that fits the other half of the samples best. */
  readonly procrustes: Quantiles;
  /** Spearman's correlation of pairwise distances. */
  readonly distanceCorrelation: number;
  /** Of the rows whose look-alikes were searched among all (all of them where that takes seconds); 1 = usual. */
  readonly inconsistency: Quantiles;
  readonly inconsistencyRows: number;
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
  const data = await sharedData(matrix, 'The embedding matrix', options.signal);
  const x = { ...matrix, data };
  const ratio = await inThread('nearest', { x, queries: queriesOf(x, MOST_ROWS, seed) }, options.signal);
  return {
    rows: matrix.rows,
    nearestOverMedian: ratio,
    effectiveRows: effective,
    coverageOverRandom: await coverageOverRandom(x, seed, options),
    expectation: expectationOf(ratio, effective / matrix.rows),
  };
}

async function coverageOverRandom(
  matrix: EmbeddingMatrix,
  seed: number,
  { threads, signal }: DiagnoseOptions,
): Promise<number> {
  const most = Math.min(COVERED_ROWS, Math.max(1, Math.floor(COVERED_VALUES / matrix.cols)));
  const x = takeRows(matrix, someRows(matrix.rows, most, seed, ROWS_STREAM));
  const budget = Math.max(1, Math.round(COVERAGE_BUDGET * x.rows));
  const objective = { name: 'facility-location', similarity: 'rbf' } as const;
  const { rows } = await maximize(x, { objective, budget, threads, signal });
  const random = Array.from(
    { length: RANDOM_SUBSETS },
    (_, i) => draw(oneStratum(x.rows), { budget, seed: seed + i }).rows,
  );
  const [cost, ...costs] = await inThread('coverage', { x, subsets: [rows, ...random] }, signal);
  return cost! / (costs.reduce((sum, value) => sum + value, 0) / RANDOM_SUBSETS);
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
  const rows = someRows(x.rows, MOST_ROWS, seed, ROWS_STREAM);
  const [scoresX, scoresY] = [await componentsOf(x, rows, { signal }), await componentsOf(y, rows, { signal })];
  const [a, b, ofA, ofB] = [x, y, scoresX, scoresY].map((matrix) => takeRows(matrix, rows)) as Four;
  const found = await inThread('agreement', { x: a, y: b, scoresX: ofA, scoresY: ofB }, signal);
  const queries = queriesOf(scoresX, x.rows, seed);
  const scores = await inThread('inconsistency', { x: scoresX, y: scoresY, queries }, signal);
  const order = Array.from(queries.keys()).sort((i, j) => scores[j]! - scores[i]! || i - j);
  return {
    rows: rows.length,
    ...found,
    inconsistency: quantiles(scores),
    inconsistencyRows: queries.length,
    mostInconsistent: order.slice(0, WORST).map((i) => queries[i]!),
  };
}

type Four = [EmbeddingMatrix, EmbeddingMatrix, EmbeddingMatrix, EmbeddingMatrix];

/** Scores of all rows along the components of the rows `from`. */
async function componentsOf(matrix: EmbeddingMatrix, from: Int32Array, job: JobOptions): Promise<EmbeddingMatrix> {
  const most = Math.max(1, Math.min(MOST_COMPONENTS, Math.floor(from.length / 10)));
  const model = await pca.fit(takeRows(matrix, from), { ...job, dims: most });
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
