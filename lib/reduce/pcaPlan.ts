/** How a PCA is computed: which method, and what of the data is in memory at a time. */
import { DataError } from '../errors.js';

/**
 * `small`: ml-pca, exact in float64. The others are native, float32 products with float64 sums: `covariance` (d x d) and
 * `gram` (N x N) are exact, `krylov` is a randomized block Krylov space. docs/reduction.md says how they differ.
 */
export type PcaMethod = 'small' | 'covariance' | 'gram' | 'krylov';

/** What memory is planned for beside the scores, where nothing else is asked for. Fixed, so that results do not depend on the machine. */
export const PCA_MEMORY = 4 * 2 ** 30;

export interface PcaPlan {
  readonly method: PcaMethod;
  /** Whether the whole matrix is in memory. */
  readonly whole: boolean;
  /** Rows that are read at a time, where it is not. */
  readonly blockRows: number;
  /** Of `krylov`: dimensions that a pass adds to the space. Of `gram`: columns that are read at a time; 0 where rows are. */
  readonly blockColumns: number;
  /** Of `gram` by rows: those that a pass compares with all later ones. */
  readonly residentRows: number;
  /** Of `krylov`: whether what the scores are made of stays in memory; otherwise they take one more pass. */
  readonly scores: boolean;
  /** That are held at once, at most: the rows, what is computed of them, and what comes of it. */
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
  /** Whether columns of all rows can be had without reading all. */
  readonly byColumns: boolean;
  /** Whether components are wanted. */
  readonly components: boolean;
  /** Whether scores are. */
  readonly scores: boolean;
  /** Bytes; PCA_MEMORY beside the scores if not given. */
  readonly memory?: number | undefined;
}

type Limited = PcaShape & { readonly memory: number };

const SMALL_SIDE = 256;
const SMALL_VALUES = 1 << 22;
/** Sides of a matrix whose eigenvectors are computed in at most minutes. */
const MOST_COVARIANCE = 4096;
const MOST_GRAM = 8192;
/** An eigenproblem of side n costs as much as this times n^3 operations of a matrix product: measured, see docs/performance.md. */
const EIGEN = 14;
/** Below this many operations (a second or two) the exact methods are not worth leaving. */
const LITTLE = 2e11;
const PANEL = 48;
/** Dimensions of the space, in units of the wanted ones: the most, and what usually is enough. */
const MOST_FACTOR = 4;
const LEAST_SPACE = 384;
const USUAL_FACTOR = 2.75;
/** Rows that the native engine multiplies at a time. */
const ROWS = 1536;
/** Columns that `gram` multiplies at a time, at most, and of which it takes whole multiples. */
const GRAM_COLUMNS = 4032;
const DEPTH_COLUMNS = 192;
/** Parts of so many columns in memory: one is laid out while the other is multiplied. */
const LAID_OUT = 2;
/** Columns that are read at a time: pieces of rows that no disk minds, in a part of any cache. */
const COLUMNS_BYTES = 64 << 20;
const LARGEST_BLOCK = 256 << 20;
/** Terms of a float32 sum. */
const DEPTH = 192;
/** Fewer rows in a block of `krylov` cost more in reading and writing its sums than in products. */
const FAST_ROWS = 384;
/** Bytes for each row of a matrix that becomes tridiagonal. */
const TRIDIAGONAL = 1200;
/** Of no shape: sums of two threads, chunks of a file, garbage of JavaScript. */
const OTHER = 12 << 20;
/** The thread of ml-pca and its garbage: measured. */
const SMALL_OTHER = 40 << 20;

