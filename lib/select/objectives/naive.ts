/** The brute-force twin of `maximize`: every gain is f(S + x) - f(S), both from the formula. */
import { DataError } from '../../errors.js';
import { checkFinite } from '../../formats/finite.js';
import type { EmbeddingMatrix } from '../../matrix.js';
import type { Maximization, MaximizeOptions } from '../maximize.js';
import { below, stream } from '../random.js';
import { type SetFunction, setFunction } from './formulas.js';
import { gather, type Plan, plan } from './plan.js';
import type { SparseRows } from './types.js';

/**
 * What `maximize` computes, straight from the formulas in float64 on the calling thread, for a few hundred rows at most.
 * Equal to it wherever float64 (for facility location and saturated coverage, float32) can tell the best two gains of each
 * step apart. `lazy` is computed as `naive`; `stochastic` and `bidirectional` draw the same random numbers.
 * @throws {TypeError}, {RangeError} or {DataError} as `maximize` does.
 */
export function naiveMaximize(embeddings: EmbeddingMatrix | SparseRows, options: MaximizeOptions): Maximization {
  const started = performance.now();
  const planned = plan(embeddings, options);
  const matrix = planned.matrix
    ? scaled(planned.matrix, planned.scale)
    : { data: new Float64Array(), rows: 0, cols: 0 };
  checkFinite(matrix.data, Math.max(1, matrix.cols), 'The embedding matrix');
  const parts = planned.parts.map((part) => {
    if (part.name === 'feature-based' && !part.entries) checkNonnegative(matrix);
    const examples = part.examples && gather(part.examples, matrix.data, matrix.cols, planned.scale);
    return { weight: part.weight, f: setFunction(part, matrix, examples) };
  });
  const f: SetFunction = (set) => parts.reduce((sum, { weight, f: one }) => sum + weight * one(set), 0);

  const { optimizer } = planned;
  const search = new Search(planned, f, planned.parts[0]!.name === 'k-center' ? distances(matrix) : undefined);
  let found: Found;
  if (optimizer === 'bidirectional') found = search.bidirectional();
  else if (planned.costs) found = better(search.greedy(true), search.greedy(false));
  else found = search.greedy(false);
  return {
    rows: Int32Array.from(found.rows),
    gains: Float64Array.from(found.gains),
    value: f(found.rows),
    evaluations: search.evaluations,
    engine: { optimizer, threads: 1, seconds: (performance.now() - started) / 1000, simd: 'scalar' },
  };
}

interface Found {
  rows: number[];
  gains: number[];
  value: number;
}

const better = (byRatio: Found, byGain: Found) => (byGain.value > byRatio.value ? byGain : byRatio);

class Search {
  evaluations = 0;

  constructor(
    readonly plan: Plan,
    readonly f: SetFunction,
    /** Gains of k-center, which are not those of f. */
    readonly ownGain: ((set: readonly number[], row: number) => number) | undefined,
  ) {}

  gain(set: readonly number[], row: number): number {
    this.evaluations++;
    return this.ownGain ? this.ownGain(set, row) : this.f([...set, row]) - this.f(set);
  }

  start(): Found {
    const found: Found = { rows: [], gains: [], value: 0 };
    for (const row of this.plan.initial) this.take(found, row, this.gain(found.rows, row));
    return found;
  }

  take(found: Found, row: number, gain: number): void {
    found.rows.push(row);
    found.gains.push(gain);
    found.value += gain;
  }

  free(): number[] {
    const { allowed, initial } = this.plan;
    return [...allowed.keys()].filter((row) => allowed[row] === 1 && !initial.includes(row));
  }

  greedy(byRatio: boolean): Found {
    const { costs, maxCost, optimizer, seed, epsilon, budgetCount } = this.plan;
    const found = this.start();
    let free = this.free();
    const sample = Math.ceil((free.length / Math.max(1, budgetCount - found.rows.length)) * Math.log(1 / epsilon));
    for (let step = 0; found.rows.length < budgetCount; step++) {
      const spent = costs ? found.rows.reduce((sum, row) => sum + costs[row]!, 0) : 0;
      if (costs) free = free.filter((row) => spent + costs[row]! <= maxCost);
      let looked = free;
      if (optimizer === 'stochastic') {
        const words = stream(seed, step);
        const count = Math.min(Math.max(1, sample), free.length);
        for (let i = 0; i < count; i++) {
          const j = i + below(words, free.length - i);
          [free[i], free[j]] = [free[j]!, free[i]!];
        }
        looked = free.slice(0, count);
      }
      let best = -1;
      let bestKey = -Infinity;
      let bestGain = 0;
      for (const row of looked) {
        const gain = this.gain(found.rows, row);
        const key = gain / (byRatio ? costs![row]! : 1);
        if (key < bestKey || (key === bestKey && row > best)) continue;
        [best, bestKey, bestGain] = [row, key, gain];
      }
      if (best < 0 || (costs && bestGain <= 0)) break;
      this.take(found, best, bestGain);
      free.splice(free.indexOf(best), 1);
    }
    return found;
  }

  bidirectional(): Found {
    const found = this.start();
    const keeps = new Set([...this.plan.initial, ...this.free()]); // Y
    const words = stream(this.plan.seed, 0);
    for (const row of this.free()) {
      const joins = this.gain(found.rows, row);
      const others = [...keeps].filter((other) => other !== row);
      const leaves = -this.gain(others, row);
      const up = Math.max(0, joins);
      const down = Math.max(0, leaves);
      const word = words() / 2 ** 32;
      if (up + down === 0 || word * (up + down) < up) this.take(found, row, joins);
      else keeps.delete(row);
    }
    return found;
  }
}

/** The distance of a row to the nearest of S, to the mean of all while S is empty. */
function distances({ data, rows, cols }: EmbeddingMatrix): (set: readonly number[], row: number) => number {
  const mean = new Float64Array(cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) mean[j]! += data[i * cols + j]! / rows;
  const to = (point: ArrayLike<number>, from: number, row: number) => {
    let sum = 0;
    for (let j = 0; j < cols; j++) sum += (point[from + j]! - data[row * cols + j]!) ** 2;
    return Math.sqrt(sum);
  };
  return (set, row) =>
    set.length === 0 ? to(mean, 0, row) : Math.min(...set.map((other) => to(data, other * cols, row)));
}

function scaled({ data, rows, cols }: EmbeddingMatrix, scale: Float64Array | undefined): EmbeddingMatrix {
  return { data: scale ? data.map((value, at) => value * scale[at % cols]!) : data, rows, cols };
}

function checkNonnegative({ data, cols }: EmbeddingMatrix): void {
  const at = data.findIndex((value) => value < 0);
  if (at < 0) return;
  throw new DataError(
    'ERR_NEGATIVE_FEATURE',
    `The embedding matrix has a negative value in row ${Math.floor(at / cols)}, column ${at % cols} (counted from 0). ` +
      'feature-based needs nonnegative features: shift, clip or square them.',
  );
}
