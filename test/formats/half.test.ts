import { expect, test } from 'vitest';
import { fromBfloat16, fromHalf } from '#lib/formats/half.js';
import { readEmbeddings } from '#lib/formats/open.js';
import { golden } from './golden.js';

test('binary16 of all sizes become the float32 that NumPy makes of them', async () => {
  const [halves, floats] = await Promise.all(
    ['halves.npy', 'halves_f4.npy'].map((name) => readEmbeddings(golden(name))),
  );
  expect(halves!.data).toEqual(floats!.data);
  expect([...halves!.data].some(Number.isNaN)).toBe(true);
});

test('their ends: zeros with sign, the smallest and largest subnormal, the largest, infinities', () => {
  const out = new Float32Array(8);
  fromHalf(Uint16Array.of(0, 0x8000, 1, 0x3ff, 0x400, 0x7bff, 0x7c00, 0xfc00), out);
  expect([...out]).toEqual([0, -0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, Infinity, -Infinity]);
});

test('bfloat16 is the upper half of float32', () => {
  const out = new Float32Array(5);
  fromBfloat16(Uint16Array.of(0x3f80, 0xc0a0, 0x7f80, 0x8000, 1), out);
  expect([...out]).toEqual([1, -5, Infinity, -0, 2 ** -133]);
});
