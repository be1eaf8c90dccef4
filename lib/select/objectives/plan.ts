/** From the options of `maximize` to a plan in which everything is checked and every default filled in. */
import { isFloat64Array } from 'node:util/types';
import { integer, oneOf, outOfRange, wrongType } from '../../check.js';
import { checkFinite } from '../../formats/finite.js';
import type { EmbeddingMatrix } from '../../matrix.js';
import { checkMatrix } from '../bins.js';
import { parseBudget } from '../draw.js';
import { checkSparse, sparseEntries } from './sparse.js';
import {
  type Examples,
  type Mixture,
  OBJECTIVES,
  type Objective,
  type ObjectiveName,
  OPTIMIZERS,
  type Optimizer,
  SIMILARITIES,
  type Similarity,
  type SparseEntries,
  type SparseRows,
} from './types.js';

/** One objective of a mixture. Parameters that it does not have are at their defaults, and not read. */
export interface PlannedPart {
  name: ObjectiveName;
  weight: number;
  similarity: Similarity;
  gamma: number | undefined;
  lambda: number;
  eta: number;
  nu: number;
  ridge: number;
  alpha: number;
  /** 0 = all. */
  neighbours: number;
  concave: 'sqrt' | 'log' | 'inverse';
  /** Query or private set. Rows by number are looked up when the matrix is ready. */
  examples: Examples | undefined;
  /** Sparse rows with values. */
  entries: SparseEntries | undefined;
  /** Of the columns. */
  weights: Float64Array | undefined;
}

export interface Plan {
  /** The embeddings; undefined where the first argument is sparse. */
  matrix: EmbeddingMatrix | undefined;
  rows: number;
  cols: number;
  parts: PlannedPart[];
  optimizer: Optimizer;
  /** Rows in all; N where `costs` or the bidirectional optimizer decide. */
  budgetCount: number;
  costs: Float64Array | undefined;
  maxCost: number;
  /** uint8 [N]: 1 = may be chosen. */
  allowed: Uint8Array;
  initial: Int32Array;
  /** sqrt(weight) of each column. */
  scale: Float64Array | undefined;
  seed: number;
  epsilon: number;
}

/** What to maximise, by which optimizer, and within which limits. */
export interface PlanOptions {
  objective: Objective | Mixture;
  /** The fastest exact one if not given: `lazy` where it is exact and saves work, else `naive`. */
  optimizer?: Optimizer | undefined;
  /** How many rows, those of `initialSelection` and `include` among them: see `parseBudget`. Exactly as many are selected. */
  budget?: number | string | undefined;
  /** Instead of `budget`: what the selected rows may cost in total, in the unit of `costs`. */
  maxCost?: number | undefined;
  /** float64 [N], > 0: cost of each row. */
  costs?: ArrayLike<number> | undefined;
  /** Rows of an earlier selection in their order: the result starts with them and goes on from there. */
  initialSelection?: ArrayLike<number> | undefined;
  /** Rows that must be selected; they follow `initialSelection`. */
  include?: ArrayLike<number> | undefined;
  /** Rows that must not be selected. They still count as points to represent. */
  exclude?: ArrayLike<number> | undefined;
  /** Weight of each group of columns, all columns covered in order: the columns are multiplied by sqrt(weight). */
  modalities?: readonly { readonly cols: number; readonly weight: number }[] | undefined;
  /** Of `stochastic` and `bidirectional`: integer >= 0; 0 if not given. */
  seed?: number | undefined;
  /** Of `stochastic`: 0 < epsilon < 1, 0.1 if not given. Each step looks at N / budget * ln(1 / epsilon) random rows. */
  epsilon?: number | undefined;
}

const isSparse = (value: unknown): value is SparseRows =>
  typeof value === 'object' && value !== null && 'offsets' in value;

/** @throws {TypeError} or {RangeError} for a bad argument, {DataError} for examples that are not finite. */
export function plan(embeddings: EmbeddingMatrix | SparseRows, options: PlanOptions): Plan {
  const sparse = isSparse(embeddings) ? embeddings : undefined;
  const matrix = isSparse(embeddings) ? undefined : embeddings;
  if (sparse) checkSparse('embeddings', sparse);
  else checkMatrix(matrix!);
  const { rows } = embeddings;
  const cols = matrix?.cols ?? 0;

  const parts = mixture(options.objective).map(({ weight, objective }, k) => {
    const at = Array.isArray(options.objective) ? `objective[${k}].objective` : 'objective';
    return { ...part(at, objective, { rows, matrix, sparse }), weight };
  });
  const optimizer = optimizerOf(options.optimizer, parts);
  const { allowed, initial } = choices(options, parts, rows);
  const available = allowed.reduce((sum, one) => sum + one, 0);
  const { budgetCount, costs, maxCost } = limits(options, optimizer, parts, { rows, available, allowed, initial });
  const epsilon = number('epsilon', options.epsilon ?? 0.1, 'a number between 0 and 1', (x) => x > 0 && x < 1);
  const seed = integer('seed', options.seed ?? 0, 0);
  const scale = options.modalities && scaleOf(options.modalities, cols);
  return { matrix, rows, cols, parts, optimizer, budgetCount, costs, maxCost, allowed, initial, scale, seed, epsilon };
}

