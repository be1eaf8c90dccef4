/** The second half of a selection: bins -> coreset, by a seeded uniform draw. */
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { atOnce, STEP, type Steps } from '../steps.js';
import { quotasInSteps, type Share } from './quotas.js';
import { below, stream } from './random.js';
import type { Partition, Selection } from './types.js';

export interface DrawOptions {
  /** Size of the coreset: see `parseBudget`. */
  budget: number | string;
  /** Integer >= 0; 0 if not given. */
  seed?: number | undefined;
  /** Rows that must be in the coreset. They count towards the budget, and towards the quota of their bin. */
  include?: ArrayLike<number> | undefined;
  /** Rows that must not be in it. */
  exclude?: ArrayLike<number> | undefined;
  /**
   * How much each bin gives: in proportion to its size (the default), or `equal`: as many from each, in turns, while it
   * has rows.
   */
  quota?: 'proportional' | 'equal' | undefined;
}

/** Draw options, checked against N rows. */
export interface DrawPlan {
  readonly budgetCount: number;
  readonly seed: number;
  /** uint8 [N]: FREE, INCLUDED or EXCLUDED. */
  readonly marks: Uint8Array;
}

const FREE = 0;
export const INCLUDED = 1;
export const EXCLUDED = 2;
const DRAWN = 3;

/**
 * Number of rows that a budget means for N rows.
 *
 * - number below 1: a fraction of N, rounded to the nearest whole row, at least one row;
 * - integer from 1 to N: that many rows (so 1 is one row; all rows are N or `'100%'`);
 * - text: either of these, or a percentage like `'20%'`.
 *
 * @throws {TypeError} or {RangeError} for anything else, with the range in the message.
 */
export function parseBudget(budget: number | string, rows: number): number {
  const expected = `a fraction in (0, 1), a percentage up to "100%" or a whole number of rows in 1..${rows}`;
  if (typeof budget !== 'number' && typeof budget !== 'string') throw wrongType('budget', expected, budget);
  const percentage = typeof budget === 'string' && /^(.*\S)\s*%\s*$/.exec(budget)?.[1];
  const value = percentage ? decimal(percentage) / 100 : typeof budget === 'string' ? decimal(budget) : budget;
  if (percentage ? value > 0 && value <= 1 : value > 0 && value < 1) return Math.max(1, Math.round(value * rows));
  if (!percentage && Number.isInteger(value) && value >= 1 && value <= rows) return value;
  throw outOfRange('budget', expected, budget);
}

/** What `Number` reads, without its hexadecimal and empty forms. */
function decimal(text: string): number {
  return /^\s*\d*\.?\d*(e[-+]?\d+)?\s*$/i.test(text) && /\d/.test(text) ? Number(text) : Number.NaN;
}

/**
 * Checks draw options against the number of rows.
 * @throws {TypeError} or {RangeError}: bad budget or seed; a row that is unknown, listed twice, or both included and
 * excluded; more rows to include than the budget, or fewer left than it.
 */
export function planDraw(options: DrawOptions, rows: number): DrawPlan {
  const budgetCount = parseBudget(options.budget, rows);
  const seed = integer('seed', options.seed ?? 0, 0);
  const marks = new Uint8Array(rows);
  const included = mark(marks, 'include', options.include ?? [], INCLUDED);
  const excluded = mark(marks, 'exclude', options.exclude ?? [], EXCLUDED);
  if (included > budgetCount) {
    throw outOfRange('include', `at most as many rows as the budget (${budgetCount})`, `${included} rows`);
  }
  if (rows - excluded < budgetCount) throw tooFew(budgetCount, rows - excluded, 'are not excluded');
  return { budgetCount, seed, marks };
}

function mark(marks: Uint8Array, name: 'include' | 'exclude', list: ArrayLike<number>, as: number): number {
  if (typeof list !== 'object' || list === null || typeof list.length !== 'number') {
    throw wrongType(name, 'a list of row numbers', list);
  }
  for (let i = 0; i < list.length; i++) {
    const row = integer(`${name}[${i}]`, list[i], 0, marks.length - 1);
    if (marks[row] === as) throw outOfRange(`${name}[${i}]`, 'a row that is not in the list before', row);
    if (marks[row] !== FREE) throw outOfRange(`${name}[${i}]`, 'a row that is not in `include` as well', row);
    marks[row] = as;
  }
  return list.length;
}

