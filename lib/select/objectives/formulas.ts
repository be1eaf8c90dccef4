/** Every objective as its formula says, in float64, one call for one set: the reference that the engine is held against. */
import type { EmbeddingMatrix } from '../../matrix.js';
import type { PlannedPart } from './plan.js';

/** f(S) of a set of rows. */
export type SetFunction = (set: readonly number[]) => number;

type Row = ArrayLike<number>;

const rowsOf = ({ data, rows, cols }: EmbeddingMatrix): Row[] =>
  Array.from({ length: rows }, (_, i) => data.subarray(i * cols, (i + 1) * cols));

function squaredDistance(x: Row, y: Row): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += (x[j]! - y[j]!) ** 2;
  return sum;
}

function cosine(x: Row, y: Row): number {
  let xy = 0;
  let xx = 0;
  let yy = 0;
  for (let j = 0; j < x.length; j++) {
    xy += x[j]! * y[j]!;
    xx += x[j]! ** 2;
    yy += y[j]! ** 2;
  }
  return xx > 0 && yy > 0 ? xy / (Math.sqrt(xx) * Math.sqrt(yy)) : 0;
}

/** 1 / sum of the columns' variances, 1 where they are all equal. */
export function defaultGamma(rows: readonly Row[]): number {
  const cols = rows[0]!.length;
  let sum = 0;
  for (let j = 0; j < cols; j++) {
    const mean = sumOf(rows, (row) => row[j]!) / rows.length;
    sum += sumOf(rows, (row) => (row[j]! - mean) ** 2) / rows.length;
  }
  return sum > 0 ? 1 / sum : 1;
}

function sumOf<T>(list: Iterable<T>, term: (item: T, index: number) => number): number {
  let sum = 0;
  let index = 0;
  for (const item of list) sum += term(item, index++);
  return sum;
}

const most = (values: readonly number[]) => values.reduce((a, b) => Math.max(a, b), 0);

/** log det of a symmetric positive definite matrix, by elimination. */
function logDet(matrix: number[][]): number {
  const a = matrix.map((row) => [...row]);
  return sumOf(a, (pivot, k) => {
    for (let i = k + 1; i < a.length; i++) {
      const factor = a[i]![k]! / pivot[k]!;
      for (let j = k; j < a.length; j++) a[i]![j]! -= factor * pivot[j]!;
    }
    return Math.log(pivot[k]!);
  });
}

/** A^-1 B by Gauss-Jordan with pivoting. */
function solve(a: number[][], b: number[][]): number[][] {
  const n = a.length;
  const rows = a.map((row, i) => [...row, ...b[i]!]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j < rows[i]!.length; j++) rows[i]![j]! -= factor * rows[k]![j]!;
    }
  }
  return rows.map((row, k) => row.slice(n).map((value) => value / row[k]!));
}