function number(name: string, value: unknown, expected: string, holds: (value: number) => boolean): number {
  if (typeof value !== 'number') throw wrongType(name, expected, value);
  if (!Number.isFinite(value) || !holds(value)) throw outOfRange(name, expected, value);
  return value;
}

function mixture(objective: Objective | Mixture): { weight: number; objective: Objective }[] {
  if (!Array.isArray(objective)) return [{ weight: 1, objective: objective as Objective }];
  if (objective.length === 0) throw outOfRange('objective', 'an objective or a list of at least one', 'an empty list');
  return (objective as Mixture).map((entry, k) => {
    if (typeof entry !== 'object' || entry === null || !('objective' in entry)) {
      throw wrongType(`objective[${k}]`, '{ weight, objective }', entry);
    }
    const weight = number(`objective[${k}].weight`, entry.weight, 'a number > 0', (x) => x > 0);
    if (entry.objective?.name === 'k-center') {
      const expected = 'an objective whose gains can be added up (k-center only counts alone)';
      throw outOfRange(`objective[${k}].objective.name`, expected, 'k-center');
    }
    return { weight, objective: entry.objective };
  });
}

interface Ground {
  rows: number;
  matrix: EmbeddingMatrix | undefined;
  sparse: SparseRows | undefined;
}

function part(at: string, objective: Objective, { rows, matrix, sparse }: Ground): Omit<PlannedPart, 'weight'> {
  if (typeof objective !== 'object' || objective === null) throw wrongType(at, 'an object with a name', objective);
  const names = Object.keys(OBJECTIVES) as ObjectiveName[];
  const name = oneOf(`${at}.name`, objective.name, names);
  const { parameters } = OBJECTIVES[name];
  for (const key of Object.keys(objective)) {
    if (key === 'name' || (parameters as readonly string[]).includes(key)) continue;
    const known = parameters.length > 0 ? `one of the parameters of ${name}: ${parameters.join(', ')}` : 'left out';
    throw outOfRange(`${at}.${key}`, known, 'unknown');
  }
  const given = objective as unknown as Record<string, unknown>;
  const nonnegative = (key: string, most = Number.POSITIVE_INFINITY) => {
    const expected = most === 1 ? 'a number in [0, 1]' : 'a number >= 0';
    return number(`${at}.${key}`, given[key] ?? 1, expected, (x) => x >= 0 && x <= most);
  };
  const most = name.startsWith('log-determinant') ? 1 : undefined;

  const columns = parameters.includes('concepts') || parameters.includes('features');
  const lists = columns ? entriesOf(at, name, given, { rows, matrix, sparse }) : undefined;
  if (!columns && matrix === undefined) {
    throw outOfRange(`${at}.name`, 'an objective over sparse rows, as `embeddings` is sparse', name);
  }
  const key = parameters.includes('query') ? 'query' : parameters.includes('private') ? 'private' : undefined;
  return {
    name,
    similarity: oneOf(`${at}.similarity`, given.similarity ?? 'cosine', SIMILARITIES),
    gamma: given.gamma === undefined ? undefined : number(`${at}.gamma`, given.gamma, 'a number > 0', (x) => x > 0),
    lambda: nonnegative('lambda'),
    eta: nonnegative('eta', most),
    nu: nonnegative('nu', most),
    ridge: number(`${at}.ridge`, given.ridge ?? 1, 'a number > 0', (x) => x > 0),
    alpha: number(`${at}.alpha`, given.alpha ?? 0.1, 'a number above 0, up to 1', (x) => x > 0 && x <= 1),
    neighbours: given.neighbours === undefined ? 0 : integer(`${at}.neighbours`, given.neighbours, 1, rows),
    concave: oneOf(`${at}.concave`, given.concave ?? 'sqrt', ['sqrt', 'log', 'inverse']),
    examples: key && examplesOf(`${at}.${key}`, given[key], matrix!),
    entries: lists?.entries,
    weights: lists?.weights,
  };
}

