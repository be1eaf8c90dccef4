/** Strategies that only say which rows belong together; `draw` then takes rows from each stratum. */
import { integer, outOfRange, wrongType } from '../../check.js';
import type { EmbeddingMatrix } from '../../matrix.js';
import { native } from '../../native.js';
import { runNative } from '../../nativeJob.js';
import type { JobOptions } from '../../progress.js';
import { atOnce, inSlices, STEP, type Steps, sorted } from '../../steps.js';
import { checkMatrix } from '../bins.js';
import type { Partition } from '../types.js';
import { strategyJob } from './job.js';

/**
 * All rows in one bin: `draw` from it is uniform random sampling.
 * @param rows N.
 */
export function oneStratum(rows: number): Partition {
  return atOnce(partitionOf(new Int32Array(rows), 1, 'random'));
}

/**
 * A bin for each group (clip, camera, class, ...), in the order in which the groups first appear. With `quota: 'equal'`,
 * `draw` goes round the groups and takes one random row of each in turn, so that a long clip has no more of them than a
 * short one.
 * @param groups one label for each of the N rows.
 * @throws {TypeError} for a label that is neither text nor a number.
 */
export function groupStrata(groups: ArrayLike<string | number>): Partition {
  return atOnce(groupStrataInSteps(groups));
}

/** `groupStrata`, with pauses. */
export function* groupStrataInSteps(groups: ArrayLike<string | number>): Steps<Partition> {
  const known = new Map<string | number, number>();
  const bins = new Int32Array(groups.length);
  for (let row = 0; row < bins.length; row++) {
    const label: unknown = groups[row];
    if (typeof label !== 'string' && typeof label !== 'number') throw wrongType(`groups[${row}]`, 'a label', label);
    const bin = known.get(label);
    if (bin === undefined) known.set(label, known.size);
    bins[row] = bin ?? known.size - 1;
    if (row % STEP === STEP - 1) yield;
  }
  if (bins.length === 0) throw outOfRange('groups.length', 'at least 1', 0);
  return yield* partitionOf(bins, known.size, 'round-robin');
}

export interface ClusterOptions extends JobOptions {
  /** K, 1..N. */
  clusters: number;
  /** Rounds of Lloyd's algorithm at most; 100 if not given. */
  maxRounds?: number | undefined;
  /** Of k-means++; 0 if not given. */
  seed?: number | undefined;
  /** 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

/**
 * A bin for each cluster of k-means: seeds by k-means++ (Arthur and Vassilvitskii, SODA 2007), then Lloyd's rounds,
 *
 *     cluster(x) = argmin_c |x - m_c|^2, lowest c on ties;      m_c = mean of its rows
 *
 * until no row moves; a cluster that lost all its rows starts again at the row farthest from its own centre. `order` has
 * the rows of each cluster from the centre outwards, `gains` their negative squared distances. Clusters that stay empty,
 * because fewer rows differ, are left out. The sampling of strata in proportion to their size is Neyman's (1934), without
 * his variances. Distances are those of float32 rows with the mean taken off, summed in float64.
 *
 * @throws as `partition`.
 */
export async function clusterStrata(
  matrix: EmbeddingMatrix,
  options: ClusterOptions,
  source = 'The embedding matrix',
): Promise<Partition> {
  checkMatrix(matrix);
  const clusters = integer('clusters', options.clusters, 1, matrix.rows);
  const maxRounds = integer('maxRounds', options.maxRounds ?? 100, 1, 1_000_000);
  const seed = integer('seed', options.seed ?? 0, 0);
  const job = { ...(await strategyJob(matrix, options, source)), clusters, maxRounds, seed };
  const started = performance.now();
  const found = await runNative(native().kMeans, job, maxRounds, options, source);
  const why = `${found.rounds} rounds${found.converged ? '' : ', not converged'}`;
  const milliseconds = performance.now() - started;
  return inSlices(clustersOf(found, clusters, why, milliseconds), options.signal);
}

function* clustersOf(
  { clusters, distances }: { clusters: Int32Array; distances: Float64Array },
  most: number,
  why: string,
  milliseconds: number,
): Steps<Partition> {
  const used = new Uint8Array(most);
  for (const cluster of clusters) used[cluster] = 1;
  yield;
  const binOf = new Int32Array(most);
  let binCount = 0;
  used.forEach((any, cluster) => {
    binOf[cluster] = binCount;
    binCount += any;
  });
  const bins = clusters.map((cluster) => binOf[cluster]!);
  yield;
  const partition = yield* partitionOf(bins, binCount, 'kmeans', why, milliseconds);
  const outwards = (a: number, b: number) => bins[a]! - bins[b]! || distances[a]! - distances[b]! || a - b;
  const order = yield* sorted(partition.order, outwards);
  order.forEach((row, i) => {
    partition.gains[i] = -distances[row]!;
  });
  return { ...partition, order };
}

/** Rows of a bin in ascending order. */
function* partitionOf(
  bins: Int32Array,
  binCount: number,
  name: string,
  why = 'asked for',
  milliseconds = 0,
): Steps<Partition> {
  const starts = new Int32Array(binCount + 1);
  for (const bin of bins) starts[bin + 1]!++;
  yield;
  for (let bin = 0; bin < binCount; bin++) starts[bin + 1]! += starts[bin]!;
  const order = new Int32Array(bins.length);
  for (let row = 0; row < bins.length; row++) {
    order[starts[bins[row]!]!++] = row;
    if (row % STEP === STEP - 1) yield;
  }
  return { bins, order, gains: new Float64Array(bins.length), binCount, engine: report(name, why, milliseconds) };
}

/** What ran, where the exact engine did not. */
export function report(name: string, why: string, milliseconds: number): Partition['engine'] {
  const counts = { dotProducts: 0, float64Decisions: 0, exactDecisions: 0 };
  const { simd, threads } = native().cpu();
  return { name, why, device: 'cpu', simd, threads, seconds: milliseconds / 1000, ...counts };
}
