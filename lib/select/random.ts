/**
 * The random numbers of the draw, fixed for all versions and platforms: xoshiro128** 1.1 (Blackman and Vigna), its state
 * filled by SplitMix64, with one stream for each pair of seed and index.
 */

/** Uniform words in 0..2^32 - 1. */
export type Words = () => number;

const MASK = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** SplitMix64's output for a state that has just been advanced by GOLDEN; a bijection. */
function mix(state: bigint): bigint {
  let z = state & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/**
 * Stream `index` of a seed; both integers in 0..2^53 - 1. The state is the first two outputs of SplitMix64 when it starts
 * at mix(seed + GOLDEN) + index, so streams with other indices do not depend on how many there are.
 */
export function stream(seed: number, index: number): Words {
  const start = mix(BigInt(seed) + GOLDEN) + BigInt(index);
  const low = mix(start + GOLDEN);
  const high = mix(start + 2n * GOLDEN);
  return xoshiro128([low, low >> 32n, high, high >> 32n].map((word) => Number(word & 0xffffffffn)));
}

/** xoshiro128** 1.1 from a state of four 32-bit words, not all zero. */
export function xoshiro128(state: readonly number[]): Words {
  let [a, b, c, d] = state.map((word) => word | 0) as [number, number, number, number];
  return () => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11);
    return result >>> 0;
  };
}

function rotate(x: number, by: number): number {
  return (x << by) | (x >>> (32 - by));
}

/** Uniform integer in 0..count - 1, 1 <= count <= 2^32, without bias: words of the last, incomplete round are passed over. */
export function below(words: Words, count: number): number {
  const limit = 2 ** 32 - (2 ** 32 % count);
  for (;;) {
    const word = words();
    if (word < limit) return word % count;
  }
}

/** 0..count - 1 in the uniform order of stream `index` of a seed. */
export function shuffled(count: number, seed: number, index: number): Int32Array {
  const words = stream(seed, index);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < count - 1; i++) {
    const j = i + below(words, count - i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** `count` of 0..rows - 1, uniform, in ascending order, by stream `index` of a seed; all of them where there are no more. */
export function someRows(rows: number, count: number, seed: number, index: number): Int32Array {
  const order = Int32Array.from({ length: rows }, (_, i) => i);
  if (rows <= count) return order;
  const words = stream(seed, index);
  for (let i = 0; i < count; i++) {
    const j = i + below(words, rows - i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order.slice(0, count).sort();
}