function tooFew(budgetCount: number, available: number, which: string): RangeError {
  return outOfRange('budget', `at most ${available}, the number of rows that ${which}`, budgetCount);
}

/**
 * Draws a coreset from the bins, without replacement: each bin gives rows in proportion to its size (see `quotas`),
 * chosen uniformly among those that are not excluded. (The reference implementation takes floor(floor(N * ratio) / m)
 * of each bin, which is the same where m divides both the budget and N.)
 *
 * The same partition, seed and options give the same rows for ever. Every bin has its own stream of random numbers and
 * a random order of its own, whose first rows are taken: another bin, or the exclusion of a row that was not drawn,
 * changes nothing in it while its quota stays.
 *
 * Rows that `remainder: 'drop'` left out of the bins are drawn only if they are to be included.
 *
 * On the calling thread, about 45 ns for each of the N rows; `select` gives way to the event loop meanwhile.
 *
 * @throws {TypeError} or {RangeError} as `planDraw` does, and if the bins have fewer rows than the budget.
 */
export function draw(partition: Partition, options: DrawOptions): Selection {
  return atOnce(drawInSteps(partition, options));
}

/** `draw`, with pauses. */
export function* drawInSteps(partition: Partition, options: DrawOptions): Steps<Selection> {
  const { bins, order, binCount } = partition;
  const { budgetCount, seed, marks } = planDraw(options, bins.length);
  if (options.quota !== undefined) oneOf('quota', options.quota, ['proportional', 'equal']);

  const shares: { -readonly [K in keyof Share]: Share[K] }[] = [];
  for (let bin = 0; bin < binCount; bin++) shares.push({ size: 0, low: 0, high: 0 });
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    const share = shares[bins[row]!]!;
    share.size++;
    if (marks[row] === INCLUDED) share.low++;
    if (marks[row] !== EXCLUDED) share.high++;
    if (i % STEP === STEP - 1) yield;
  }
  const outside: number[] = [];
  if (order.length < bins.length) {
    bins.forEach((bin, row) => {
      if (bin < 0 && marks[row] === INCLUDED) outside.push(row);
    });
  }

  const available = shares.reduce((sum, { high }) => sum + high, outside.length);
  if (available < budgetCount) throw tooFew(budgetCount, available, 'are in a bin and not excluded');

  // Bins of one size give equal parts: `quotas` looks at `size` for nothing else.
  const equal = options.quota === 'equal';
  const given = equal ? shares.map((share) => ({ ...share, size: 1 })) : shares;
  let start = 0;
  const parts = yield* quotasInSteps(budgetCount - outside.length, given);
  for (const [bin, quota] of parts.entries()) {
    const { size, low } = shares[bin]!;
    yield* drawFrom(order.slice(start, start + size), quota - low, marks, seed, bin);
    start += size;
    if (bin % 64 === 63) yield;
  }

  const rows = new Int32Array(budgetCount);
  let count = 0;
  for (let i = 0; i < order.length; i++) {
    const row = order[i]!;
    if (marks[row] === INCLUDED || marks[row] === DRAWN) rows[count++] = row;
    if (i % STEP === STEP - 1) yield;
  }
  rows.set(outside, count);
  return { partition, rows, seed };
}

/** Fisher-Yates from the front, no further than needed: a uniform random order of `rows`, of which free ones are taken. */
function* drawFrom(rows: Int32Array, wanted: number, marks: Uint8Array, seed: number, bin: number): Steps<void> {
  const words = stream(seed, bin);
  for (let i = 0; wanted > 0; i++) {
    if (i % STEP === STEP - 1) yield;
    const j = i + below(words, rows.length - i);
    const row = rows[j]!;
    rows[j] = rows[i]!;
    if (marks[row] !== FREE) continue;
    marks[row] = DRAWN;
    wanted--;
  }
}
