/**
 * Random numbers that are the same on every platform and in every version: sfc32 (Doty-Humphrey, PractRand), seeded by
 * a hash of the numbers that say what they are for.
 */
export interface Random {
  /** Uniform in [low, high). */
  uniform(low: number, high: number): number;
  /** Uniform integer in low..high, both included. */
  integer(low: number, high: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** Murmur3's finaliser over one word. */
function mix(h: number, word: number): number {
  let x = Math.imul(h ^ word, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) + 0x9e3779b9;
}

/**
 * A stream of its own for each list of numbers, e.g. `random(seed, clip, attempt)`: the order in which scenes are drawn
 * does not matter, so a data set can be continued anywhere. Keys are integers, 0 <= key < 2^53.
 */
export function random(...keys: number[]): Random {
  let h = keys.length;
  for (const key of keys) h = mix(mix(h, key | 0), (key / 2 ** 32) | 0);
  let a = mix(h, 1) | 0;
  let b = mix(h, 2) | 0;
  let c = mix(h, 3) | 0;
  let counter = 1;
  const word = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };
  for (let i = 0; i < 12; i++) word();
  const unit = () => word() / 2 ** 32;
  return {
    uniform: (low, high) => low + (high - low) * unit(),
    integer: (low, high) => low + Math.floor((high - low + 1) * unit()),
    pick: (choices) => choices[Math.floor(choices.length * unit())]!,
  };
}
