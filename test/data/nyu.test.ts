import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { File, type GuessableDataTypes, ready } from 'h5wasm/node';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import type { Modality } from '#lib/data/dataset.js';
import { openDataset } from '#lib/data/open.js';

const count = 3;
const width = 7;
const height = 5;

/** What pixel (x, y) of sample n holds: each of the numbers different from its neighbours in every direction. */
const colour = (n: number, c: number, x: number, y: number) => (n * 101 + c * 53 + x * 11 + y * 2) % 256;
const label = (n: number, x: number, y: number) => 894 - (n * 300 + x * 20 + y);
const metres = (n: number, x: number, y: number) => n + x / 8 + y / 1024;

const each = (...shape: number[]) => {
  let all: number[][] = [[]];
  for (const length of shape) all = all.flatMap((index) => Array.from({ length }, (_, i) => [...index, i]));
  return all;
};
const images = Uint8Array.from(each(count, 3, width, height), ([n, c, x, y]) => colour(n!, c!, x!, y!));
const labels = Uint16Array.from(each(count, width, height), ([n, x, y]) => label(n!, x!, y!));
const depths = Float32Array.from(each(count, width, height), ([n, x, y]) => metres(n!, x!, y!));

type Arrays = Record<string, { data: GuessableDataTypes; shape: number[]; compression?: number; chunks?: number[] }>;
const complete: Arrays = {
  images: { data: images, shape: [count, 3, width, height], chunks: [1, 3, width, height], compression: 6 },
  labels: { data: labels, shape: [count, width, height] },
  // A chunk holds parts of several samples, as MATLAB's do.
  depths: { data: depths, shape: [count, width, height], chunks: [2, 3, 2], compression: 6 },
};

let folder: string;
let files = 0;