/** @throws {DataError} `ERR_OUT_OF_MEMORY` where no method fits; `source` is what the message calls the matrix. */
export function planPca(given: PcaShape, source: string): PcaPlan {
  const { rows, cols } = given;
  const shape = { ...given, memory: given.memory ?? PCA_MEMORY + scoresOf(given) };
  const exact = small(shape);
  if (exact && exact.bytes <= shape.memory) return exact;
  const plans = [covariance(shape), gram(shape), krylov(shape)].filter((plan) => plan !== undefined);
  const fitting = plans.filter(({ plan }) => plan.bytes <= shape.memory);
  if (fitting.length === 0) {
    const least = Math.min(...plans.map(({ plan }) => plan.bytes));
    throw new DataError(
      'ERR_OUT_OF_MEMORY',
      `PCA of ${source} (${rows} rows of ${cols} features) to ${shape.dims} dimensions needs about ${amount(least)} of memory, and ${amount(shape.memory)} are allowed. ` +
        'Allow more (memory), ask for fewer dimensions, or use fewer features (aggregation mean).',
    );
  }
  const best = fitting.filter(({ plan }) => plan.method !== 'krylov').sort((a, b) => a.work - b.work)[0];
  const approximate = fitting.find(({ plan }) => plan.method === 'krylov');
  if (!best) return approximate!.plan;
  if (!approximate || best.work < LITTLE || best.work < 1.5 * approximate.work) return best.plan;
  return approximate.plan;
}

function small(shape: Limited): PcaPlan | undefined {
  const { rows, cols, dims } = shape;
  if (Math.min(rows, cols) > SMALL_SIDE || rows * cols > SMALL_VALUES) return undefined;
  return {
    method: 'small',
    whole: true,
    blockRows: rows,
    blockColumns: 0,
    residentRows: 0,
    scores: true,
    bytes: dataOf(shape) + 8 * dims * cols + scoresOf(shape) + SMALL_OTHER,
  };
}

// What a method holds is the most of its stages: while rows go by; eigenvectors, which take twice the matrix besides
// themselves; what comes of them; and scores that are made in one more pass, from components that are laid out anew. The
// two blocks in which rows are read stay from the first pass to the last.

function covariance(shape: Limited) {
  const { rows, cols, dims } = shape;
  if (cols > MOST_COVARIANCE) return undefined;
  const square = 8 * cols * cols;
  const vectors = 8 * dims * cols;
  const stages = [square + 4 * ROWS * cols, 3 * square + vectors, 1.5 * vectors, again(shape)];
  return { plan: finish(shape, 'covariance', stages), work: rows * cols * cols + EIGEN * cols ** 3 };
}

function gram(shape: Limited) {
  const { rows, cols, dims, components, memory, valueBytes } = shape;
  if (rows > MOST_GRAM) return undefined;
  const square = 8 * rows * rows;
  const vectors = 8 * dims * rows;
  const found = components ? 4 * dims * cols : 0;
  const later = [3 * square + vectors, 1.5 * vectors + found, vectors + found + scoresOf(shape)];
  const work = rows * rows * cols + EIGEN * rows ** 3 + (components ? 2 * rows * cols * dims : 0);
  if (shape.byColumns) {
    const most = Math.max(1, Math.floor(COLUMNS_BYTES / (rows * valueBytes * DEPTH_COLUMNS)));
    const plans = [...Array(Math.min(most, Math.ceil(cols / DEPTH_COLUMNS))).keys()].reverse().map((i) => {
      const blockColumns = Math.min(cols, DEPTH_COLUMNS * (i + 1));
      const laidOut = 4 * LAID_OUT * wholePanels(rows) * Math.min(blockColumns, GRAM_COLUMNS);
      const read = shape.loaded ? 0 : 2 * valueBytes * rows * blockColumns;
      const combined = vectors + found + 4 * dims * rows + 4 * rows * DEPTH_COLUMNS;
      const bytes = Math.max(square + laidOut, ...later, combined) + read + otherOf(shape);
      return { ...finish(shape, 'gram', []), whole: shape.loaded, blockColumns, bytes };
    });
    return { plan: plans.find(({ bytes }) => bytes <= memory) ?? plans.at(-1)!, work };
  }
  // Read as a whole, it comes by columns too, which saves reading it twice.
  const whole = finish(shape, 'gram', [square + 4 * LAID_OUT * wholePanels(rows) * GRAM_COLUMNS, ...later]);
  if (components && whole.whole) return { plan: { ...whole, blockColumns: GRAM_COLUMNS }, work };
  // Three quarters of what is left for rows that all later ones are compared with.
  const most = Math.floor((0.75 * (memory - square - otherOf(shape))) / (4 * cols));
  const residentRows = Math.max(1, Math.min(rows, most - (most > PANEL ? most % PANEL : 0)));
  const kept = square + 4 * wholePanels(residentRows) * cols;
  return { plan: { ...finish(shape, 'gram', [kept, ...later], false), residentRows }, work };
}

