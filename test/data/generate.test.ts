import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type GenerateOptions, generateScenes } from '#lib/data/generate.js';
import { classOf, MATERIALS, moveScene, packScene, planClips, SHAPES, sampleScene } from '#lib/data/scenes.js';
import { native } from '#lib/native.js';
import { shared } from '../shared.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coregain-scenes-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const small: GenerateOptions = { scenes: 10, size: 48, regime: 'uniform', seed: 1 };

const json = async (...path: string[]) => JSON.parse(await readFile(join(...path), 'utf8'));
const manifest = async (root: string) =>
  (await readFile(join(root, 'manifest.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const image = async (...path: string[]) => decode(await readFile(join(...path)));

async function everything(root: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files[path.slice(root.length)] = (await readFile(path)).toString('base64');
  }
  return files;
}

test('the same seed gives the same bytes whatever the threads; another seed gives other images', async () => {
  const [a, b, c] = ['a', 'b', 'c'].map((name) => join(folder, name)) as [string, string, string];
  await generateScenes(a, { ...small, threads: 1 });
  await generateScenes(b, { ...small, threads: 3 });
  await generateScenes(c, { ...small, seed: 2 });
  const [first, second, third] = await Promise.all([a, b, c].map(everything));
  expect(Object.keys(first!)).toHaveLength(10 * 5 + 2);
  expect(second).toEqual(first);
  for (const name of ['/rgb/000003.png', '/depth/000003.png', '/scenes/000003.json'])
    expect(third![name]).not.toBe(first![name]);
});

describe.each(['uniform', 'logs'] as const)('%s', (regime) => {
  test('images hold exactly what was rendered, and the manifest and the JSON say what is in them', async () => {
    const options = { ...small, scenes: 20, regime, valFraction: 0.25 };
    const result = await generateScenes(folder, options);
    expect(result).toMatchObject({ scenes: 20, train: 15, val: 5, rendered: 20, folder });
    const rows = await manifest(folder);
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 20 }, (_, i) => String(i).padStart(6, '0')));
    const clips = planClips(regime, 20, 1, 0.25);
    for (const row of rows) {
      const scene = await json(folder, row.scene);
      const clip = clips.findLast(({ first }) => first <= Number(row.id))!;
      const frame = Number(row.id) - clip.first;
      const drawn = moveScene(sampleScene(1, clip, scene.placement_attempts), 1, clip, frame);
      const [pixels] = await native().renderScenes({
        scenes: [packScene(drawn)],
        size: 48,
        labelsOnly: false,
        threads: 1,
      });

      const rgb = await image(folder, row.rgb);
      expect([rgb.width, rgb.height, rgb.channels, rgb.depth]).toEqual([48, 48, 3, 8]);
      expect(rgb.data).toEqual(pixels!.rgb);
      const depth = await image(folder, row.depth);
      expect([depth.channels, depth.depth]).toEqual([1, 16]);
      expect(depth.data).toEqual(pixels!.depth);
      const semseg = await image(folder, row.semseg);
      const instance = await image(folder, row.instance);
      expect([semseg.channels, semseg.depth, instance.channels, instance.depth]).toEqual([1, 8, 1, 8]);
      expect(semseg.data).toEqual(pixels!.semseg);
      expect(instance.data).toEqual(pixels!.instance);

      expect(row.n_objects).toBe(scene.objects.length);
      expect(row.depth_scale).toBe(0.001);
      const classes = [0, ...drawn.objects.map(classOf)];
      expect([...semseg.data]).toEqual([...instance.data].map((id) => classes[id]));
      scene.objects.forEach((object: Record<string, unknown>, i: number) => {
        const shape = SHAPES.indexOf(object.shape as never);
        expect(object.class_id).toBe(1 + shape * 2 + MATERIALS.indexOf(object.material as never));
        expect(object.visible_pixels).toBe([...instance.data].filter((id) => id === i + 1).length);
        if (frame === 0) expect(object.visible_pixels).toBeGreaterThanOrEqual(5);
      });
      expect(Math.min(...depth.data) / 1000).toBeCloseTo(scene.depth_min, 9);
      expect(Math.max(...depth.data) / 1000).toBeCloseTo(scene.depth_max, 9);
      if (regime === 'logs') expect(row).toMatchObject({ clip: clip.index, frame, camera: clip.camera });
      else expect(row).not.toHaveProperty('clip');
    }
    for (const { clip } of rows) {
      if (clip === undefined) continue;
      expect(new Set(rows.filter((row) => row.clip === clip).map(({ split }) => split)).size).toBe(1);
    }
  });
});

