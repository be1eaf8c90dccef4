import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openImages } from '#lib/train/images.js';
import { openLoader } from '#lib/train/loader.js';
import { batchOrder } from '#lib/train/order.js';
import { config, coordinates } from './fakes.js';

let cache: string;
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'loader-'));
});
afterAll(() => rm(cache, { recursive: true, force: true }));

test('a mini-batch has the samples of its places, in the view of its pass', async () => {
  const images = await openImages(
    coordinates(5),
    { ...config, semsegStride: 4 },
    { cache, depth: true, augmentation: 'official' },
  );
  const loader = await openLoader(images);
  const data = loader.data(Int32Array.of(4, 2, 0), Int32Array.of(10, 11, 12, 13, 14));
  expect(data.samples).toBe(3);
  for (const epoch of [0, 3]) {
    const batch = await data.batch(Int32Array.of(2, 0), epoch);
    const dims = Object.fromEntries(Object.entries(batch).map(([name, tensor]) => [name, tensor.dims]));
    expect(dims).toEqual({
      rgb: [2, 3, 32, 32],
      semseg: [2, 8, 8],
      depth: [2, 1, 32, 32],
      valid: [2, 1, 32, 32],
      label: [2],
    });
    expect(batch.label!.data).toEqual(Int32Array.of(10, 14));
    for (const [i, row] of [0, 4].entries()) {
      const sample = await images.read(row, epoch + 1);
      for (const name of ['rgb', 'semseg', 'depth', 'valid'] as const) {
        const size = sample[name]!.length;
        expect(batch[name]!.data.slice(i * size, (i + 1) * size)).toEqual(sample[name]);
      }
    }
  }
  await loader.close();
  await images.close();
});

test('views that end come round again', async () => {
  const images = await openImages(coordinates(2), config, { cache, depth: false, augmentation: 'paper', views: 2 });
  const loader = await openLoader(images);
  const data = loader.data(Int32Array.of(1));
  const at = async (epoch: number) => (await data.batch(Int32Array.of(0), epoch)).rgb!.data;
  expect(await at(0)).toEqual((await images.read(1, 0)).rgb);
  expect(await at(5)).toEqual((await images.read(1, 1)).rgb);
  expect(await at(4)).toEqual(await at(0));
  await loader.close();
  await images.close();
});

test('however many are asked for ahead, and wherever training goes on, mini-batches are the same', async () => {
  const images = await openImages(coordinates(5), config, { cache, depth: false, augmentation: 'paper' });
  const loader = await openLoader(images);
  const data = loader.data(Int32Array.of(0, 1, 2, 3, 4));
  const run = async (from: number, to: number, ahead: number) => {
    const order = batchOrder(5, 2, 3);
    const out: string[] = [];
    for (let step = from; step < to; step += ahead) {
      const some = Array.from({ length: Math.min(ahead, to - step) }, (_, i) => order.at(step + i));
      const batches = await Promise.all(some.map(({ places, epoch }) => data.batch(places, epoch)));
      out.push(...batches.map(({ rgb }) => Buffer.from(rgb!.data.buffer).toString('base64')));
    }
    return out;
  };
  const whole = await run(0, 8, 1);
  expect(new Set(whole).size).toBe(8);
  expect(await run(0, 8, 5)).toEqual(whole);
  expect(await run(3, 8, 2)).toEqual(whole.slice(3));
  await loader.close();
  await images.close();
});

describe('batchOrder', () => {
  test('each pass has every place at most once, in an order of its own', () => {
    const order = batchOrder(10, 3, 1);
    expect(order.stepsPerEpoch).toBe(3);
    const pass = (epoch: number) => [0, 1, 2].flatMap((i) => [...order.at(3 * epoch + i).places]);
    for (const epoch of [0, 1]) expect(new Set(pass(epoch)).size).toBe(9);
    expect(pass(0)).not.toEqual(pass(1));
    expect(order.at(5).epoch).toBe(1);
    const later = batchOrder(10, 3, 1);
    expect([...later.at(4).places]).toEqual([...order.at(4).places]);
    expect([...batchOrder(10, 3, 2).at(0).places]).not.toEqual([...order.at(0).places]);
  });

  test('fewer samples than a batch: all are in it, and some again', () => {
    const order = batchOrder(3, 8, 1);
    expect(order.stepsPerEpoch).toBe(1);
    const { places } = order.at(0);
    expect(places.length).toBe(8);
    expect(new Set(places)).toEqual(new Set([0, 1, 2]));
  });
});

describe('what goes wrong', () => {
  test('a damaged record reaches the one that asked, with its code; others go on', async () => {
    const own = join(cache, 'damaged');
    const images = await openImages(coordinates(3), config, { cache: own, depth: false });
    const [folder] = await readdir(own);
    const file = await open(join(own, folder!, 'vectors'), 'r+');
    await file.write(Buffer.from([99]), 0, 1, (await file.stat()).size - 100);
    await file.close();
    const loader = await openLoader(images);
    const data = loader.data(Int32Array.of(0, 2));
    const [bad, good] = await Promise.allSettled([data.batch(Int32Array.of(0, 1), 0), data.batch(Int32Array.of(0), 0)]);
    expect(bad).toMatchObject({ reason: { code: 'ERR_CACHE_DAMAGED', message: expect.stringContaining('"s2"') } });
    expect(good.status).toBe('fulfilled');
    await loader.close();
    await images.close();
  });

  test('records that are gone: an error, not a hang; so is a closed loader', async () => {
    const own = join(cache, 'gone');
    const images = await openImages(coordinates(1), config, { cache: own, depth: false });
    await images.close();
    await rm(own, { recursive: true });
    const loader = await openLoader(images);
    const data = loader.data(Int32Array.of(0));
    await expect(data.batch(Int32Array.of(0), 0)).rejects.toMatchObject({ code: 'ERR_CACHE_UNUSABLE' });
    await loader.close();
    await loader.close();
    await expect(data.batch(Int32Array.of(0), 0)).rejects.toMatchObject({ code: 'ERR_LOADER_CLOSED' });
  });
});
