import { describe, expect, test } from 'vitest';
import { random } from '#lib/data/random.js';
import {
  type Clip,
  directions,
  fewestPixels,
  moveScene,
  packScene,
  planClips,
  project,
  type Scene,
  sampleScene,
} from '#lib/data/scenes.js';

const clip = (over: Partial<Clip> = {}): Clip => ({
  index: 0,
  split: 'train',
  camera: 'front',
  objects: 6,
  first: 0,
  frames: 1,
  ...over,
});

const between = (scene: Scene) =>
  scene.objects.flatMap((a, i) =>
    scene.objects.slice(0, i).map((b) => {
      const dx = a.position[0] - b.position[0];
      const dy = a.position[1] - b.position[1];
      return { dx, dy, gap: Math.hypot(dx, dy) - a.scale - b.scale };
    }),
  );

describe('random', () => {
  test('is the same stream on every machine', () => {
    const rng = random(1, 2, 3);
    const drawn = Array.from({ length: 4 }, () => rng.integer(0, 999));
    expect(drawn).toEqual([447, 460, 78, 622]);
  });

  test('has another stream for every key, in whichever place and beyond 32 bits', () => {
    const first = (...keys: number[]) => random(...keys).uniform(0, 1);
    const keys = [[], [0], [1], [0, 0], [0, 1], [1, 0], [2 ** 32], [2 ** 40 + 1], [2 ** 32 + 1]];
    expect(new Set(keys.map((k) => first(...k))).size).toBe(keys.length);
  });

  test('is uniform', () => {
    const counts = new Array(10).fill(0);
    for (let key = 0; key < 200; key++) {
      const rng = random(7, key);
      for (let i = 0; i < 50; i++) counts[rng.integer(0, 9)]++;
    }
    const chi2 = counts.reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0);
    expect(chi2).toBeLessThan(27.9); // 9 degrees of freedom, p = 0.001
  });
});

describe('uniform', () => {
  const clips = planClips('uniform', 4000, 5, 0.2);

  test('has every count from 3 to 10 equally often and every fifth scene in val', () => {
    expect(clips).toHaveLength(4000);
    expect(clips.filter(({ split }) => split === 'val').map(({ first }) => first % 5)).toEqual(new Array(800).fill(4));
    for (let n = 3; n <= 10; n++) {
      const share = clips.filter(({ objects }) => objects === n).length / 4000;
      expect(share).toBeGreaterThan(0.105);
      expect(share).toBeLessThan(0.145);
    }
  });

  test('spreads any other part of val as evenly, down to none', () => {
    const vals = planClips('uniform', 1000, 5, 0.03).filter(({ split }) => split === 'val');
    expect(vals).toHaveLength(30);
    expect(planClips('uniform', 10, 5, 0).every(({ split }) => split === 'train')).toBe(true);
  });

  test("keeps CLEVR's distances, jitters and choices", () => {
    const seen = new Set<string>();
    for (let i = 0; i < 300; i++) {
      const scene = sampleScene(5, clip({ index: i, objects: 3 + (i % 8) }), 1);
      expect(scene.objects).toHaveLength(3 + (i % 8));
      const { behind, right } = directions(scene.camera);
      for (const { dx, dy, gap } of between(scene)) {
        expect(gap).toBeGreaterThanOrEqual(0.25);
        for (const axis of [behind, right]) expect(Math.abs(dx * axis[0] + dy * axis[1])).toBeGreaterThanOrEqual(0.4);
      }
      for (const o of scene.objects) {
        expect(Math.max(Math.abs(o.position[0]), Math.abs(o.position[1]))).toBeLessThanOrEqual(3);
        expect(o.position[2]).toBe(o.scale);
        seen.add(o.shape).add(o.material).add(o.color).add(o.size);
      }
      const [x, y, z] = scene.camera.location;
      expect(Math.max(Math.abs(x - 7.481), Math.abs(y + 6.508), Math.abs(z - 5.344))).toBeLessThan(0.502);
    }
    expect(seen.size).toBe(3 + 2 + 8 + 2);
  });

  test('draws the same scene for the same arguments and another one for any other', () => {
    const numbers = (seed: number, index: number, attempt: number) =>
      packScene(sampleScene(seed, clip({ index }), attempt)).join();
    expect(numbers(1, 2, 3)).toBe(numbers(1, 2, 3));
    expect(new Set([numbers(1, 2, 3), numbers(2, 2, 3), numbers(1, 3, 3), numbers(1, 2, 4)]).size).toBe(4);
  });
});

