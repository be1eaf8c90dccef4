import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it, test } from 'vitest';
import { listClevrFolder } from '#lib/data/clevrFolder.js';

let scratch: string;
let folder: string;
let count = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'coregain-clevr-'));
});
afterAll(() => rm(scratch, { recursive: true }));
beforeEach(async () => {
  folder = join(scratch, String(count++));
  await mkdir(folder);
});

async function put(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), path.endsWith('.json') ? '{"depth_scale": 0.002}' : '');
  }
}

const failing = () =>
  listClevrFolder(folder).then(
    () => expect.unreachable('was listed'),
    (error) => error,
  );

it('pairs files of sibling folders by name', async () => {
  await put('rgb/10.jpg', 'rgb/2.PNG', 'rgb/Thumbs.db', 'rgb/.DS_Store', 'scenes/2.json', 'scenes/10.json');
  await put('semseg/2.png', 'semseg/10.png', 'semseg/11.png', 'depth/2.png', 'depth/10.png');
  expect(await listClevrFolder(folder)).toEqual({
    root: folder,
    samples: [
      {
        id: '10',
        split: 'train',
        paths: { rgb: 'rgb/10.jpg', semseg: 'semseg/10.png', depth: 'depth/10.png', scene: 'scenes/10.json' },
        depthScale: 0.002,
        metadata: {},
      },
      {
        id: '2',
        split: 'train',
        paths: { rgb: 'rgb/2.PNG', semseg: 'semseg/2.png', depth: 'depth/2.png', scene: 'scenes/2.json' },
        depthScale: 0.002,
        metadata: {},
      },
    ],
  });
});

it('reads the layout of CLEVR v1.0, with masks in one folder and depth by split', async () => {
  const names = ['train/CLEVR_train_000000', 'train/CLEVR_train_000001', 'val/CLEVR_val_000000'];
  for (const name of names) await put(`images/${name}.png`, `masks/${name.split('/')[1]}.png`, `depth/${name}.png`);
  await put('scenes/CLEVR_train_scenes.json', 'scenes/CLEVR_val_scenes.json', 'questions/CLEVR_train_questions.json');
  const { samples } = (await listClevrFolder(folder))!;
  expect(samples.map(({ id }) => id)).toEqual(names);
  expect(samples.map(({ split }) => split)).toEqual(['train', 'train', 'val']);
  expect(samples[2]).toMatchObject({
    paths: {
      rgb: 'images/val/CLEVR_val_000000.png',
      semseg: 'masks/CLEVR_val_000000.png',
      depth: 'depth/val/CLEVR_val_000000.png',
    },
    depthScale: Number.NaN,
  });
});

it('does not give two samples of the same name one mask', async () => {
  await put('rgb/train/0.png', 'rgb/val/0.png', 'semseg/0.png');
  expect(await failing()).toMatchObject({ code: 'ERR_FILE_MISSING' });
});

it('follows a split that is linked into place', async () => {
  await put('elsewhere/0.png');
  await mkdir(join(folder, 'rgb'));
  await symlink(join(folder, 'elsewhere'), join(folder, 'rgb/train'));
  expect((await listClevrFolder(folder))!.samples[0]!.paths.rgb).toBe('rgb/train/0.png');
});

it('names the sample whose mask is missing', async () => {
  await put('rgb/0.png', 'rgb/1.png', 'semseg/0.png');
  const error = await failing();
  expect(error).toMatchObject({ name: 'DataError', code: 'ERR_FILE_MISSING' });
  expect(error.message).toContain(`semseg of sample "1" (${join(folder, 'semseg/1.png')}) is missing. Restore it`);
});

it('names two files that would be one sample', async () => {
  await put('rgb/0.png', 'rgb/0.jpg');
  const error = await failing();
  expect(error).toMatchObject({ code: 'ERR_DUPLICATE_ID' });
  for (const name of ['rgb/0.png', 'rgb/0.jpg']) expect(error.message).toContain(join(folder, name));
});

it('refuses a folder of images without images', async () => {
  await put('images/readme.txt');
  expect(await failing()).toMatchObject({ code: 'ERR_DATASET_EMPTY' });
});

test('undefined where there are no images', async () => {
  await put('semseg/0.png');
  expect(await listClevrFolder(folder)).toBeUndefined();
});
