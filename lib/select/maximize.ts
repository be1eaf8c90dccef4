/** Selection as maximisation: an objective over sets of rows, and an optimizer that fills the budget. */
import { setImmediate } from 'node:timers/promises';
import { isFloat32Array } from 'node:util/types';
import { integer } from '../check.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { type MaximizeJob, native } from '../native.js';
import { runNative } from '../nativeJob.js';
import type { JobOptions } from '../progress.js';
import { sharedData } from '../sharedData.js';
import { gather, type Plan, type PlanOptions, plan } from './objectives/plan.js';
import type { Optimizer, SparseRows } from './objectives/types.js';

export interface MaximizeOptions extends PlanOptions, JobOptions {
  /** Threads of the native engine; 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

export interface Maximization {
  /** int32: selected rows in the order in which they were chosen. */
  readonly rows: Int32Array;
  /** float64: what each of them added to the objective when it was chosen. */
  readonly gains: Float64Array;
  /** f(S), the objective of all of them. */
  readonly value: number;
  /** Gains looked at. */
  readonly evaluations: number;
  readonly engine: {
    readonly optimizer: Optimizer;
    readonly threads: number;
    readonly seconds: number;
    /** `avx512` | `avx2` | `neon` | `scalar`. */
    readonly simd: string;
  };
}

/** What the native engine may ask of the operating system. */
const MAX_THREADS = 1024;
/** About 5 ms of work between two turns of the event loop. */
const CHUNK_VALUES = 1 << 20;

/**
 * Selects rows that make an objective large: an objective (see `Objective`; formulas, units and sources in
 * docs/objectives.md) or a weighted mixture of several, filled up to a budget by an optimizer:
 *
 * - `naive`: the row of the largest gain at each step (Nemhauser, Wolsey, Fisher, 1978);
 * - `lazy`: the same rows by fewer evaluations (Minoux, 1978), for submodular objectives;
 * - `stochastic`: the best of a random sample (Mirzasoleiman et al., AAAI 2015, "lazier than lazy greedy");
 * - `bidirectional`: randomized double greedy without a budget (Buchbinder et al., FOCS 2012), for graph cuts.
 *
 * With `costs` and `maxCost` it returns the better of greedy by gain and greedy by gain per cost (Leskovec et al., KDD
 * 2007), both of which stop when no row that fits has a positive gain.
 *
 * Ties go to the lowest row. The result is the same for every number of threads. Gains are summed in float64; the pairs
 * of facility location and saturated coverage come from float32 products (off by less than 1e-5), all others from float64.
 * No N x N matrix; memory is the rows, at most two float32 copies of them, and what docs/objectives.md says. The values
 * must not change until the promise has settled.
 *
 * @param source how error messages call the embeddings.
 * @throws {DataError} `ERR_NOT_FINITE` or `ERR_NEGATIVE_FEATURE` naming the row; {TypeError} or {RangeError} for a bad
 * argument; {NativeError}; rejects with `signal.reason` when aborted.
 */
export async function maximize(
  embeddings: EmbeddingMatrix | SparseRows,
  options: MaximizeOptions,
  source = 'The embedding matrix',
): Promise<Maximization> {
  const planned = plan(embeddings, options);
  const threads = integer('threads', options.threads ?? 0, 0, MAX_THREADS);
  options.signal?.throwIfAborted();
  const data = planned.matrix && (await prepared(planned.matrix, planned.scale, source, options.signal));
  const { rows, cols, optimizer, budgetCount, costs, maxCost, allowed, initial, seed, epsilon } = planned;
  const job: MaximizeJob = {
    data,
    rows,
    cols,
    parts: planned.parts.map((part) => partOf(part, data, planned)),
    allowed,
    initial,
    optimizer,
    budget: budgetCount,
    costs,
    maxCost,
    seed,
    epsilon,
    threads,
    simd: '',
    control: new Int32Array(new SharedArrayBuffer(8)),
  };
  const result = await runNative(native().maximize, job, job.budget, options, source);
  const { threads: used, seconds, simd, ...found } = result;
  return { ...found, engine: { optimizer, threads: used, seconds, simd } };
}

/** The embeddings on shared memory, each column times its scale. */
async function prepared(
  matrix: EmbeddingMatrix,
  scale: Float64Array | undefined,
  source: string,
  signal: AbortSignal | undefined,
): Promise<Float32Array | Float64Array> {
  const data = await sharedData(matrix, source, signal);
  if (!scale) return data;
  const { rows, cols } = matrix;
  const own = data !== matrix.data;
  const out = own ? data : sharedFloats(isFloat32Array(data) ? 'float32' : 'float64', rows * cols, source);
  for (let row = 0; row < rows; row++) {
    const from = row * cols;
    for (let j = 0; j < cols; j++) out[from + j] = data[from + j]! * scale[j]!;
    if (row % Math.ceil(CHUNK_VALUES / cols) !== 0) continue;
    await setImmediate();
    signal?.throwIfAborted();
  }
  return out;
}

function partOf(part: Plan['parts'][number], data: Float32Array | Float64Array | undefined, { cols, scale }: Plan) {
  const { examples, entries, ...parameters } = part;
  const rows = examples && gather(examples, data!, cols, scale);
  const { offsets, indices, values } = entries ?? {};
  return { ...parameters, examples: rows?.data, exampleRows: rows?.rows, offsets, indices, values };
}
