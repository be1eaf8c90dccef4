import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Raster } from '#lib/data/dataset.js';
import { generateScenes } from '#lib/data/generate.js';
import { openDataset } from '#lib/data/open.js';
import { writeLabels, writeRgb } from '#lib/embed/preprocess.js';
import { depthTarget } from '#lib/train/depthTarget.js';
import { openPlan } from '#lib/train/imageReader.js';
import { openImages } from '#lib/train/images.js';
import { sceneLabels } from '#lib/train/sceneLabels.js';
import { config, coordinates } from './fakes.js';

let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'images-'));
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
      const samples = await openImages(dataset, strided, { cache, depth: false });
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

test('every sample is decoded once, whatever the seed and the recipe', async () => {
  const dataset = coordinates(5, { content: (i) => (i === 4 ? 0 : i) });
  const first = await openImages(dataset, config, { cache, depth: true, augmentation: 'paper' });
  expect([first.rows, first.views, first.prepared]).toEqual([5, Number.POSITIVE_INFINITY, 4]);
  expect(dataset.decoded).toBe(4 * 3 + 1); // + 1: the size of the first one.
  const second = await openImages(dataset, config, { cache, depth: true, seed: 9, augmentation: 'none' });
  expect([second.prepared, second.views]).toEqual([0, 1]);
  expect(await second.read(3, 7)).toEqual(await first.read(3, 0));
  await second.close();
  await first.close();
});

test('keys are equal where samples are, and identities where all of them are', async () => {
  const dataset = coordinates(3, { content: (i) => (i === 2 ? 0 : i) });
  const open = (augmentation: 'none' | 'paper' | 'official', seed: number, options = {}) =>
    openImages({ ...dataset, ...options }, config, { cache, depth: true, seed, augmentation });
  const [plain, reseeded, paper, other, again, unit] = await Promise.all([
    open('none', 1),
    open('none', 2),
    open('paper', 1),
    open('paper', 2),
    open('paper', 1),
    open('none', 1, { samples: dataset.samples.map((sample) => ({ ...sample, depthScale: 0.5 })) }),
  ]);
  const hex = (images: typeof plain, row: number, view: number) => images.key(row, view).toString('hex');
  expect(hex(plain, 0, 0)).toBe(hex(plain, 2, 0));
  expect(hex(plain, 0, 0)).not.toBe(hex(plain, 1, 0));
  expect(hex(paper, 0, 0)).toBe(hex(plain, 0, 0));
  expect(new Set([hex(paper, 0, 1), hex(paper, 2, 1), hex(paper, 0, 2), hex(other, 0, 1)]).size).toBe(4);
  expect(hex(unit, 0, 0)).not.toBe(hex(plain, 0, 0));
  expect(reseeded.identity).toBe(plain.identity);
  expect(again.identity).toBe(paper.identity);
  expect(new Set([plain, paper, other, unit].map(({ identity }) => identity)).size).toBe(4);
  for (const images of [plain, reseeded, paper, other, again, unit]) await images.close();
});

describe('depth', () => {
  test('is in metres, and unknown where it is stored as 0', async () => {
    const hole = (x: number, y: number) => x === 8 && y === 8;
    const images = await openImages(coordinates(1, { hole }), config, { cache, depth: true });
    const { depth, valid } = await images.read(0, 0);
    expect(depth![2 * 32 + 3]).toBeCloseTo(1.122, 6);
    expect(valid!.reduce((sum, v) => sum + v, 0)).toBe(1023);
    expect([valid![8 * 32 + 8], depth![8 * 32 + 8]]).toEqual([0, 0]);
    await images.close();
  });

  test('of another size is that of the pixel in the middle', async () => {
    // 96 -> 32: of each 3 x 3 pixels the middle one. The fake's depth fits 16 bits up to x = 96.
    const images = await openImages(
      coordinates(1, { width: 96, height: 96 }),
      { ...config, semsegClasses: 256 },
      { cache, depth: true },
    );
    const { depth } = await images.read(0, 0);
    expect(depth![0]).toBeCloseTo((1000 + 40 * 1 + 1) / 1000, 6);
    expect(depth![5 * 32 + 7]).toBeCloseTo((1000 + 40 * (3 * 7 + 1) + 3 * 5 + 1) / 1000, 6);
    await images.close();
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
    await expect(openImages(dataset, config, { cache, depth: true })).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/depth of sample "s0" \(.*depth.0\.png\) has depth NaN at x 1, y 1/),
    });
  });

  test('that a data set lacks is an error that says so', async () => {
    const dataset = { ...coordinates(1), modalities: ['rgb', 'semseg'] as const };
    await expect(openImages(dataset, config, { cache, depth: true })).rejects.toMatchObject({
      code: 'ERR_MODALITY_MISSING',
      message: expect.stringMatching(/^\/fake does not have depth .* Add depth maps/),
    });
  });

  test('is learnt in the unit of each recipe', async () => {
    const dataset = coordinates(2);
    const [metres, stored] = [1.122, 1122];
    for (const [name, expected] of [
      ['metres', metres],
      ['official', (stored - 2070.7764) / 777.5723],
      ['paper', stored / 32767],
    ] as const) {
      const { shift, scale } = depthTarget(name, dataset);
      expect((metres - shift) / scale).toBeCloseTo(expected, 10);
    }
    const samples = dataset.samples.map((sample, i) => ({ ...sample, depthScale: 0.001 * (i + 1) }));
    expect(() => depthTarget('paper', { ...dataset, samples })).toThrow(/sample "s1"/);
  });
});

