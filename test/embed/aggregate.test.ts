import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AGGREGATIONS, aggregate, aggregatedSize, aggregationMatrix } from '#lib/embed/aggregate.js';
import { shared } from '../shared.js';
import { readTensor } from './safetensors.js';

const batch = {
  batch: 2,
  tokens: 5,
  dim: 2,
  data: Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 100, 200, 0, 0, 0, 0, 0, 0, 0, 0, 9, 9]),
};
const modalities = [
  [0, 2],
  [2, 4],
] as const;

test.each([
  ['concat', [1, 2, 3, 4, 5, 6, 7, 8, 100, 200]],
  ['concat-modalities', [2, 3, 6, 7]],
  ['mean', [23.2, 44]],
  ['sum', [116, 220]],
  ['last', [100, 200]],
] as const)('%s', (how, expected) => {
  const vector = aggregate(how, batch, 0, modalities);
  expect([...vector]).toEqual(expected.map(Math.fround));
  expect(vector.length).toBe(aggregatedSize(how, 5, 2, 2));
  expect(aggregate('last', batch, 1, modalities)).toEqual(Float32Array.from([9, 9]));
});

test.each(['concat-modalities', 'mean', 'sum', 'last'] as const)('%s is a product with its matrix', (how) => {
  const matrix = aggregationMatrix(how, 5, modalities);
  const rows = matrix.length / 5;
  for (const sample of [0, 1]) {
    const product = Array.from({ length: rows * 2 }, (_, i) => {
      const [row, c] = [Math.floor(i / 2), i % 2];
      return [0, 1, 2, 3, 4].reduce((sum, t) => sum + matrix[row * 5 + t]! * batch.data[(sample * 5 + t) * 2 + c]!, 0);
    });
    expect(product).toHaveLength(aggregatedSize(how, 5, 2, 2));
    aggregate(how, batch, sample, modalities).forEach((value, i) => {
      expect(product[i]).toBeCloseTo(value, 4);
    });
  }
});

test('modalities are concatenated in the order of the sequence, and one alone is its mean', () => {
  expect([
    ...aggregate('concat-modalities', batch, 0, [
      [2, 4],
      [0, 2],
    ]),
  ]).toEqual([6, 7, 2, 3]);
  expect([...aggregate('concat-modalities', batch, 0, [[0, 4]])]).toEqual([4, 5]);
});

test('base at 224 px: 301,824 features when all tokens are concatenated, 1536 per modality', () => {
  expect(aggregatedSize('concat', 393, 768, 2)).toBe(301_824);
  expect(aggregatedSize('concat-modalities', 393, 768, 2)).toBe(1536);
  for (const how of AGGREGATIONS.slice(2)) expect(aggregatedSize(how, 393, 768, 2)).toBe(768);
});

describe.skipIf(!shared)('golden vectors of the MultiMAE codes', () => {
  test.each([
    ['multimae-official/tokens', 'final', { concat: 'agg.concat', mean: 'agg.mean', sum: 'agg.sum' }],
    ['multimae-paper/io', 'final', { concat: 'embed.none', mean: 'embed.mean', sum: 'embed.sum' }],
  ] as const)('%s', (file, tokens, names) => {
    const path = join(shared!, 'golden', `${file}.safetensors`);
    const final = readTensor(path, tokens);
    const [b, t, d] = final.shape as [number, number, number];
    for (const [how, name] of Object.entries(names) as ['concat' | 'mean' | 'sum', string][]) {
      const expected = readTensor(path, name).data;
      for (let i = 0; i < b; i++) {
        const vector = aggregate(how, { batch: b, tokens: t, dim: d, data: final.data }, i, []);
        for (let c = 0; c < vector.length; c++)
          expect(Math.abs(vector[c]! - expected[i * vector.length + c]!)).toBeLessThan(5e-5);
      }
    }
  });
});
