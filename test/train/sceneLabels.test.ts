import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Dataset, Sample } from '#lib/data/dataset.js';
import { sceneLabels } from '#lib/train/sceneLabels.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'scenes-'));
  await mkdir(join(root, 'scenes'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Objects = (readonly [shape: string, pixels: unknown])[];
async function dataset(scenes: (Objects | string | undefined)[], metadata: (i: number) => object = () => ({})) {
  const samples: Sample[] = [];
  for (const [i, scene] of scenes.entries()) {
    const path = `scenes/${i}.json`;
    if (scene !== undefined) {
      const objects =
        typeof scene === 'string' ? [] : scene.map(([shape, visible_pixels]) => ({ shape, visible_pixels }));
      await writeFile(join(root, path), typeof scene === 'string' ? scene : JSON.stringify({ objects }));
    }
    samples.push({
      id: `s${i}`,
      split: 'train',
      paths: scene === undefined ? {} : { scene: path },
      depthScale: Number.NaN,
      metadata: { ...metadata(i) },
    });
  }
  return { root, samples, modalities: ['rgb'], read: () => Promise.reject(), close: async () => {} } as Dataset;
}

test('the dominant shape covers most pixels over all objects that have it', async () => {
  const data = await dataset([
    [
      ['cube', 50],
      ['sphere', 60],
    ],
    [
      ['cube', 50],
      ['sphere', 60],
      ['cube', 20],
    ],
    [
      ['sphere', 5],
      ['cylinder', 5],
    ],
  ]);
  expect(await sceneLabels(data, 'shape')).toEqual({
    classes: ['cube', 'cylinder', 'sphere'],
    labels: Int32Array.of(2, 0, 1),
  });
});

test('objects are counted, or taken from the manifest; classes are in numeric order', async () => {
  const many: Objects = Array.from({ length: 10 }, () => ['cube', 1] as const);
  const data = await dataset([many, [['cube', 1]], undefined], (i) => (i === 2 ? { n_objects: 3 } : {}));
  expect(await sceneLabels(data, 'count')).toEqual({ classes: ['1', '3', '10'], labels: Int32Array.of(2, 0, 1) });
});

test('what is missing names the sample', async () => {
  const none = await dataset([[['cube', 1]], undefined]);
  for (const task of ['count', 'shape'] as const) {
    await expect(sceneLabels(none, task)).rejects.toMatchObject({
      code: 'ERR_SCENE_LABEL',
      message: expect.stringContaining('Sample "s1"'),
    });
  }
  await expect(sceneLabels(await dataset([[['cube', 'many']]]), 'shape')).rejects.toThrow(/sample "s0".*object 0/);
  await expect(sceneLabels(await dataset([[]]), 'shape')).rejects.toThrow('no dominant shape');
  await expect(sceneLabels(await dataset(['{']), 'count')).rejects.toMatchObject({ code: 'ERR_SCENE_FILE' });
  await expect(sceneLabels(await dataset(['{}']), 'count')).rejects.toThrow('no array `objects`');
  await expect(sceneLabels(none, 'colour' as never)).rejects.toThrow('count, shape');
});