test('the official recipe keeps proportions: the shorter side becomes S, view 0 is the middle', async () => {
  const dataset = coordinates(1, { width: 48, height: 32 });
  const samples = await openImages(dataset, config, { cache, depth: true, augmentation: 'official' });
  expect(samples.plan.layout).toMatchObject({ width: 48, height: 32 });
  expect((await samples.read(0, 0)).depth![0]).toBeCloseTo(1 + 0.04 * 8, 5);
  await samples.close();
  const squeezed = await openImages(dataset, config, { cache, depth: true, augmentation: 'paper' });
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
    const samples = await openImages(dataset, config, { cache, depth: true });
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
    const again = await openImages(dataset, config, { cache, depth: true });
    expect(again.prepared).toBe(1);
    expect(await again.read(1, 0)).toEqual(before);
    await again.close();
  });

  test('that was cut off is made anew', async () => {
    const dataset = coordinates(3);
    const samples = await openImages(dataset, config, { cache, depth: false });
    const before = await samples.read(2, 0);
    await damage(cache, async (path) => {
      const file = await open(path, 'r+');
      await file.truncate((await file.stat()).size - 1);
      await file.close();
    });
    await expect(samples.read(2, 0)).rejects.toMatchObject({ code: 'ERR_CACHE_DAMAGED' });
    await samples.close();
    const again = await openImages(dataset, config, { cache, depth: false });
    expect([again.prepared, (await again.read(2, 0)).rgb]).toEqual([1, before.rgb]);
    await again.close();
  });
});

test('a plan opens the same samples elsewhere, and survives a structured clone', async () => {
  const images = await openImages(coordinates(3), config, { cache, depth: true, augmentation: 'official' });
  const there = await openPlan(structuredClone(images.plan));
  expect(await there.read(2, 5)).toEqual(await images.read(2, 5));
  // Many at once.
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => there.read(i % 3, i)));
  expect(many[5]).toEqual(await images.read(2, 5));
  await there.close();
  await images.close();
});

test('label ids without an embedding, bad options and an abort are refused', async () => {
  const few = { ...config, semsegClasses: 10 };
  await expect(openImages(coordinates(1), few, { cache, depth: false })).rejects.toMatchObject({
    code: 'ERR_LABEL_RANGE',
    message: expect.stringContaining('semseg of sample "s0"'),
  });
  const open = (options: object) => openImages(coordinates(1), config, { cache, depth: false, ...options });
  await expect(open({ augmentation: 'other' })).rejects.toThrow('official, paper, none');
  await expect(open({ augmentation: 'paper', views: 0 })).rejects.toThrow('`views`');
  await expect(open({ signal: AbortSignal.abort(new Error('stop')) })).rejects.toThrow('stop');
});

test('generated scenes: what is read is what the files hold, and scenes say their classes', async () => {
  const folder = join(cache, 'scenes');
  await generateScenes(folder, { scenes: 6, size: 32, regime: 'uniform', seed: 3 });
  const dataset = await openDataset(folder);
  const images = await openImages(dataset, config, {
    cache: join(cache, 'records'),
    depth: true,
    augmentation: 'paper',
  });
  expect(images.prepared).toBe(6);
  for (const [row, { depthScale }] of dataset.samples.entries()) {
    const sample = await images.read(row, 0);
    const depth = await (await dataset.read(row, 'depth')).decode();
    expect(sample.depth).toEqual(Float32Array.from(depth.data, (stored) => stored * depthScale));
    const labels = await (await dataset.read(row, 'semseg')).decode();
    expect(sample.semseg).toEqual(Int32Array.from(labels.data));
    expect(sample.valid).toEqual(Float32Array.from(depth.data, (stored) => (stored > 0 ? 1 : 0)));
  }
  const scenes = await Promise.all(
    dataset.samples.map(async ({ paths }) => JSON.parse(await readFile(join(folder, paths.scene!), 'utf8'))),
  );
  const { classes, labels } = await sceneLabels(dataset, 'count');
  expect([...labels].map((label) => Number(classes[label]))).toEqual(scenes.map(({ objects }) => objects.length));
  expect((await sceneLabels(dataset, 'shape')).labels).toHaveLength(6);
  await images.close();
  await dataset.close();
});