function entriesOf(at: string, name: ObjectiveName, given: Record<string, unknown>, ground: Ground) {
  const { rows, matrix, sparse } = ground;
  const key = name === 'feature-based' ? 'features' : 'concepts';
  const own = given[key] as SparseRows | undefined;
  if (own !== undefined) checkSparse(`${at}.${key}`, own);
  const source = own ?? sparse;
  if (!source && name !== 'feature-based') throw wrongType(`${at}.concepts`, 'the sparse rows of concepts', own);
  if (source && source.rows !== rows) throw outOfRange(`${at}.${key}.rows`, `${rows}, as embeddings has`, source.rows);
  const entries = source && sparseEntries(own ? `${at}.${key}` : 'embeddings', source, name);
  const cols = source?.cols ?? matrix!.cols;
  const weights = (given.weights as ArrayLike<number> | undefined) ?? new Float64Array(cols).fill(1);
  const checked = numbers(`${at}.weights`, weights, cols, 'a number >= 0', (x) => x >= 0);
  return { entries, weights: checked };
}

/** A float64 copy of a list of numbers, each checked. */
function numbers(
  name: string,
  list: ArrayLike<number>,
  length: number,
  expected: string,
  holds: (value: number) => boolean,
): Float64Array {
  if (typeof list !== 'object' || list === null || typeof list.length !== 'number') {
    throw wrongType(name, `a list of ${length} numbers`, list);
  }
  if (list.length !== length) throw outOfRange(`${name}.length`, `${length}`, list.length);
  const out = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const value = list[i]!;
    out[i] =
      typeof value === 'number' && Number.isFinite(value) && holds(value)
        ? value
        : number(`${name}[${i}]`, value, expected, holds);
  }
  return out;
}

function examplesOf(name: string, value: unknown, matrix: EmbeddingMatrix): Examples {
  if (typeof value !== 'object' || value === null) {
    throw wrongType(name, 'an EmbeddingMatrix or a list of row numbers', value);
  }
  if (!('data' in value)) {
    const list = value as ArrayLike<number>;
    if (typeof list.length !== 'number') throw wrongType(name, 'an EmbeddingMatrix or a list of row numbers', value);
    if (list.length === 0) throw outOfRange(name, 'at least one row', 'empty');
    for (let i = 0; i < list.length; i++) integer(`${name}[${i}]`, list[i], 0, matrix.rows - 1);
    return list;
  }
  const examples = value as EmbeddingMatrix;
  try {
    checkMatrix(examples);
  } catch (error) {
    throw Object.assign(error as Error, { message: (error as Error).message.replaceAll('embeddings', name) });
  }
  if (examples.cols !== matrix.cols) {
    throw outOfRange(`${name}.cols`, `${matrix.cols}, as embeddings has`, examples.cols);
  }
  checkFinite(examples.data, examples.cols, `\`${name}\``);
  return examples;
}

/** The rows of Q or P, of the type and scale of the prepared embeddings. */
export function gather(examples: Examples, data: Float32Array | Float64Array, cols: number, scale?: Float64Array) {
  const own = 'data' in examples;
  const rows = own ? examples.rows : examples.length;
  const memory = new SharedArrayBuffer(rows * cols * data.BYTES_PER_ELEMENT);
  const out = isFloat64Array(data) ? new Float64Array(memory) : new Float32Array(memory);
  for (let i = 0; i < rows; i++) {
    const from = own ? i * cols : examples[i]! * cols;
    for (let j = 0; j < cols; j++) {
      out[i * cols + j] = own ? examples.data[from + j]! * (scale ? scale[j]! : 1) : data[from + j]!;
    }
  }
  return { data: out, rows, cols };
}

function optimizerOf(given: Optimizer | undefined, parts: PlannedPart[]): Optimizer {
  const unfit = parts.find(({ name }) => !OBJECTIVES[name].submodular)?.name;
  const kept = parts.every(({ name }) => OBJECTIVES[name].kept);
  const optimizer = oneOf('optimizer', given ?? (unfit || kept ? 'naive' : 'lazy'), OPTIMIZERS);
  if (optimizer === 'lazy' && unfit) {
    throw outOfRange(
      'optimizer',
      `naive or stochastic, as ${unfit} is not submodular and lazy would miss rows`,
      optimizer,
    );
  }
  const cut = parts.length === 1 && ['graph-cut', 'graph-cut-cg'].includes(parts[0]!.name) && parts[0]!.weight === 1;
  if (optimizer === 'bidirectional' && !cut) {
    const expected = 'naive, lazy or stochastic, as bidirectional needs graph-cut or graph-cut-cg alone';
    throw outOfRange('optimizer', expected, optimizer);
  }
  return optimizer;
}