describe('logs', () => {
  const clips = Array.from({ length: 10 }, (_, seed) => planClips('logs', 5000, seed, 0.2));
  const train = clips.flat().filter(({ split }) => split === 'train');

  test('keeps clips whole: frames follow one another and no clip is in both splits', () => {
    for (const plan of clips) {
      let next = 0;
      plan.forEach((c, i) => {
        expect(c.index).toBe(i);
        expect(c.first).toBe(next);
        next += c.frames;
      });
      expect(next).toBe(5000);
      expect(plan.filter(({ split }) => split === 'val').reduce((sum, c) => sum + c.frames, 0)).toBe(1000);
    }
  });

  test('has clips of heavy-tailed length: half of them short, a tenth of them half of the frames', () => {
    const lengths = train.map(({ frames }) => frames).sort((a, b) => b - a);
    const frames = lengths.reduce((sum, n) => sum + n, 0);
    expect(lengths[lengths.length >> 1]).toBeLessThanOrEqual(9);
    expect(frames / lengths.length).toBeGreaterThan(13);
    expect(frames / lengths.length).toBeLessThan(17);
    expect(lengths[0]).toBe(160);
    const longest = lengths.slice(0, lengths.length / 10).reduce((sum, n) => sum + n, 0);
    expect(longest / frames).toBeGreaterThan(0.35);
    expect(longest / frames).toBeLessThan(0.55);
  });

  test('has 12 % of its clips from rare cameras and counts that fall geometrically', () => {
    const share = (what: (c: Clip) => boolean) => train.filter(what).length / train.length;
    expect(share(({ camera }) => camera !== 'front')).toBeGreaterThan(0.1);
    expect(share(({ camera }) => camera !== 'front')).toBeLessThan(0.14);
    expect(share(({ camera }) => camera === 'close')).toBeGreaterThan(0.003);
    expect(share(({ camera }) => camera === 'close')).toBeLessThan(0.02);
    expect(share(({ objects }) => objects === 3)).toBeGreaterThan(0.38);
    expect(share(({ objects }) => objects >= 8)).toBeLessThan(0.1);
    expect(share(({ objects }) => objects >= 8)).toBeGreaterThan(0.03);
  });

  test('validates on every camera and every count equally', () => {
    const val = clips[0]!.filter(({ split }) => split === 'val');
    const cells = new Map<string, number>();
    for (const { camera, objects } of val)
      cells.set(`${camera} ${objects}`, (cells.get(`${camera} ${objects}`) ?? 0) + 1);
    expect(cells.size).toBe(40);
    expect([...cells.values()].every((n) => n === 25)).toBe(true);
  });

  test('moves little from frame to frame, stays near the first frame and never lets objects touch', () => {
    for (let index = 0; index < 20; index++) {
      const long = clip({ index, frames: 160, objects: 8 });
      const first = sampleScene(3, long, 1);
      expect(moveScene(first, 3, long, 0)).toBe(first);
      let before = first;
      for (let frame = 1; frame < 160; frame++) {
        const now = moveScene(first, 3, long, frame);
        for (let k = 0; k < 3; k++) {
          expect(Math.abs(now.camera.location[k]! - before.camera.location[k]!)).toBeLessThan(0.05);
          expect(Math.abs(now.camera.location[k]! - first.camera.location[k]!)).toBeLessThanOrEqual(0.25);
        }
        for (const { gap } of between(now)) expect(gap).toBeGreaterThan(0);
        before = now;
      }
      const moved = before.objects.filter((o, i) => o.position[0] !== first.objects[i]!.position[0]).length;
      expect(moved).toBeLessThan(8);
      expect(packScene(before)).not.toEqual(packScene(first));
    }
  });
});

test('the camera looks at the origin, which lands in the middle of the image', () => {
  const { camera } = sampleScene(0, clip(), 1);
  const [x, y, depth] = project(camera, [0, 0, 0], 224);
  expect(x).toBeCloseTo(112, 9);
  expect(y).toBeCloseTo(112, 9);
  expect(depth).toBeCloseTo(Math.hypot(...camera.location), 9);
  // what is higher up is higher in the image, what is to the right is to the right
  expect(project(camera, [0, 0, 1], 224)[1]).toBeLessThan(112);
  expect(project(camera, camera.right, 224)[0]).toBeGreaterThan(112);
});

test("CLEVR's 200 pixels at 320 are 98 at 224 and 32 at 128", () => {
  expect([320, 224, 128, 32].map(fewestPixels)).toEqual([200, 98, 32, 2]);
});
