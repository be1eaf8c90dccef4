import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inferConfig } from '#lib/models/inferConfig.js';
import { encoderWeights } from '#lib/models/multimae.js';
import { presets } from '#lib/models/presets.js';
import type { TensorFile } from '#lib/weights/tensor.js';
import { shared } from '../shared.js';

const fileOf = (shapes: Iterable<readonly [string, readonly number[]]>): TensorFile =>
  ({ path: 'w.pth', tensors: new Map([...shapes].map(([name, shape]) => [name, { dtype: 'F32', shape }])) }) as never;

test.each(Object.entries(presets))('%s is recognised by its weights', (_, config) => {
  expect(inferConfig(fileOf(encoderWeights(config)))).toEqual(config);
});

test('labels at full size are the paper; 134 classes have a padding row', () => {
  const paper = {
    ...presets.base,
    variant: 'paper' as const,
    semsegStride: 1,
    semsegClasses: 256,
    semsegPadding: true,
    classEmbedding: 32,
  };
  expect(inferConfig(fileOf(encoderWeights(paper)))).toEqual(paper);
  const padded = { ...presets.base, semsegPadding: true };
  expect(inferConfig(fileOf(encoderWeights(padded)))).toEqual(padded);
});

describe.skipIf(!shared)('the official checkpoint', () => {
  const lines = shared
    ? readFileSync(join(shared, 'golden/checkpoints/vitb_official_keys.txt'), 'utf8').trimEnd().split('\n')
    : [];
  const shapes = lines
    .map((line) => line.split('\t') as [string, string])
    .map(([name, shape]) => [name, JSON.parse(shape)] as const);

  test('has every weight of `base`, under the same name and in the same shape', () => {
    const official = new Map(shapes);
    expect(inferConfig(fileOf(shapes))).toEqual(presets.base);
    for (const [name, shape] of encoderWeights(presets.base)) expect([name, official.get(name)]).toEqual([name, shape]);
  });
});

test('what cannot be known is asked for', () => {
  expect(() => inferConfig(fileOf([]))).toThrow(/w\.pth: .*model\.json/);
  expect(() => inferConfig(fileOf(encoderWeights({ ...presets.base, dim: 512, heads: 8 })))).toThrow(/512 wide/);
});