/** What is chosen at the start and what may be chosen. */
function choices(options: PlanOptions, parts: PlannedPart[], rows: number) {
  const allowed = new Uint8Array(rows).fill(1);
  const rowsOf = (name: string, list: ArrayLike<number> = [], body: (row: number, at: string) => void) => {
    if (typeof list !== 'object' || list === null || typeof list.length !== 'number') {
      throw wrongType(name, 'a list of row numbers', list);
    }
    const seen = new Set<number>();
    for (let i = 0; i < list.length; i++) {
      const at = `${name}[${i}]`;
      const row = integer(at, list[i], 0, rows - 1);
      if (seen.has(row)) throw outOfRange(at, 'a row that is not in the list before', row);
      seen.add(row);
      body(row, at);
    }
  };
  rowsOf('exclude', options.exclude, (row) => {
    allowed[row] = 0;
  });
  for (const { name, examples } of parts) {
    if (!OBJECTIVES[name].parameters.includes('private') || !examples || 'data' in examples) continue;
    for (let i = 0; i < examples.length; i++) allowed[examples[i]!] = 0;
  }
  const initial = new Set<number>();
  for (const name of ['initialSelection', 'include'] as const) {
    rowsOf(name, options[name], (row, at) => {
      if (allowed[row] === 0) throw outOfRange(at, 'a row that is neither in `exclude` nor in `private`', row);
      initial.add(row);
    });
  }
  return { allowed, initial: Int32Array.from(initial) };
}

interface Room {
  rows: number;
  available: number;
  allowed: Uint8Array;
  initial: Int32Array;
}

function limits(options: PlanOptions, optimizer: Optimizer, parts: PlannedPart[], room: Room) {
  const { rows, available, allowed, initial } = room;
  const { budget, maxCost } = options;
  const none = { budgetCount: available, costs: undefined, maxCost: 0 };
  if (optimizer === 'bidirectional') {
    if (budget === undefined && maxCost === undefined) return none;
    const expected = 'left out, as the bidirectional optimizer decides how many rows to select';
    throw outOfRange(budget === undefined ? 'maxCost' : 'budget', expected, budget ?? maxCost);
  }
  if (maxCost === undefined) {
    if (options.costs !== undefined) throw wrongType('maxCost', 'given where `costs` is', maxCost);
    if (budget === undefined) throw wrongType('budget', 'given, or else `maxCost`', budget);
    const budgetCount = parseBudget(budget, rows);
    if (budgetCount > available) {
      throw outOfRange('budget', `at most ${available}, the number of rows that may be selected`, budgetCount);
    }
    if (initial.length > budgetCount) {
      const expected = `at most as many rows as the budget (${budgetCount}), with those of \`include\``;
      throw outOfRange('initialSelection', expected, `${initial.length} rows`);
    }
    return { ...none, budgetCount };
  }
  if (budget !== undefined) throw outOfRange('budget', 'left out where `maxCost` is given', budget);
  number('maxCost', maxCost, 'a number > 0', (x) => x > 0);
  const costs = numbers('costs', options.costs as ArrayLike<number>, rows, 'a number > 0', (x) => x > 0);
  const unfit = parts.find(({ name }) => !OBJECTIVES[name].submodular)?.name;
  if (unfit) throw outOfRange('objective', 'submodular where `maxCost` is given', unfit);
  if (optimizer === 'stochastic') throw outOfRange('optimizer', 'naive or lazy where `maxCost` is given', optimizer);
  const spent = initial.reduce((sum, row) => sum + costs[row]!, 0);
  if (spent > maxCost) {
    throw outOfRange('maxCost', `at least ${spent}, the cost of initialSelection and include`, maxCost);
  }
  const cheapest = costs.reduce((least, cost, row) => (allowed[row] ? Math.min(least, cost) : least), Infinity);
  if (initial.length === 0 && cheapest > maxCost) {
    throw outOfRange('maxCost', `at least ${cheapest}, the cost of the cheapest row`, maxCost);
  }
  return { ...none, costs, maxCost };
}

function scaleOf(modalities: NonNullable<PlanOptions['modalities']>, cols: number): Float64Array {
  if (!Array.isArray(modalities)) throw wrongType('modalities', 'a list of { cols, weight }', modalities);
  const scale = new Float64Array(cols);
  let from = 0;
  for (const [k, group] of modalities.entries()) {
    const width = integer(`modalities[${k}].cols`, group?.cols, 1, Math.max(1, cols - from));
    const weight = number(`modalities[${k}].weight`, group.weight, 'a number >= 0', (x) => x >= 0);
    if (from + width > cols) break;
    scale.fill(Math.sqrt(weight), from, from + width);
    from += width;
  }
  const sum = modalities.reduce((all, { cols: width }) => all + width, 0);
  if (sum !== cols) throw outOfRange('modalities', `groups of ${cols} columns in all, as embeddings has`, sum);
  return scale;
}
