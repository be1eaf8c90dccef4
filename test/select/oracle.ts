/**
 * The definition of the order, in integers of any size: no rounding, no closed form, nothing shared with the engine.
 * Every float is an integer times a common power of two, so sums and products of pairs are exact.
 */
import type { EmbeddingMatrix } from '#lib/matrix.js';
import type { Gain, Remainder } from '#lib/select/types.js';

export interface OracleResult {
  order: number[];
  bins: number[];
  /** Gains in their own units: multiply by `unit` (cosine: only differences mean something). */
  gains: bigint[];
  unit: number;
  /** Steps whose best gain was shared by several rows. */
  ties: number;
}

export interface OracleOptions {
  bins: number;
  gain: Gain;
  remainder?: Remainder;
  /** Cosine of the real unit vectors, to 2^-200, instead of the stored ones. */
  realCosine?: boolean;
}

export function oracle(matrix: EmbeddingMatrix, options: OracleOptions): OracleResult {
  const { rows } = matrix;
  const { values, exponent } =
    options.gain === 'sqeuclidean'
      ? integers(matrix)
      : options.realCosine
        ? realUnitVectors(matrix)
        : storedUnitVectors(matrix);
  const pair = options.gain === 'sqeuclidean' ? squaredDistance : (a: bigint[], b: bigint[]) => -dot(a, b);
  const terms = values.map((a) => values.map((b) => pair(a, b)));

  const { bins: m, remainder = 'spread' } = options;
  const result: OracleResult = {
    order: [],
    bins: new Array<number>(rows).fill(-1),
    gains: [],
    unit: 2 ** (2 * exponent),
    ties: 0,
  };
  for (let bin = 0; bin < m; bin++) {
    const d = [...values.keys()].filter((row) => result.bins[row] === -1);
    const s = new Set<number>();
    const size = Math.floor(rows / m) + (remainder === 'spread' && bin < rows % m ? 1 : 0);
    while (s.size < size) {
      let best = -1;
      let bestGain = 0n;
      let sharing = 0;
      for (const x of d) {
        if (s.has(x)) continue;
        let gain = 0n;
        for (const p of d) gain += s.has(p) ? terms[x]![p]! : -terms[x]![p]!;
        if (best >= 0 && gain === bestGain) sharing++;
        if (best >= 0 && gain <= bestGain) continue;
        best = x;
        bestGain = gain;
        sharing = 0;
      }
      if (sharing > 0) result.ties++;
      s.add(best);
      result.order.push(best);
      result.gains.push(bestGain);
      result.bins[best] = bin;
    }
  }
  return result;
}

/** Exact values as integers times 2^exponent. */
function integers({ data, rows, cols }: EmbeddingMatrix): { values: bigint[][]; exponent: number } {
  const parts = Array.from(data, decompose);
  const exponent = parts.reduce(
    (lowest, part) => (part.mantissa === 0n ? lowest : Math.min(lowest, part.exponent)),
    2000,
  );
  const scaled = parts.map((part) => (part.mantissa === 0n ? 0n : part.mantissa << BigInt(part.exponent - exponent)));
  const values = Array.from({ length: rows }, (_, i) => scaled.slice(i * cols, (i + 1) * cols));
  return { values, exponent: exponent === 2000 ? 0 : exponent };
}

/** A double as mantissa * 2^exponent, from its bits. */
function decompose(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & ((1n << 52n) - 1n);
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  return { mantissa: bits >> 63n ? -mantissa : mantissa, exponent: Math.max(biased, 1) - 1075 };
}

/**
 * What the cosine gain is defined on: x / |x| in float64, where |x| is the root of the sum of squares in index order;
 * 0 for a zero row. A row whose squares could leave the range of float64 is first brought near 1 by a power of two.
 */
function storedUnitVectors({ data, rows, cols }: EmbeddingMatrix): { values: bigint[][]; exponent: number } {
  const unit = Float64Array.from(data);
  for (let i = 0; i < rows; i++) {
    const row = unit.subarray(i * cols, (i + 1) * cols);
    const largest = row.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (largest === 0) continue;
    const { mantissa, exponent } = decompose(largest);
    const power = exponent + mantissa.toString(2).length - 1;
    // In two steps, because 2^-power itself need not be a double.
    const half = Math.trunc(power / 2);
    const factors = Math.abs(power) >= 400 ? [2 ** -half, 2 ** (half - power)] : [];
    for (const factor of factors) for (let j = 0; j < cols; j++) row[j]! *= factor;
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let j = 0; j < cols; j++) row[j]! /= length;
  }
  return integers({ data: unit, rows, cols });
}

/** u = x / |x| to 200 bits by integer square roots. */
function realUnitVectors(matrix: EmbeddingMatrix): { values: bigint[][]; exponent: number } {
  const values = integers(matrix).values.map((x) => {
    const square = dot(x, x);
    if (square === 0n) return x;
    const norm = squareRoot(square << 400n); // |x| * 2^200
    return x.map((value) => (value << 400n) / norm);
  });
  return { values, exponent: -200 };
}

/** Largest integer whose square is at most `n`, by Newton's method from above. */
function squareRoot(n: bigint): bigint {
  let x = 1n << BigInt(Math.ceil(n.toString(2).length / 2));
  for (;;) {
    const next = (x + n / x) >> 1n;
    if (next >= x) return x;
    x = next;
  }
}

function dot(a: bigint[], b: bigint[]): bigint {
  let sum = 0n;
  for (let j = 0; j < a.length; j++) sum += a[j]! * b[j]!;
  return sum;
}

function squaredDistance(a: bigint[], b: bigint[]): bigint {
  let sum = 0n;
  for (let j = 0; j < a.length; j++) sum += (a[j]! - b[j]!) ** 2n;
  return sum;
}
