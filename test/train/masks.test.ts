import { expect, test } from 'vitest';
import { random } from '#lib/data/random.js';
import type { MaskedConfig } from '#lib/train/maskedGraph.js';
import { drawVisible, maskedData } from '#lib/train/masks.js';
import type { TrainingData } from '#lib/train/types.js';
import { officialConfig } from '../models/golden.js';

/** Of two modalities with 196 patches each. */
const draw = (sample: number) => drawVisible(2, 196, 98, random(1, sample));
const ofFirst = (ids: Int32Array) => ids.filter((id) => id < 196).length;

test('as many patches as asked for, each once, ascending, whatever the split', () => {
  for (const visible of [1, 3, 98, 250, 391]) {
    for (let sample = 0; sample < 50; sample++) {
      const ids = drawVisible(2, 196, visible, random(2, sample));
      expect(ids).toHaveLength(visible);
      expect(new Set(ids).size).toBe(visible);
      expect([...ids]).toEqual([...ids].sort((a, b) => a - b));
      expect(ids[0]).toBeGreaterThanOrEqual(0);
      expect(ids.at(-1)).toBeLessThan(392);
    }
  }
  expect([...drawVisible(3, 4, 12, random(0))]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test('the share of a modality is uniform in 0..1, which Dirichlet(1, 1) is; patches within it are uniform', () => {
  const draws = Array.from({ length: 4000 }, (_, sample) => draw(sample));
  const shares = draws.map((ids) => ofFirst(ids) / 98);
  // Standard error of each tenth's frequency is 0.0047.
  for (let tenth = 1; tenth < 10; tenth++) {
    const below = shares.filter((share) => share <= tenth / 10).length / shares.length;
    expect(Math.abs(below - tenth / 10), `share below ${tenth / 10}`).toBeLessThan(0.04);
  }
  const seen = new Float64Array(392);
  for (const ids of draws) for (const id of ids) seen[id]!++;
  // Each is seen in a quarter of the draws; the standard deviation of a count is at most 32.
  for (const [id, count] of seen.entries()) expect(Math.abs(count - 1000), `patch ${id}`).toBeLessThan(160);
});

test('three modalities have a third each in the mean', () => {
  const counts = [0, 0, 0];
  for (let sample = 0; sample < 2000; sample++) {
    for (const id of drawVisible(3, 16, 12, random(3, sample))) counts[Math.floor(id / 16)]!++;
  }
  for (const count of counts) expect(count / 24_000).toBeCloseTo(1 / 3, 1);
});

test('masks depend on seed, sample and pass alone', async () => {
  const model: MaskedConfig = {
    encoder: officialConfig,
    decoder: { dim: 16, depth: 1, heads: 1 },
    rebuilt: ['rgb', 'semseg'],
    visible: 8,
    training: 'end-to-end',
    loss: 'masked',
  };
  const nothing: TrainingData = { samples: 20, batch: async () => ({}) };
  const of = async (places: number[], epoch: number, seed = 5) => {
    const { visible } = await maskedData(nothing, model, seed).batch(Int32Array.from(places), epoch);
    expect(visible!.dims).toEqual([places.length, 8]);
    return places.map((_, i) => visible!.data.slice(8 * i, 8 * i + 8));
  };
  const [a, b] = await of([3, 7], 2);
  expect(await of([7, 0, 3], 2)).toEqual([b, expect.anything(), a]);
  expect(a).not.toEqual(b);
  expect(await of([3], 1)).not.toEqual([a]);
  expect(await of([3], 2, 6)).not.toEqual([a]);
});
