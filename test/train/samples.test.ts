import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Raster } from '#lib/data/dataset.js';
import { writeLabels, writeRgb } from '#lib/embed/preprocess.js';
import { openPlan } from '#lib/train/sampleReader.js';
import { openSamples } from '#lib/train/samples.js';
import { config, coordinates } from './fakes.js';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'samples-'));
});
afterEach(() => rm(cache, { recursive: true, force: true }));

async function decoded(dataset: ReturnType<typeof coordinates>, modality: 'rgb' | 'semseg'): Promise<Raster> {
  return (await dataset.read(0, modality)).decode();
}

test('view 0 is what the encoder is given when it embeds', async () => {
  for (const [size, tolerance] of [
    [32, 0],
    [40, 0.5 / 255 / 0.0869 + 1e-5],
  ] as const) {
    for (const semsegStride of [1, 4]) {
      const dataset = coordinates(1, { width: size, height: size });
      const strided = { ...config, semsegStride };
      const samples = await openSamples(dataset, undefined, strided, { cache });
      const sample = await samples.read(0, 0);
      const rgb = new Float32Array(3 * 32 * 32);
      writeRgb(await decoded(dataset, 'rgb'), strided, rgb, 'rgb');
      const off = sample.rgb!.reduce((most, v, i) => Math.max(most, Math.abs(v - rgb[i]!)), 0);
      expect(off).toBeLessThanOrEqual(tolerance);
      const labels = new Int32Array((32 / semsegStride) ** 2);
      writeLabels(await decoded(dataset, 'semseg'), strided, labels, 'semseg');
      expect(sample.semseg).toEqual(labels);
      expect(sample.depth).toBeUndefined();
      await samples.close();
    }
  }
});

test('every sample is decoded once, whatever the seed, the recipe, the unit or the subset', async () => {
  const dataset = coordinates(5, { content: (i) => (i === 4 ? 0 : i) });
  const first = await openSamples(dataset, undefined, config, { cache, depth: 'metres' });
  expect([first.size, first.prepared, dataset.decoded]).toEqual([5, 4, 4 * 3 + 1]); // + 1: the first one's size.
  expect(first.key(4).equals(first.key(0))).toBe(true);
  expect(first.key(1).equals(first.key(0))).toBe(false);
  const subset = await openSamples(dataset, [3, 1], config, { cache, depth: 'paper', seed: 9, augmentation: 'none' });
  expect(subset.prepared).toBe(0);
  expect(subset.key(0).equals(first.key(3))).toBe(true);
  expect((await subset.read(0, 1)).rgb).toEqual((await first.read(3, 0)).rgb);
  await subset.close();
  await first.close();
});

test('augmented views are those of the sample in its data set, so a subset sees the same ones', async () => {
  const dataset = coordinates(4);
  const all = await openSamples(dataset, undefined, config, { cache, depth: 'metres' });
  const some = await openSamples(dataset, [2], config, { cache, depth: 'metres' });
  expect(await some.read(0, 7)).toEqual(await all.read(2, 7));
  expect(await some.read(0, 7)).not.toEqual(await all.read(2, 8));
  await all.close();
  await some.close();
});

test('calls that run side by side do not meet each other’s lock', async () => {
  const both = await Promise.all([0, 1].map((row) => openSamples(coordinates(2), [row], config, { cache })));
  expect(both.map(({ prepared }) => prepared)).toEqual([1, 1]);
  for (const source of both) await source.close();
});

describe('depth', () => {
  test('comes in the unit of each recipe', async () => {
    const stored = 1000 + 40 * 3 + 2; // at x 3, y 2
    for (const [depth, expected] of [
      ['metres', stored / 1000],
      ['official', (stored - 2070.7764) / 777.5723],
      ['paper', stored / 32767],
      [{ shift: 2, scale: 0.5 }, (stored / 1000 - 2) / 0.5],
    ] as const) {
      const samples = await openSamples(coordinates(1), undefined, config, { cache, depth });
      expect((await samples.read(0, 0)).depth![2 * 32 + 3]).toBeCloseTo(expected, 5);
      await samples.close();
    }
  });

  test('is unknown where a mean would take in a hole, and counts nowhere else', async () => {
    const hole = (x: number, y: number) => x === 8 && y === 8;
    const same = await openSamples(coordinates(1, { hole }), undefined, config, { cache, depth: 'metres' });
    const exact = await same.read(0, 0);
    expect(exact.valid!.reduce((sum, v) => sum + v, 0)).toBe(1023);
    expect([exact.valid![8 * 32 + 8], exact.depth![8 * 32 + 8]]).toEqual([0, 0]);
    await same.close();
    // Half the size: each target mixes 2 x 2 pixels, one of which is the hole.
    const half = { ...config, image: 16 };
    const small = await openSamples(coordinates(1, { hole }), undefined, half, { cache, depth: 'metres' });
    const mixed = await small.read(0, 0);
    expect(mixed.valid!.reduce((sum, v) => sum + v, 0)).toBe(255);
    expect(mixed.valid![4 * 16 + 4]).toBe(0);
    expect(mixed.depth![0]).toBeCloseTo(1.0205 + 0.0005, 3); // The mean of 1000, 1040, 1001 and 1041, rounded to mm.
    await small.close();
  });

  test('that is not finite names the file', async () => {
    const dataset = coordinates(1);
    const data = new Float32Array(1024).fill(1);
    data[33] = Number.NaN;
    const read = dataset.read.bind(dataset);
    dataset.read = async (i, modality) =>
      modality === 'depth'
        ? { bytes: Buffer.from('x'), decode: async () => ({ width: 32, height: 32, channels: 1, data }) }
        : read(i, modality);
    await expect(openSamples(dataset, undefined, config, { cache, depth: 'metres' })).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/depth of sample "s0" \(.*depth.0\.png\) has depth NaN at x 1, y 1/),
    });
  });

  test('that a data set lacks is an error that says so', async () => {
    const dataset = { ...coordinates(1), modalities: ['rgb', 'semseg'] as const };
    await expect(openSamples(dataset, undefined, config, { cache, depth: 'metres' })).rejects.toMatchObject({
      code: 'ERR_MODALITY_MISSING',
      message: expect.stringMatching(/^\/fake does not have depth .* Add depth maps/),
    });
  });
});

