/** The brute-force twin of `partition`: straight from the pairwise formula and nothing clever, to check and time against. */
import { integer, oneOf } from '../check.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { checkMatrix, GAINS, type PartitionOptions, REMAINDERS } from './bins.js';
import type { Gain, Partition } from './types.js';

/**
 * The partition that `partition` computes, from float64 sums of pairwise terms: O(m N^2 d) time, on the calling thread.
 * Equal to it wherever float64 can tell the best two gains of each step apart.
 * @throws {TypeError} or {RangeError} for a bad argument.
 */
export function naivePartition(
  matrix: EmbeddingMatrix,
  options: Pick<PartitionOptions, 'bins' | 'gain' | 'remainder'>,
): Partition {
  checkMatrix(matrix);
  const { rows } = matrix;
  const binCount = integer('bins', options.bins, 1, rows);
  const gain = oneOf('gain', options.gain ?? 'sqeuclidean', GAINS);
  const spread = oneOf('remainder', options.remainder ?? 'spread', REMAINDERS) === 'spread';

  const started = performance.now();
  const bins = new Int32Array(rows).fill(-1);
  const order: number[] = [];
  const gains: number[] = [];
  let pairs = 0;
  for (let bin = 0; bin < binCount; bin++) {
    const left = [...bins.keys()].filter((row) => bins[row] === -1); // D
    const score = new Float64Array(rows);
    for (const x of left) for (const p of left) score[x]! -= term(matrix, gain, p, x);
    pairs += left.length ** 2;
    const size = Math.floor(rows / binCount) + (spread && bin < rows % binCount ? 1 : 0);
    for (let k = 0; k < size; k++) {
      let best = -1;
      for (const x of left) if (bins[x] === -1 && (best < 0 || score[x]! > score[best]!)) best = x;
      bins[best] = bin;
      order.push(best);
      gains.push(score[best]!);
      for (const x of left) score[x]! += 2 * term(matrix, gain, best, x);
      pairs += left.length;
    }
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    bins,
    order: Int32Array.from(order),
    gains: Float64Array.from(gains),
    binCount,
    engine: {
      name: 'naive',
      why: 'asked for',
      device: 'cpu',
      simd: 'scalar',
      threads: 1,
      seconds,
      dotProducts: pairs,
      float64Decisions: order.length,
      exactDecisions: 0,
    },
  };
}

/** What the pair (p, x) subtracts from the gain of x while p is not chosen, and adds to it once p is. */
function term({ data, cols }: EmbeddingMatrix, gain: Gain, p: number, x: number): number {
  let distance = 0;
  let dot = 0;
  let pp = 0;
  let xx = 0;
  for (let j = 0; j < cols; j++) {
    const a = data[p * cols + j]!;
    const b = data[x * cols + j]!;
    distance += (a - b) ** 2;
    dot += a * b;
    pp += a * a;
    xx += b * b;
  }
  if (gain === 'sqeuclidean') return distance;
  return -(0.5 + (pp > 0 && xx > 0 ? dot / (2 * Math.sqrt(pp) * Math.sqrt(xx)) : 0));
}
