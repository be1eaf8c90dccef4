import { outOfRange, wrongType } from '../../check.js';
import type { EmbeddingMatrix } from '../../matrix.js';
import { native } from '../../native.js';
import { runNative } from '../../nativeJob.js';
import type { JobOptions } from '../../progress.js';
import { inSlices, STEP, type Steps, sorted } from '../../steps.js';
import { checkMatrix } from '../bins.js';
import { type DrawOptions, EXCLUDED, INCLUDED, planDraw } from '../draw.js';
import { stream } from '../random.js';
import type { Selection } from '../types.js';
import { strategyJob } from './job.js';
import { ranked } from './ranked.js';
import { report } from './strata.js';

export interface DensityBalancedOptions extends DrawOptions, JobOptions {
  /** eps as a fraction of the root of the median squared distance between rows; 0.4 if not given. */
  fraction?: number | undefined;
  /** 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

/**
 * Density-balanced sampling (DBAL): rows in crowded places are taken less often, so that near-duplicates do not fill the
 * coreset, and where nothing is crowded it is a stratified random sample.
 *
 *     p_i = min(1, c / |{j: |x_j - x_i| <= eps}|),   sum p_i = budget,      eps^2 = fraction^2 * median |x_j - x_i|^2
 *
 * then systematic sampling with these probabilities (Madow 1949) along a tree that splits the rows at the median of their
 * principal direction, over and over: near rows are near in that order, so the sample spreads over the tree. The median
 * is of 65,536 seeded pairs; the principal direction of a node is computed from at most 2,047 of its rows. `gains` are
 * the p_i. Neighbours are counted exactly, over float32 rows with the mean taken off: O(N^2 d) at worst, no N x N matrix.
 *
 * @throws as `partition` and `draw`.
 */
export async function densityBalanced(
  matrix: EmbeddingMatrix,
  options: DensityBalancedOptions,
  source = 'The embedding matrix',
): Promise<Selection> {
  checkMatrix(matrix);
  const fraction = fractionOf(options.fraction ?? 0.4);
  const { budgetCount, marks, seed } = planDraw(options, matrix.rows);
  const job = { ...(await strategyJob(matrix, options, source)), fraction, seed };
  const started = performance.now();
  const { neighbours, order, radiusSquared } = await runNative(native().density, job, matrix.rows, options, source);
  const sample = function* (): Steps<{ rows: Int32Array; gains: Float64Array }> {
    const weights = new Float64Array(marks.length);
    neighbours.forEach((count, row) => {
      if (marks[row] !== EXCLUDED) weights[row] = 1 / count;
    });
    yield;
    const sure = marks.map((mark) => (mark === INCLUDED ? 1 : 0));
    const p = yield* inclusionProbabilities(weights, sure, budgetCount);
    const rows = yield* systematicSample(order, p, budgetCount, seed);
    const gains = new Float64Array(rows.length);
    rows.forEach((row, i) => {
      gains[i] = p[row]!;
    });
    return { rows, gains };
  };
  const { rows, gains } = await inSlices(sample(), options.signal);
  const why = `eps ${Math.sqrt(radiusSquared).toPrecision(4)}, ${Math.round(effective(neighbours)).toLocaleString('en')} effective rows`;
  return ranked(rows, gains, matrix.rows, seed, report('dbal', why, performance.now() - started));
}

function fractionOf(value: unknown): number {
  const expected = 'a number > 0, at most 2';
  if (typeof value !== 'number') throw wrongType('fraction', expected, value);
  if (!(value > 0 && value <= 2)) throw outOfRange('fraction', expected, value);
  return value;
}

/** sum of 1 / |eps-ball|: how many rows there are if near ones count as one. */
function effective(neighbours: Int32Array): number {
  let sum = 0;
  for (const count of neighbours) sum += 1 / count;
  return sum;
}

/** The effective number of rows alone, with the eps of `densityBalanced`. Throws as it does. */
export async function effectiveRows(
  matrix: EmbeddingMatrix,
  options: JobOptions & { seed: number; threads?: number | undefined },
): Promise<number> {
  const job = { ...(await strategyJob(matrix, options, 'The embedding matrix')), fraction: 0.4, seed: options.seed };
  const { neighbours } = await runNative(native().density, job, matrix.rows, options, 'The embedding matrix');
  return effective(neighbours);
}

/**
 * p_i = min(1, c w_i) with sum p_i = budget, and p_i = 1 where `sure`. Rows that reach 1 leave the rest of the budget to
 * the others, largest weights first.
 */
export function* inclusionProbabilities(weights: Float64Array, sure: Uint8Array, budget: number): Steps<Float64Array> {
  const p = new Float64Array(sure);
  const found = new Int32Array(weights.length);
  let count = 0;
  let left = budget;
  let sum = 0;
  for (let row = 0; row < weights.length; row++) {
    if (sure[row]) left--;
    else if (weights[row]! > 0) {
      found[count++] = row;
      sum += weights[row]!;
    }
    if (row % STEP === STEP - 1) yield;
  }
  const open = yield* sorted(found.subarray(0, count), (a, b) => weights[b]! - weights[a]! || a - b);
  let at = 0;
  while (at < open.length && weights[open[at]!]! * left >= sum) {
    sum -= weights[open[at]!]!;
    left--;
    p[open[at++]!] = 1;
  }
  for (; at < open.length; at++) {
    p[open[at]!] = (weights[open[at]!]! * left) / sum;
    if (at % STEP === STEP - 1) yield;
  }
  return p;
}

/**
 * Along `order`: rows of probability 1, and those where the running sum of the other probabilities passes u, u + 1, ...,
 * u uniform in [0, 1). Exactly `budget` rows, whatever rounding does to the sum.
 */
function* systematicSample(order: Int32Array, p: Float64Array, budget: number, seed: number): Steps<Int32Array> {
  const u = (stream(seed, 0)() + 0.5) / 2 ** 32;
  const candidates = order.filter((row) => p[row]! > 0);
  let open = 0;
  for (const row of candidates) if (p[row]! < 1) open++;
  yield;
  const wanted = budget - (candidates.length - open);
  const rows = new Int32Array(budget);
  let count = 0;
  let taken = 0;
  let sum = 0;
  for (let i = 0; i < candidates.length; i++) {
    if (i % STEP === STEP - 1) yield;
    const row = candidates[i]!;
    if (p[row]! < 1) {
      sum += p[row]!;
      const needed = wanted - taken;
      const passes = needed > 0 && (sum > u + taken || needed === open);
      open--;
      if (!passes) continue;
      taken++;
    }
    rows[count++] = row;
  }
  return rows;
}
