import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import type { Modality } from '#lib/data/dataset.js';
import { openDataset } from '#lib/data/open.js';
import { shared } from '../shared.js';
import { writePng } from './png.js';

let folder: string;
const width = 6;
const height = 4;

const lines = [
  { id: 'a', rgb: 'rgb/a.png', semseg: 'semseg/a.png', depth: 'depth/a.png', depth_scale: 0.001 },
  { id: 'narrow', rgb: 'rgb/a.png', semseg: 'semseg/narrow.png' },
  { id: 'lost', split: 'val', rgb: 'rgb/lost.png', semseg: 'semseg/a.png', depth: 'depth/a.png' },
  { id: 'b', split: 'val', rgb: 'rgb/a.png', semseg: 'semseg/folder', depth: 'depth/a.png', depth_scale: 1 },
];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coregain-open-'));
  for (const name of ['rgb', 'semseg/folder', 'depth', 'empty']) await mkdir(join(folder, name), { recursive: true });
  const png = (w: number, colourType: 0 | 2, bitDepth: number) =>
    writePng(
      { width: w, height, colourType, bitDepth },
      (x, y, c) => (x + 10 * y + 100 * c) * (bitDepth === 16 ? 900 : 1),
    );
  await writeFile(join(folder, 'rgb/a.png'), png(width, 2, 8));
  await writeFile(join(folder, 'semseg/a.png'), png(width, 0, 8));
  await writeFile(join(folder, 'semseg/narrow.png'), png(width - 1, 0, 8));
  await writeFile(join(folder, 'depth/a.png'), png(width, 0, 16));
  await writeFile(join(folder, 'manifest.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
});
afterAll(() => rm(folder, { recursive: true }));

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('did not fail'),
    (error) => error,
  );

async function decode(index: number, modality: Modality, path = folder) {
  const dataset = await openDataset(path);
  return (await dataset.read(index, modality)).decode();
}

