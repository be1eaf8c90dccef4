/** How a PCA is computed: which method, and what of the data is in memory at a time. */
import { DataError } from '../errors.js';

/**
 * `small`: ml-pca, exact in float64. The others are native, float32 products with float64 sums: `covariance` (d x d) and
 * `gram` (N x N) are exact, `krylov` is a randomized block Krylov space. docs/reduction.md says how they differ.
 */
export type PcaMethod = 'small' | 'covariance' | 'gram' | 'krylov';

/** What memory is planned for where nothing else is asked for. Fixed, so that results do not depend on the machine. */
export const PCA_MEMORY = 4 * 2 ** 30;

export interface PcaPlan {
  readonly method: PcaMethod;
  /** Whether the whole matrix is in memory. */
  readonly whole: boolean;
  /** Rows that are read at a time, where it is not. */
  readonly blockRows: number;
  /** Of `krylov`: dimensions that a pass adds to the space. */
  readonly blockColumns: number;
  /** Of `gram`: rows that a pass compares with all later ones. */
  readonly residentRows: number;
  /** Of `krylov`: whether what the scores are made of stays in memory; otherwise they take one more pass. */
  readonly scores: boolean;
  /** That it will need at most, about. */
  readonly bytes: number;
}

export interface PcaShape {
  readonly rows: number;
  readonly cols: number;
  readonly dims: number;
  /** Of a value. */
  readonly valueBytes: 4 | 8;
  /** Whether the matrix is in memory already, and not counted. */
  readonly loaded: boolean;
  /** Whether components are wanted, not only scores. */
  readonly components: boolean;
  /** Bytes. */
  readonly memory: number;
}

const SMALL_SIDE = 256;
const SMALL_VALUES = 1 << 22;
/** Sides of a matrix whose eigenvectors are computed in at most minutes. */
const MOST_COVARIANCE = 4096;
const MOST_GRAM = 8192;
/** An eigenproblem of side n costs as much as this times n^3 operations of a matrix product: measured, see docs/performance.md. */
const EIGEN = 70;
/** Below this many operations (a second or two) the exact methods are not worth leaving. */
const LITTLE = 2e11;
const PANEL = 48;
/** Dimensions of the space, in units of the wanted ones: the most, and what usually is enough. */
const MOST_FACTOR = 4;
const USUAL_FACTOR = 2.75;
/** Rows that the native engine multiplies at a time. */
const ROWS = 1536;
const LARGEST_BLOCK = 256 << 20;

/** @throws {DataError} `ERR_OUT_OF_MEMORY` where no method fits; `source` is what the message calls the matrix. */
export function planPca(shape: PcaShape, source: string): PcaPlan {
  const { rows, cols, valueBytes, memory, loaded } = shape;
  const data = loaded ? 0 : rows * cols * valueBytes;
  if (Math.min(rows, cols) <= SMALL_SIDE && rows * cols <= SMALL_VALUES) {
    return {
      method: 'small',
      whole: true,
      blockRows: rows,
      blockColumns: 0,
      residentRows: 0,
      scores: true,
      bytes: data,
    };
  }
  const plans = [covariance(shape), gram(shape), krylov(shape)].filter((plan) => plan !== undefined);
  const fitting = plans.filter(({ plan }) => plan.bytes <= memory);
  if (fitting.length === 0) {
    const least = Math.min(...plans.map(({ plan }) => plan.bytes));
    throw new DataError(
      'ERR_OUT_OF_MEMORY',
      `PCA of ${source} (${rows} rows of ${cols} features) to ${shape.dims} dimensions needs about ${amount(least)} of memory, and ${amount(memory)} are allowed. ` +
        'Allow more (memory), ask for fewer dimensions, or use fewer features (aggregation mean).',
    );
  }
  const exact = fitting.filter(({ plan }) => plan.method !== 'krylov').sort((a, b) => a.work - b.work)[0];
  const approximate = fitting.find(({ plan }) => plan.method === 'krylov');
  if (!exact) return approximate!.plan;
  if (!approximate || exact.work < LITTLE || exact.work < 1.5 * approximate.work) return exact.plan;
  return approximate.plan;
}

/** Of rows that are read: half of what is left of the memory for two of them. */
function blockRowsOf({ cols, valueBytes, rows, memory }: PcaShape, used: number): number {
  const bytes = Math.min(LARGEST_BLOCK, Math.max(0, memory - used) / 4);
  const most = Math.floor(bytes / (cols * valueBytes));
  const whole = most >= ROWS ? most - (most % ROWS) : most;
  return Math.min(rows, Math.max(1, whole));
}

function covariance(shape: PcaShape) {
  const { rows, cols } = shape;
  if (cols > MOST_COVARIANCE) return undefined;
  const needed = 16 * cols * cols + 8 * shape.dims * cols + 4 * ROWS * cols;
  return { plan: finish(shape, 'covariance', needed), work: rows * cols * cols + EIGEN * cols ** 3 };
}

function gram(shape: PcaShape) {
  const { rows, cols, dims, components, memory } = shape;
  if (rows > MOST_GRAM) return undefined;
  const needed = 16 * rows * rows + 8 * dims * rows + (components ? 4 * dims * cols : 0);
  const plan = finish(shape, 'gram', needed);
  const work = rows * rows * cols + EIGEN * rows ** 3 + (components ? 2 * rows * cols * dims : 0);
  if (plan.whole) return { plan, work };
  // Half of the rest for the rows that all later ones are compared with.
  const residentRows = Math.max(1, Math.min(rows, Math.floor((memory - needed) / 2 / (4 * cols))));
  const bytes = needed + 4 * residentRows * cols + 2 * plan.blockRows * cols * shape.valueBytes;
  return { plan: { ...plan, residentRows, bytes }, work };
}

function krylov(shape: PcaShape) {
  const { rows, cols, dims } = shape;
  const space = Math.min(MOST_FACTOR * dims + PANEL, rows - 1, cols);
  const planOf = (share: number) => {
    const blockColumns = Math.min(PANEL * Math.ceil((dims * share) / PANEL), space);
    const matrices = 4 * space * cols + 16 * blockColumns * cols + 4 * dims * cols;
    return { ...finish(shape, 'krylov', matrices + 16 * space * space + 8 * blockColumns * rows), blockColumns };
  };
  const narrow = planOf(1 / 4);
  // A pass over a disk is dear: fewer and wider ones, where there is room.
  const wide = planOf(1 / 2);
  const plan = narrow.whole || wide.bytes > shape.memory ? narrow : wide;
  const kept = 4 * space * rows;
  const scores = plan.bytes + kept <= shape.memory;
  const work = 4 * rows * cols * USUAL_FACTOR * dims + EIGEN * Math.min(USUAL_FACTOR * dims, space) ** 3;
  return {
    plan: { ...plan, scores, bytes: plan.bytes + (scores ? kept : 0) },
    work,
  };
}

function finish(shape: PcaShape, method: PcaMethod, needed: number): PcaPlan {
  const { rows, cols, valueBytes, memory, loaded } = shape;
  const data = loaded ? 0 : rows * cols * valueBytes;
  const whole = needed + data <= memory;
  const blockRows = whole ? rows : blockRowsOf(shape, needed);
  const bytes = needed + (whole ? data : 2 * blockRows * cols * valueBytes);
  return { method, whole, blockRows, blockColumns: 0, residentRows: rows, scores: true, bytes };
}

function amount(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