/** The function of one part. `x` has N rows; `examples` are the rows of Q or P. */
export function setFunction(part: PlannedPart, x: EmbeddingMatrix, examples: EmbeddingMatrix | undefined): SetFunction {
  const { name, lambda, eta, nu, ridge, alpha } = part;
  if (name === 'set-cover' || name === 'probabilistic-set-cover' || name === 'feature-based')
    return overColumns(part, x);

  const V = rowsOf(x);
  const E = examples ? rowsOf(examples) : [];
  const gamma = part.gamma ?? (part.similarity === 'rbf' ? defaultGamma(V) : 1);
  const s = (a: Row, b: Row) =>
    part.similarity === 'rbf' ? Math.exp(-gamma * squaredDistance(a, b)) : (1 + cosine(a, b)) / 2;
  const distance = (i: number, j: number) => Math.sqrt(squaredDistance(V[i]!, V[j]!));
  const table = V.map((a) => V.map((b) => s(a, b)));
  const total = table.map((row) => sumOf(row, (value) => value));
  const toExamples = V.map((a) => E.map((b) => s(a, b)));
  const nearest = (row: readonly number[], set: readonly number[]) => most(set.map((j) => row[j]!));
  const pairs = (set: readonly number[], term: (i: number, j: number) => number) =>
    sumOf(set, (i) => sumOf(set, (j) => term(i, j)));
  const graphCut: SetFunction = (set) => sumOf(set, (j) => total[j]!) - lambda * pairs(set, (i, j) => table[i]![j]!);
  const raised = (rows: readonly Row[]) => rows.map((a, i) => rows.map((b, j) => s(a, b) + (i === j ? ridge : 0)));
  const logDeterminant: SetFunction = (set) => logDet(raised(set.map((i) => V[i]!)));
  /** log det(K_S - scale^2 K_SE K_E^-1 K_ES) */
  const conditional = (scale: number): SetFunction => {
    const across = E.map((_, e) => toExamples.map((row) => row[e]!));
    const explained = solve(raised(E), across); // K_E^-1 K_EV
    return (set) =>
      logDet(
        raised(set.map((i) => V[i]!)).map((row, a) =>
          row.map(
            (value, b) => value - scale ** 2 * sumOf(E, (_, e) => across[e]![set[a]!]! * explained[e]![set[b]!]!),
          ),
        ),
      );
  };

  switch (name) {
    case 'graph-cut':
      return graphCut;
    case 'graph-cut-cg':
      return (set) => graphCut(set) - 2 * lambda * nu * sumOf(set, (i) => sumOf(toExamples[i]!, (value) => value));
    case 'graph-cut-mi':
      return (set) => 2 * lambda * sumOf(set, (i) => sumOf(toExamples[i]!, (value) => value));
    case 'squared-distance': {
      const squares = V.map((a) => V.map((b) => squaredDistance(a, b)));
      return (set) => pairs(set, (i, j) => squares[i]![j]!) - sumOf(set, (i) => sumOf(squares[i]!, (value) => value));
    }
    case 'facility-location': {
      const kept = part.neighbours > 0 ? table.map((row) => keepLargest(row, part.neighbours)) : table;
      return (set) => sumOf(kept, (row) => nearest(row, set));
    }
    case 'facility-location-mi':
      return (set) => sumOf(table, (row, i) => Math.min(nearest(row, set), eta * most(toExamples[i]!)));
    case 'facility-location-cg':
      return (set) => sumOf(table, (row, i) => Math.max(nearest(row, set) - nu * most(toExamples[i]!), 0));
    case 'facility-location-query-mi':
      return (set) =>
        sumOf(E, (_, e) => most(set.map((j) => toExamples[j]![e]!))) + eta * sumOf(set, (j) => most(toExamples[j]!));
    case 'k-center':
      return (set) =>
        set.length === 0
          ? 0
          : -most(V.map((_, i) => set.reduce((near, j) => Math.min(near, distance(i, j)), Infinity)));
    case 'disparity-sum':
      return (set) => pairs(set, distance) / 2;
    case 'disparity-min':
      return (set) => {
        let least = set.length < 2 ? 0 : Infinity;
        set.forEach((i, a) => {
          for (const j of set.slice(0, a)) least = Math.min(least, distance(i, j));
        });
        return least;
      };
    case 'saturated-coverage':
      return (set) =>
        sumOf(table, (row, i) =>
          Math.min(
            sumOf(set, (j) => row[j]!),
            alpha * total[i]!,
          ),
        );
    case 'log-determinant':
      return logDeterminant;
    case 'log-determinant-cg':
      return conditional(nu);
    case 'log-determinant-mi': {
      const rest = conditional(eta);
      return (set) => logDeterminant(set) - rest(set);
    }
  }
}

/** The k largest values, the lowest index on ties; 0 for the others. */
function keepLargest(row: readonly number[], k: number): number[] {
  const order = [...row.keys()].sort((a, b) => row[b]! - row[a]! || a - b);
  const kept = new Set(order.slice(0, k));
  return row.map((value, j) => (kept.has(j) ? value : 0));
}

/** Set cover, probabilistic set cover and feature-based: sum_c w_c of a function of the entries of S in column c. */
function overColumns({ name, entries, weights, concave }: PlannedPart, x: EmbeddingMatrix): SetFunction {
  const list = (row: number): [number, number][] => {
    if (!entries) return Array.from({ length: x.cols }, (_, j) => [j, x.data[row * x.cols + j]!]);
    const { offsets, indices, values } = entries;
    return Array.from({ length: offsets[row + 1]! - offsets[row]! }, (_, e) => {
      const at = offsets[row]! + e;
      return [indices[at]!, values[at]!];
    });
  };
  const g = { sqrt: Math.sqrt, log: Math.log1p, inverse: (t: number) => t / (1 + t) }[concave];
  const column = (values: readonly number[]) => {
    if (name === 'set-cover') return values.some((value) => value > 0) ? 1 : 0;
    if (name === 'probabilistic-set-cover') return 1 - values.reduce((missed, p) => missed * (1 - p), 1);
    return g(sumOf(values, (value) => value));
  };
  return (set) => {
    const columns = new Map<number, number[]>();
    for (const row of set) {
      for (const [c, value] of list(row)) columns.set(c, [...(columns.get(c) ?? []), value]);
    }
    return sumOf([...columns], ([c, values]) => weights![c]! * column(values));
  };
}