describe('reading', () => {
  it('gives the bytes of the file and its pixels', async () => {
    const dataset = await openDataset(folder);
    expect(dataset).toMatchObject({ root: folder, modalities: ['rgb', 'semseg'] });
    const depth = await dataset.read(0, 'depth');
    expect(depth.bytes.length).toBeGreaterThan(50);
    const raster = await depth.decode();
    expect([...raster.data]).toEqual(Array.from({ length: 24 }, (_, i) => ((i % 6) + 10 * Math.floor(i / 6)) * 900));
    await dataset.close();
  });

  it('names a file that is missing', async () => {
    const dataset = await openDataset(folder);
    const error = await failure(dataset.read(2, 'rgb'));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_FILE_MISSING' });
    expect(error.message).toBe(
      `rgb of sample "lost" (${join(folder, 'rgb/lost.png')}) is missing. Restore the file, or take the sample out.`,
    );
    expect(await failure(dataset.read(1, 'depth'))).toMatchObject({ code: 'ERR_FILE_MISSING' });
  });

  it('names a file that cannot be read', async () => {
    const error = await failure((await openDataset(folder)).read(3, 'semseg'));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_FILE_UNREADABLE' });
    expect(error.message).toContain('semseg/folder');
  });

  it('names both images of a sample that differ in size, whichever comes first', async () => {
    for (const order of [['rgb', 'semseg'] as const, ['semseg', 'rgb'] as const]) {
      const dataset = await openDataset(folder);
      const images = await Promise.all(order.map((modality) => dataset.read(1, modality)));
      await images[0]!.decode();
      const error = await failure(images[1]!.decode());
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_SIZE_MISMATCH' });
      expect(error.message).toContain(`semseg of sample "narrow" (${join(folder, 'semseg/narrow.png')}) is 5 x 4`);
      expect(error.message).toContain(`rgb of sample "narrow" (${join(folder, 'rgb/a.png')}) is 6 x 4`);
    }
  });

  it('names them when both are decoded at once', async () => {
    const dataset = await openDataset(folder);
    const images = await Promise.all((['rgb', 'semseg'] as const).map((modality) => dataset.read(1, modality)));
    const error = await failure(Promise.all(images.map((image) => image.decode())));
    expect(error).toMatchObject({ code: 'ERR_SIZE_MISMATCH' });
  });

  it('decodes an image twice, and images of all samples at once', async () => {
    const dataset = await openDataset(folder);
    const image = await dataset.read(0, 'rgb');
    const [first, second] = await Promise.all([image.decode(), image.decode()]);
    expect(first).toEqual(second);
    const many = Array.from({ length: 300 }, async (_, i) => (await dataset.read(0, i % 2 ? 'rgb' : 'depth')).decode());
    expect((await Promise.all(many)).every((raster) => raster.width === width)).toBe(true);
  });

  it('refuses depth whose scale nobody said', async () => {
    const error = await failure(decode(2, 'depth'));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_DEPTH_SCALE' });
    expect(error.message).toContain('depth of sample "lost"');
    expect(error.message).toContain('manifest.jsonl');
  });

  it('checks its arguments', async () => {
    const dataset = await openDataset(folder);
    expect(await failure(dataset.read(4, 'rgb'))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(await failure(dataset.read(0, 'normals' as Modality))).toMatchObject({ name: 'RangeError' });
    expect(await failure(openDataset(1 as never))).toMatchObject({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  });
});

describe('a split', () => {
  it('has its own samples and modalities and reads them', async () => {
    const dataset = await openDataset(folder, { split: 'val' });
    expect(dataset.samples.map(({ id }) => id)).toEqual(['lost', 'b']);
    expect(dataset.modalities).toEqual(['rgb', 'semseg', 'depth']);
    expect((await (await dataset.read(1, 'depth')).decode()).width).toBe(width);
    expect((await failure(dataset.read(0, 'rgb'))).message).toContain('sample "lost"');
    expect(await failure(dataset.read(2, 'rgb'))).toMatchObject({ name: 'RangeError' });
  });

  it('that is not there is refused with those that are', async () => {
    const error = await failure(openDataset(folder, { split: 'test' }));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_NO_SPLIT' });
    expect(error.message).toBe(`${folder} has no split "test". It has train (2), val (2).`);
  });
});

describe('what is not a data set', () => {
  test.each([
    ['nowhere', 'ERR_FILE_MISSING', 'does not exist'],
    ['empty', 'ERR_DATASET_LAYOUT', 'neither manifest.jsonl nor a folder rgb/ or images/'],
    ['rgb/a.png', 'ERR_DATASET_LAYOUT', 'neither a .jsonl manifest nor a MATLAB v7.3'],
  ])('%s', async (path, code, message) => {
    const error = await failure(openDataset(join(folder, path)));
    expect(error).toMatchObject({ name: 'DataError', code });
    expect(error.message).toContain(join(folder, path));
    expect(error.message).toContain(message);
  });
});

it('opens a folder without manifest', async () => {
  const plain = join(folder, 'plain');
  await mkdir(join(plain, 'images/val'), { recursive: true });
  await writeFile(
    join(plain, 'images/val/0.png'),
    writePng({ width, height, colourType: 6, bitDepth: 8 }, () => 7),
  );
  const dataset = await openDataset(plain, { split: 'val' });
  expect(dataset).toMatchObject({ root: plain, modalities: ['rgb'], samples: [{ id: 'val/0' }] });
  expect((await (await dataset.read(0, 'rgb')).decode()).channels).toBe(3);
});

describe.skipIf(!shared)('clevr-mini', () => {
  const mini = join(shared ?? '', 'data/clevr-mini');

  test('by folder and by manifest', async () => {
    for (const path of [mini, join(mini, 'manifest.jsonl')]) {
      const dataset = await openDataset(path, { split: 'train' });
      expect(dataset).toMatchObject({ root: mini, modalities: ['rgb', 'semseg', 'depth', 'instance'] });
      expect(dataset.samples.length).toBe(480);
    }
  });

  test('masks and depth agree with the scene', async () => {
    const dataset = await openDataset(mini);
    for (const index of [0, 123, 599]) {
      const image = async (modality: Modality) => (await dataset.read(index, modality)).decode();
      const [semseg, depth, instance] = await Promise.all([image('semseg'), image('depth'), image('instance')]);
      const sample = dataset.samples[index]!;
      const { default: scene } = await import(join(mini, sample.paths.scene!), { with: { type: 'json' } });
      for (const { instance_id, class_id, visible_pixels } of scene.objects) {
        const own = [...instance.data.keys()].filter((i) => instance.data[i] === instance_id);
        expect(own.length).toBe(visible_pixels);
        expect(own.every((i) => semseg.data[i] === class_id)).toBe(true);
      }
      const metres = [...depth.data].filter((value) => value > 0).map((value) => value * sample.depthScale);
      expect(Math.min(...metres)).toBeCloseTo(scene.depth_min, 3);
      expect(Math.max(...metres)).toBeCloseTo(scene.depth_max, 3);
    }
  });

  test('its near-duplicates', async () => {
    const dataset = await openDataset(join(mini, 'redundant'), { split: 'redundant' });
    expect(dataset.samples.length).toBe(152);
    expect((await (await dataset.read(151, 'semseg')).decode()).width).toBe(224);
  });
});