test('the official recipe keeps proportions: the shorter side becomes S, view 0 is the middle', async () => {
  const dataset = coordinates(1, { width: 48, height: 32 });
  const samples = await openSamples(dataset, undefined, config, { cache, depth: 'metres', augmentation: 'official' });
  expect(samples.plan.layout).toMatchObject({ width: 48, height: 32 });
  expect((await samples.read(0, 0)).depth![0]).toBeCloseTo(1 + 0.04 * 8, 5);
  await samples.close();
  const squeezed = await openSamples(dataset, undefined, config, { cache, depth: 'metres', augmentation: 'paper' });
  expect(squeezed.plan.layout).toMatchObject({ width: 32, height: 32 });
  await squeezed.close();
});

describe('a damaged record', () => {
  async function damage(place: string, change: (path: string) => Promise<void>) {
    const [folder] = await readdir(place);
    await change(join(place, folder!, 'vectors'));
  }

  test('is an error that names it, and is made anew by the next run', async () => {
    const dataset = coordinates(2);
    const samples = await openSamples(dataset, undefined, config, { cache, depth: 'metres' });
    const before = await samples.read(1, 0);
    await damage(cache, async (path) => {
      const file = await open(path, 'r+');
      await file.write(Buffer.from([255, 254]), 0, 2, (await file.stat()).size - 40);
      await file.close();
    });
    await expect(samples.read(1, 0)).rejects.toMatchObject({
      code: 'ERR_CACHE_DAMAGED',
      message: expect.stringContaining('"s1" of /fake'),
    });
    await samples.close();
    const again = await openSamples(dataset, undefined, config, { cache, depth: 'metres' });
    expect(again.prepared).toBe(1);
    expect(await again.read(1, 0)).toEqual(before);
    await again.close();
  });

  test('that was cut off is made anew', async () => {
    const dataset = coordinates(3);
    const samples = await openSamples(dataset, undefined, config, { cache });
    const before = await samples.read(2, 0);
    await damage(cache, async (path) => {
      const file = await open(path, 'r+');
      await file.truncate((await file.stat()).size - 1);
      await file.close();
    });
    await expect(samples.read(2, 0)).rejects.toMatchObject({ code: 'ERR_CACHE_DAMAGED' });
    await samples.close();
    const again = await openSamples(dataset, undefined, config, { cache });
    expect([again.prepared, (await again.read(2, 0)).rgb]).toEqual([1, before.rgb]);
    await again.close();
  });
});

test('a plan opens the same samples elsewhere, and survives a structured clone', async () => {
  const samples = await openSamples(coordinates(3), [2, 0], config, { cache, depth: 'metres', labels: [7, 8, 9] });
  const there = await openPlan(structuredClone(samples.plan));
  const [here, elsewhere] = [await samples.read(0, 5), await there.read(0, 5)];
  expect(elsewhere).toEqual(here);
  expect(here.label).toBe(9);
  // Many at once.
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => there.read(i % 2, i)));
  expect(many[5]).toEqual(await samples.read(1, 5));
  await there.close();
  await samples.close();
});

test('label ids without an embedding, bad rows and an abort are refused', async () => {
  const few = { ...config, semsegClasses: 10 };
  await expect(openSamples(coordinates(1), undefined, few, { cache })).rejects.toMatchObject({
    code: 'ERR_LABEL_RANGE',
    message: expect.stringContaining('semseg of sample "s0"'),
  });
  await expect(openSamples(coordinates(1), [1], config, { cache })).rejects.toThrow('`rows[0]`');
  await expect(openSamples(coordinates(1), [], config, { cache })).rejects.toMatchObject({ code: 'ERR_DATASET_EMPTY' });
  const signal = AbortSignal.abort(new Error('stop'));
  await expect(openSamples(coordinates(1), undefined, config, { cache, signal })).rejects.toThrow('stop');
});
