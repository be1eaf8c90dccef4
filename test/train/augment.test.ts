import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NORMALISATION } from '#lib/embed/preprocess.js';
import { drawView } from '#lib/train/augment.js';
import { brightness, contrast, hue, saturation } from '#lib/train/colour.js';
import { pixelMap } from '#lib/train/geometry.js';
import { openImages } from '#lib/train/images.js';
import { config, coordinates } from './fakes.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'augment-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const still = { x: 0, y: 0, flipX: false, flipY: false, rotation: 0 };

describe('pixelMap', () => {
  test('flips, crops and rotates counter-clockwise as torchvision does', () => {
    expect([...pixelMap(2, 2, still)]).toEqual([0, 1, 2, 3]);
    expect([...pixelMap(2, 2, { ...still, flipX: true })]).toEqual([1, 0, 3, 2]);
    expect([...pixelMap(2, 2, { ...still, flipY: true })]).toEqual([2, 3, 0, 1]);
    expect([...pixelMap(4, 2, { ...still, x: 1, y: 1 })]).toEqual([5, 6, 9, 10]);
    // torch.rot90 of [[0, 1], [2, 3]] is [[1, 3], [0, 2]].
    expect([...pixelMap(2, 2, { ...still, rotation: 90 })]).toEqual([1, 3, 0, 2]);
  });

  test('looks beyond the image in the corners of a view turned by 45 degrees, and only there', () => {
    const map = pixelMap(32, 32, { ...still, rotation: 45 });
    for (const corner of [0, 31, 31 * 32, 32 * 32 - 1]) expect(map[corner]).toBe(-1);
    expect(map[16 * 32 + 16]).toBeGreaterThanOrEqual(0);
    // The corners cut off of a square turned by 45 degrees: 1 - 2 (sqrt(2) - 1) of its area.
    const beyond = map.filter((from) => from < 0).length / map.length;
    expect(beyond).toBeCloseTo(3 - 2 * Math.SQRT2, 1);
  });
});

test('views are the same for equal (seed, row, view), and differ otherwise', () => {
  const draw = (seed: number, row: number, view: number) =>
    drawView('paper', { width: 32, height: 32 }, 32, { seed, row, view }).map.join();
  expect(draw(1, 2, 3)).toBe(draw(1, 2, 3));
  expect(new Set([draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)]).size).toBe(4);
  const identity = pixelMap(32, 32, still).join();
  expect(draw(1, 2, 0)).toBe(identity);
  expect(drawView('none', { width: 32, height: 32 }, 32, { seed: 1, row: 2, view: 3 }).map.join()).toBe(identity);
});

test('the recipes flip, turn and recolour as often as they say', () => {
  const views = Array.from({ length: 2000 }, (_, view) =>
    drawView('official', { width: 8, height: 4 }, 4, { seed: 7, row: 0, view: view + 1 }),
  );
  const share = (what: (view: (typeof views)[number]) => boolean) => views.filter(what).length / views.length;
  expect(Math.abs(share(({ map }) => map[0]! > map[1]!) - 0.5)).toBeLessThan(0.05);
  expect(Math.abs(share(({ colour }) => colour !== undefined) - (1 - 0.5 * 0.7))).toBeLessThan(0.05);
  const left = views.map(({ map }) => Math.min(map[0]!, map[3]!));
  expect(new Set(left)).toEqual(new Set([0, 1, 2, 3, 4]));
});

describe('all modalities move together', () => {
  for (const [augmentation, width, height] of [
    ['paper', 32, 32],
    ['official', 32, 32],
    ['official', 48, 32],
    ['none', 32, 32],
  ] as const) {
    test(`${augmentation} on ${width} x ${height}`, async () => {
      const samples = await openImages(coordinates(3, { width, height }), config, {
        cache: folder,
        augmentation,
        depth: true,
        seed: 5,
      });
      let outside = 0;
      for (let view = 0; view < 12; view++) {
        const { rgb, semseg, depth, valid } = await samples.read(view % 3, view);
        const recoloured =
          drawView(augmentation, { width, height }, 32, { seed: 5, row: view % 3, view }).colour !== undefined;
        for (let p = 0; p < 1024; p++) {
          if (valid![p] === 0) {
            expect([semseg![p], depth![p], rgb![p], rgb![1024 + p]]).toEqual([256, 0, 0, 0]);
            outside++;
            continue;
          }
          const mm = Math.round(depth![p]! * 1000) - 1000;
          const [x, y] = [Math.floor(mm / 40), mm % 40];
          expect(semseg![p]).toBe(x + y);
          if (recoloured) continue;
          const { mean, std } = NORMALISATION.paper;
          expect((rgb![p]! * std[0] + mean[0]) * 255).toBeCloseTo(4 * x + 1, 2);
          expect((rgb![1024 + p]! * std[1] + mean[1]) * 255).toBeCloseTo(4 * y + 1, 2);
        }
      }
      expect(outside > 0).toBe(augmentation === 'paper');
      await samples.close();
    });
  }
});

test('colour changes follow their definitions', () => {
  const on = (change: (rgb: Float32Array) => void, ...rgb: number[]) => {
    const pixels = Float32Array.from(rgb);
    change(pixels);
    return [...pixels].map((v) => Math.round(v * 100) / 100);
  };
  expect(on(brightness(1.5), 100, 200, 10)).toEqual([150, 255, 15]);
  expect(on(saturation(0), 100, 200, 10)).toEqual([148.44, 148.44, 148.44]);
  expect(on(saturation(1), 100, 200, 10)).toEqual([100, 200, 10]);
  // Mean grey of both pixels: 100.
  expect(on(contrast(0.5), 50, 50, 50, 150, 150, 150)).toEqual([75, 75, 75, 125, 125, 125]);
  expect(on(hue(1 / 3), 255, 0, 0)).toEqual([0, 255, 0]);
  expect(on(hue(-1 / 3), 255, 0, 0)).toEqual([0, 0, 255]);
  expect(on(hue(1), 10, 200, 30)).toEqual([10, 200, 30]);
  expect(on(hue(0.5), 200, 100, 50)).toEqual([50, 150, 200]);
});