test('planar depth: where the centre of a sphere projects to, depth is that of its front', async () => {
  await generateScenes(folder, { ...small, scenes: 24, size: 96 });
  let spheres = 0;
  for (const row of await manifest(folder)) {
    const { objects, camera } = await json(folder, row.scene);
    const depth = await image(folder, row.depth);
    const instance = await image(folder, row.instance);
    for (const o of objects) {
      // independent of lib: world -> camera by matrix_world, camera -> pixel by fx
      const m: number[][] = camera.matrix_world;
      const to = [0, 1, 2].map((k) => o['3d_coords'][k] - m[k]![3]!);
      const [cx, cy, cz] = [0, 1, 2].map((k) => to.reduce((sum, v, r) => sum + v * m[r]![k]!, 0)) as [
        number,
        number,
        number,
      ];
      const u = camera.cx + (camera.fx * cx) / -cz;
      const v = camera.cy - (camera.fy * cy) / -cz;
      expect(Math.abs(o.pixel_coords[0] - u)).toBeLessThanOrEqual(0.5);
      expect(Math.abs(o.pixel_coords[1] - v)).toBeLessThanOrEqual(0.5);
      expect(o.pixel_coords[2]).toBeCloseTo(-cz, 9);
      const x = Math.floor(u);
      const y = Math.floor(v);
      if (o.shape !== 'sphere' || instance.data[y * 96 + x] !== o.instance_id) continue;
      spheres++;
      // nearer root of |ray * t - centre| = radius, ray through the pixel's own centre with length 1 along the axis
      const ray = [(x + 0.5 - camera.cx) / camera.fx, (camera.cy - y - 0.5) / camera.fy, -1];
      const a = ray.reduce((sum, r) => sum + r * r, 0);
      const b = ray[0]! * cx + ray[1]! * cy + ray[2]! * cz;
      const c = cx * cx + cy * cy + cz * cz - o.scale ** 2;
      const expected = (b - Math.sqrt(b * b - a * c)) / a;
      expect(Math.abs(depth.data[y * 96 + x]! * row.depth_scale - expected)).toBeLessThan(0.000501);
    }
  }
  expect(spheres).toBeGreaterThan(15);
});

test('frames of a clip are near-duplicates: far nearer to each other than scenes of other clips', async () => {
  await generateScenes(folder, { ...small, scenes: 60, regime: 'logs', seed: 4 });
  const rows = (await manifest(folder)).filter(({ split }) => split === 'train');
  const pixels = await Promise.all(rows.map(async ({ rgb }) => (await image(folder, rgb)).data));
  const distance = (i: number, j: number) =>
    Math.sqrt(pixels[i]!.reduce((sum, v, k) => sum + (v - pixels[j]![k]!) ** 2, 0) / pixels[i]!.length);
  const within: number[] = [];
  const across: number[] = [];
  for (let i = 0; i < rows.length; i++)
    for (let j = 0; j < i; j++) (rows[i].clip === rows[j].clip ? within : across).push(distance(i, j));
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  expect(within.length).toBeGreaterThan(50);
  expect(Math.min(...within)).toBeGreaterThan(0);
  expect(median(within) / median(across)).toBeLessThan(0.4);
});

describe('a folder', () => {
  test('of an interrupted run has no manifest, and the same call continues it to the same bytes', async () => {
    const options = { ...small, scenes: 70, regime: 'logs' as const };
    const part = join(folder, 'part');
    const stop = new AbortController();
    const reason = new Error('enough');
    const interrupted = generateScenes(part, {
      ...options,
      signal: stop.signal,
      onProgress: ({ done }) => done > 0 && stop.abort(reason),
    });
    await expect(interrupted).rejects.toBe(reason);
    expect(existsSync(join(part, 'manifest.jsonl'))).toBe(false);
    const kept = (await readdir(join(part, 'scenes'))).filter((name) => name.endsWith('.json'));
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.length).toBeLessThan(70);
    // what a kill can leave: an image half written, its JSON not yet there
    await writeFile(join(part, 'rgb', '000069.png'), 'torn');
    const before = (await stat(join(part, 'rgb', kept[0]!.replace('json', 'png')))).mtimeMs;

    expect((await generateScenes(part, options)).rendered).toBe(70 - kept.length);
    expect((await stat(join(part, 'rgb', kept[0]!.replace('json', 'png')))).mtimeMs).toBe(before);
    await generateScenes(join(folder, 'whole'), options);
    expect(await everything(part)).toEqual(await everything(join(folder, 'whole')));
    expect((await generateScenes(part, options)).rendered).toBe(0);
  });

  test.each([
    [{ seed: 2 }, /seed 1 instead of 2/],
    [{ size: 64 }, /size 48 instead of 64/],
    [{ regime: 'logs' as const, scenes: 9 }, /scenes 10 instead of 9, regime uniform instead of logs/],
  ])('of other parameters is refused: %o', async (change, message) => {
    await generateScenes(folder, small);
    const before = await everything(folder);
    const refused = generateScenes(folder, { ...small, ...change });
    await expect(refused).rejects.toMatchObject({
      code: 'ERR_OTHER_PARAMETERS',
      message: expect.stringMatching(message),
    });
    expect(await everything(folder)).toEqual(before);
  });

  test('is rendered once by processes that come at the same time', async () => {
    const options = { ...small, scenes: 24 };
    const code = `import { generateScenes } from ${JSON.stringify(import.meta.resolve('#lib/data/generate.js'))};
      const options = ${JSON.stringify(options)};
      console.log((await generateScenes(${JSON.stringify(join(folder, 'both'))}, options)).rendered);`;
    const other = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', code]);
    const rendered = (await Promise.all([other(), other()])).map(({ stdout }) => Number(stdout));
    expect(rendered.sort()).toEqual([0, 24]);
    await generateScenes(join(folder, 'one'), options);
    expect(await everything(join(folder, 'both'))).toEqual(await everything(join(folder, 'one')));
  });

  test('in which another machine is at work waits until nothing has been heard of it for a minute', async () => {
    const lock = join(folder, 'lock.elsewhere.7.1.1');
    await writeFile(lock, '');
    let done = false;
    const generating = generateScenes(folder, small).then((result) => {
      done = true;
      return result;
    });
    await setTimeout(1500);
    expect(done).toBe(false);
    const past = new Date(Date.now() - 61_000);
    await utimes(lock, past, past);
    expect((await generating).rendered).toBe(small.scenes);
    expect((await readdir(folder)).filter((name) => name.startsWith('lock.'))).toEqual([]);
  });

  test('with files of somebody else is refused and left alone', async () => {
    await writeFile(join(folder, 'thesis.tex'), 'years of work');
    await expect(generateScenes(folder, small)).rejects.toMatchObject({ code: 'ERR_FOLDER_NOT_EMPTY' });
    expect(await readdir(folder)).toEqual(['thesis.tex']);
  });
});