beforeAll(async () => {
  await ready;
  folder = await mkdtemp(join(tmpdir(), 'coregain-nyu-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes HDF5 behind MATLAB's header of 512 bytes. */
async function writeMat(arrays: Arrays, scenes?: string[]): Promise<string> {
  const path = join(folder, `${files++}.mat`);
  const file = new File(`${path}.h5`, 'w');
  for (const [name, { data, shape, ...storage }] of Object.entries(arrays)) {
    file.create_dataset({ name, data, shape, ...storage });
  }
  if (scenes) {
    const refs = file.create_group('#refs#');
    const data = scenes.map((scene, i) => {
      const codes = Uint16Array.from(scene, (letter) => letter.charCodeAt(0));
      return refs.create_dataset({ name: `s${i}`, data: codes, shape: [codes.length, 1] }).create_reference();
    });
    file.create_dataset({ name: 'scenes', data, shape: [1, scenes.length] });
  }
  file.close();
  const header = Buffer.alloc(512, ' ');
  header.write('MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .');
  header.set([0x00, 0x02, 0x49, 0x4d], 124);
  await writeFile(path, Buffer.concat([header, await readFile(`${path}.h5`)]));
  return path;
}

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => expect.unreachable('did not fail'),
    (error) => error,
  );

describe('a labelled file', () => {
  it('gives every pixel where MATLAB had it', async () => {
    const dataset = await openDataset(await writeMat(complete));
    expect(dataset.modalities).toEqual(['rgb', 'semseg', 'depth']);
    for (let n = count - 1; n >= 0; n--) {
      const image = async (modality: Modality) => (await dataset.read(n, modality)).decode();
      const [rgb, semseg, depth] = await Promise.all([image('rgb'), image('semseg'), image('depth')]);
      expect(rgb).toMatchObject({ width, height, channels: 3 });
      for (const raster of [semseg, depth]) expect(raster).toMatchObject({ width, height, channels: 1 });
      expect(rgb.data).toEqual(Uint8Array.from(each(height, width, 3), ([y, x, c]) => colour(n, c!, x!, y!)));
      expect(semseg.data).toEqual(Uint16Array.from(each(height, width), ([y, x]) => label(n, x!, y!)));
      expect(depth.data).toEqual(Float32Array.from(each(height, width), ([y, x]) => metres(n, x!, y!)));
    }
    await dataset.close();
  });

  it('has ids like MATLAB indices, metres as unit, and the scenes as metadata', async () => {
    const path = await writeMat(complete, ['kitchen_0004', 'bureau_Île', 'kitchen_0004']);
    const dataset = await openDataset(path, { split: 'train' });
    expect(dataset.root).toBe(path);
    expect(dataset.samples.map(({ metadata }) => metadata.scene)).toEqual([
      'kitchen_0004',
      'bureau_Île',
      'kitchen_0004',
    ]);
    expect(dataset.samples[1]).toMatchObject({ id: '0002', split: 'train', paths: {}, depthScale: 1 });
    await dataset.close();
  });

  it('gives bytes that differ where the pixels do, and only there', async () => {
    const dataset = await openDataset(await writeMat(complete));
    const bytes = async (n: number) => Buffer.from((await dataset.read(n, 'rgb')).bytes);
    expect(await bytes(0)).toEqual(Buffer.from(images.subarray(0, 3 * width * height)));
    expect(await bytes(0)).not.toEqual(await bytes(1));
    await dataset.close();
  });

  it('may lack labels or depths', async () => {
    const dataset = await openDataset(await writeMat({ images: complete.images! }));
    expect(dataset.modalities).toEqual(['rgb']);
    expect(dataset.samples[0]!.depthScale).toBeNaN();
    const error = await failure(dataset.read(0, 'depth'));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_FILE_MISSING' });
    expect(error.message).toContain('has no depth. Choose among rgb.');
    await dataset.close();
  });

  it('refuses to be read once closed, and what is not there', async () => {
    const dataset = await openDataset(await writeMat(complete));
    expect(await failure(dataset.read(count, 'rgb'))).toMatchObject({ name: 'RangeError' });
    const late = failure(dataset.read(0, 'rgb'));
    await dataset.close();
    await dataset.close();
    expect(await late).toMatchObject({ name: 'DataError', code: 'ERR_DATASET_CLOSED' });
  });
});

describe('a file that cannot be used', () => {
  const cases: [string, Arrays, string][] = [
    ['no images', { labels: complete.labels! }, 'has no array `images` (it has labels)'],
    [
      'labels of other size',
      { ...complete, labels: { data: new Uint16Array(105), shape: [3, 5, 7] } },
      'labels is 3 x 5 x 7',
    ],
    [
      'fewer depths',
      { ...complete, depths: { data: new Float32Array(70), shape: [2, 7, 5] } },
      'must be 3 x 7 x 5 of single',
    ],
    [
      'images of another type',
      { images: { data: depths, shape: [3, 1, 7, 5] } },
      'images is 3 x 1 x 7 x 5 of type "<f"',
    ],
    [
      'images of four channels',
      { images: { data: new Uint8Array(140), shape: [1, 4, 7, 5] } },
      'it must be N x 3 x W x H of uint8',
    ],
    [
      'one image without N',
      { images: { data: new Uint8Array(105), shape: [3, 7, 5] } },
      'it must be N x 3 x W x H of uint8',
    ],
  ];
  test.each(cases)('%s', async (_, arrays, message) => {
    const path = await writeMat(arrays);
    const error = await failure(openDataset(path));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_NYU_FILE' });
    expect(error.message).toContain(path);
    expect(error.message).toContain(message);
  });

  test('one that is cut off', async () => {
    const path = await writeMat(complete);
    const whole = await readFile(path);
    for (const length of [whole.length - 1, whole.length >> 1, 600]) {
      await writeFile(path, whole.subarray(0, length));
      const error = await failure(openDataset(path));
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_NYU_FILE' });
      expect(error.message).toContain(`${path} failed at opening it`);
      expect(error.message).toContain('Download it again');
    }
  });

  test('one with damaged pixels: the sample is named, the other can be read', async () => {
    const side = 64;
    const plane = 3 * side * side;
    let state = 1;
    const data = Uint8Array.from({ length: 2 * plane }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 26;
    });
    const images = { data, shape: [2, 3, side, side], chunks: [1, 3, side, side], compression: 6 };
    const bytes = await readFile(await writeMat({ images }));
    // The two chunks lie one behind the other and fill most of the file.
    for (const [damaged, at] of [
      [0, bytes.length >> 2],
      [1, bytes.length - 2000],
    ] as const) {
      const path = join(folder, `damaged-${damaged}.mat`);
      await writeFile(path, Buffer.from(bytes).fill(0xff, at, at + 64));
      const dataset = await openDataset(path);
      const good = data.subarray((1 - damaged) * plane, (2 - damaged) * plane);
      expect((await dataset.read(1 - damaged, 'rgb')).bytes).toEqual(good);
      const error = await failure(dataset.read(damaged, 'rgb'));
      expect((await dataset.read(1 - damaged, 'rgb')).bytes).toEqual(good);
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_NYU_FILE' });
      expect(error.message).toContain(`${path} failed at reading rgb of sample "000${damaged + 1}"`);
      await dataset.close();
    }
  });

  test('an older MATLAB file', async () => {
    const path = join(folder, 'old.mat');
    await writeFile(path, 'MATLAB 5.0 MAT-file, Platform: GLNXA64'.padEnd(2000));
    const error = await failure(openDataset(path));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_DATASET_LAYOUT' });
    expect(error.message).toContain('-v7.3');
  });
});

test('memory does not grow with the file, and the event loop is served meanwhile', async () => {
  const n = 160;
  const path = join(folder, 'large.mat');
  const data = new Uint8Array(n * 3 * 640 * 480).map((_, i) => i >> 12);
  const file = new File(path, 'w');
  file.create_dataset({ name: 'images', data, shape: [n, 3, 640, 480] });
  file.close();
  // In a process of its own: this one has held all of it.
  const script = `
    const { openDataset } = await import('#lib/data/open.js');
    const dataset = await openDataset(process.argv[1]);
    const read = async (i) => (await dataset.read(i, 'rgb')).decode();
    for (let i = 0; i < 10; i++) await read(i);
    const before = process.resourceUsage().maxRSS;
    for (let i = 10; i < dataset.samples.length; i++) await read(i);
    const growth = (process.resourceUsage().maxRSS - before) * 1024;

    // All at once, a timer still gets its turn.
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await Promise.all(dataset.samples.map((_, i) => dataset.read(i, 'rgb')));
    clearInterval(timer);
    console.log(growth, ticks);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, path]);
  expect(data.length).toBeGreaterThan(140e6);
  const [growth, ticks] = stdout.split(' ').map(Number);
  expect(growth).toBeLessThan(70e6);
  expect(ticks).toBeGreaterThan(10);
});