function krylov(shape: Limited) {
  const { rows, cols, dims, memory } = shape;
  const planOf = (share: number, scores: boolean): PcaPlan => {
    const width = PANEL * Math.ceil((dims * share) / PANEL);
    const space = Math.min(Math.max(MOST_FACTOR * dims, LEAST_SPACE, width), rows - 1, cols);
    const blockColumns = Math.min(width, space);
    const v = 4 * space * cols;
    const w = 8 * blockColumns * cols + 4 * wholePanels(blockColumns) * cols;
    // X V of all blocks or of two, and what products of a block with V are
    const y = 4 * (scores ? space : 2 * blockColumns) * rows + 8 * blockColumns * space;
    const square = 8 * space * space;
    const vectors = 8 * dims * space;
    const found = 4 * dims * cols;
    const stages = [
      v + w + y + square + 4 * blockColumns * Math.max(ROWS, 3 * space),
      v + w + y + 2 * square + TRIDIAGONAL * space,
      v + y + 3 * square + vectors,
      v + y + 1.5 * vectors + found,
      scores ? y + vectors + found + scoresOf(shape) + 4 * ROWS * space : again(shape),
    ];
    return { ...finish(shape, 'krylov', stages), blockColumns, scores };
  };
  const kept = shape.scores ? [true, false] : [false];
  const [narrow, wide] = [1 / 4, 1 / 2].map((share) => kept.map((scores) => planOf(share, scores)));
  const whole = (plan: PcaPlan) => plan.whole;
  const fast = (plan: PcaPlan) => plan.blockRows >= Math.min(rows, FAST_ROWS) && plan.bytes <= memory;
  // A pass over a disk is dear: fewer and wider ones, where there is room.
  const plan = narrow!.find(whole) ?? wide!.find(fast) ?? narrow!.find(fast) ?? narrow!.at(-1)!;
  const eigen = EIGEN * Math.min(USUAL_FACTOR * dims, rows - 1, cols) ** 3;
  return { plan, work: 4 * rows * cols * USUAL_FACTOR * dims + eigen };
}

function finish(shape: Limited, method: PcaMethod, stages: number[], mayBeWhole = true): PcaPlan {
  const { rows, cols, valueBytes, memory } = shape;
  const needed = Math.max(...stages) + otherOf(shape);
  const whole = mayBeWhole && needed + dataOf(shape) <= memory;
  const blockRows = whole ? rows : blockRowsOf(shape, needed);
  const bytes = needed + (whole ? dataOf(shape) : 2 * blockRows * cols * valueBytes);
  return { method, whole, blockRows, blockColumns: 0, residentRows: rows, scores: true, bytes };
}

/** Of rows that are read, two blocks in turn. */
function blockRowsOf({ rows, cols, valueBytes, memory }: Limited, needed: number): number {
  const bytes = Math.min(LARGEST_BLOCK, Math.max(0, memory - needed) / 2);
  const most = Math.floor(bytes / (cols * valueBytes));
  const together = [ROWS, DEPTH, 1].find((count) => count <= most) ?? 1;
  return Math.min(rows, Math.max(1, most - (most % together)));
}

function dataOf({ loaded, rows, cols, valueBytes }: PcaShape): number {
  return loaded ? 0 : rows * cols * valueBytes;
}

function scoresOf({ scores, rows, dims, valueBytes }: PcaShape): number {
  return scores ? rows * dims * valueBytes : 0;
}

/** Of scores that are made from the components. */
function again(shape: PcaShape): number {
  return 4 * (shape.dims + wholePanels(shape.dims)) * shape.cols + scoresOf(shape);
}

/** Means and sums of the columns, where rows go, and what is of no shape. */
function otherOf({ rows, cols }: PcaShape): number {
  return 56 * cols + 8 * rows + OTHER;
}

function wholePanels(vectors: number): number {
  return PANEL * Math.ceil(vectors / PANEL);
}

function amount(bytes: number): string {
  return bytes < 2 ** 30 ? `${Math.ceil(bytes / 2 ** 20)} MiB` : `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