test.each([
  [{ scenes: 0 }, RangeError, /`scenes`/],
  [{ scenes: 1.5 }, RangeError, /`scenes`/],
  [{ size: 16 }, RangeError, /`size`/],
  [{ seed: -1 }, RangeError, /`seed`/],
  [{ seed: '1' as never }, TypeError, /`seed`/],
  [{ regime: 'video' as never }, RangeError, /`regime`/],
  [{ valFraction: 1 }, RangeError, /`valFraction`/],
  [{ valFraction: Number.NaN }, RangeError, /`valFraction`/],
])('names the bad option: %o', async (change, kind, message) => {
  const bad = generateScenes(join(folder, 'new'), { ...small, ...change });
  await expect(bad).rejects.toThrow(kind);
  await expect(bad).rejects.toThrow(message);
  expect(existsSync(join(folder, 'new'))).toBe(false);
});

test('an aborted signal rejects with its reason before anything is written', async () => {
  const target = join(folder, 'new');
  await expect(generateScenes(target, { ...small, signal: AbortSignal.abort('no') })).rejects.toBe('no');
  expect(existsSync(target)).toBe(false);
});

test('progress never falls, ends with all scenes, and counts those that were there', async () => {
  const seen: number[] = [];
  const onProgress = ({ done, total, unit }: { done: number; total: number; unit: string }) => {
    expect([total, unit]).toEqual([10, 'scenes']);
    seen.push(done);
  };
  await generateScenes(folder, { ...small, onProgress });
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen.at(-1)).toBe(10);
  await generateScenes(folder, { ...small, onProgress });
  expect(seen.at(-1)).toBe(10);
});

describe.skipIf(!shared)('scenes that Blender rendered (clevr-mini)', () => {
  test('have the same masks and depth here, but for a few pixels at edges', async () => {
    const root = join(shared!, 'data', 'clevr-mini');
    let objects = 0;
    let wrong = 0;
    const errors: number[] = [];
    for (let i = 0; i < 12; i++) {
      const id = String(i).padStart(6, '0');
      const scene = await json(root, 'scenes', `${id}.json`);
      const column = (k: number) =>
        [0, 1, 2].map((r) => scene.camera.matrix_world[r][k]) as unknown as [number, number, number];
      const packed = packScene({
        camera: { right: column(0), up: column(1), back: column(2), location: column(3) },
        lamps: scene.lights,
        backdrop: [-0.904, 0.4275],
        objects: scene.objects.map((o: Record<string, unknown>) => ({ ...o, position: o['3d_coords'] })),
      });
      const [ours] = await native().renderScenes({ scenes: [packed], size: 224, labelsOnly: true, threads: 1 });
      const instance = await image(root, 'instance', `${id}.png`);
      const depth = await image(root, 'depth', `${id}.png`);
      instance.data.forEach((theirs, p) => {
        if (theirs > 0) objects++;
        if (theirs !== ours!.instance[p]) wrong++;
        else errors.push(Math.abs(depth.data[p]! - ours!.depth[p]!));
      });
    }
    expect(wrong / objects).toBeLessThan(0.015);
    errors.sort((a, b) => a - b);
    expect(errors[errors.length >> 1]).toBeLessThan(10); // millimetres; the backdrop is a fit
  });
});
