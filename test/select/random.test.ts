import { expect, test } from 'vitest';
import { below, stream, xoshiro128 } from '#lib/select/random.js';

const take = (words: () => number, count: number) => Array.from({ length: count }, words);

test('xoshiro128** gives what the authors’ C code gives from the state 1, 2, 3, 4', () => {
  expect(take(xoshiro128([1, 2, 3, 4]), 8)).toEqual([
    11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849,
  ]);
});

test('streams never change', () => {
  // From a port of SplitMix64 and xoshiro128** to Python, written from their definitions.
  expect(take(stream(0, 0), 4)).toEqual([443589289, 1472243107, 1913443415, 1536281227]);
  expect(take(stream(42, 7), 4)).toEqual([586373843, 1267240754, 1702358716, 1710164308]);
  expect(take(stream(2 ** 53 - 1, 2 ** 31), 4)).toEqual([477802596, 1610525573, 1522092202, 1775764133]);
});

test('seeds and indices make streams of their own', () => {
  const heads = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    for (let index = 0; index < 60; index++) heads.add(take(stream(seed, index), 2).join());
  }
  expect(heads.size).toBe(3600);
});

test('below is unbiased: words of the incomplete last round are passed over', () => {
  const scripted =
    (...words: number[]) =>
    () =>
      words.shift()!;
  const third = Math.floor(2 ** 32 / 3);
  expect(below(scripted(2 ** 32 - 1, third), 3)).toBe(third % 3);
  expect(below(scripted(3 * third - 1), 3)).toBe(2);
  expect(below(scripted(2 ** 32 - 1), 2 ** 32)).toBe(2 ** 32 - 1);
  expect(below(scripted(123), 1)).toBe(0);
});

test('below is uniform (chi-square)', () => {
  const words = stream(1, 2);
  const counts = new Array<number>(50).fill(0);
  for (let i = 0; i < 100_000; i++) counts[below(words, 50)]!++;
  const chiSquare = counts.reduce((sum, count) => sum + (count - 2000) ** 2 / 2000, 0);
  expect(chiSquare).toBeLessThan(85.4); // 49 degrees of freedom, p = 0.001
  expect(chiSquare).toBeGreaterThan(23.98); // p = 0.999
});
