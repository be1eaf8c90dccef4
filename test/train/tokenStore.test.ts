import { mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AdapterConfig } from '#lib/models/adapter.js';
import { type ImageOptions, type Images, openImages } from '#lib/train/images.js';
import { tokenData } from '#lib/train/tokenData.js';
import { openTokenStore } from '#lib/train/tokenStore.js';
import type { ModelConfig } from '#lib/train/trainingGraph.js';
import { fakeEncoder } from '../embed/fakes.js';
import { coordinates } from './fakes.js';

const encoder = fakeEncoder({ semsegClasses: 20 });
const dpt: AdapterConfig = { kind: 'dpt', hooks: [0, 2], layerDims: [4, 4], features: 4 } as never;
const modelOf = (changes: Partial<ModelConfig> = {}): ModelConfig => ({
  encoder: encoder.config,
  adapter: dpt,
  mainTasks: ['rgb', 'semseg'],
  training: 'frozen',
  loss: 'mse',
  ...changes,
});

let cache: string;
const opened: Images[] = [];
beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'tokens-'));
});
afterEach(async () => {
  for (const images of opened.splice(0)) await images.close();
  await rm(cache, { recursive: true, force: true });
});

async function images(count: number, options: Partial<ImageOptions> = {}, content = (i: number) => i) {
  const dataset = coordinates(count, { width: 8, height: 8, content });
  const source = await openImages(dataset, encoder.config, { cache: join(cache, 'images'), depth: true, ...options });
  opened.push(source);
  return source;
}

/** What the encoder says of one sample alone. */
async function direct(source: Images, row: number, view: number, layer: number) {
  const { rgb, semseg } = await source.read(row, view);
  const [out] = await encoder.encode({ batch: 1, rgb: rgb!, semseg: semseg!, height: 8, width: 8 }, [layer]);
  return out!.data;
}

test('a record holds the tokens of the main tasks side by side for each hook, then the target', async () => {
  const source = await images(5, { augmentation: 'paper', views: 2 });
  const store = await openTokenStore(source, encoder, modelOf(), { cache, batch: 3 });
  expect([store.rows, store.views, store.computed]).toEqual([5, 2, 10]);
  expect(store.tokensPerSecond).toBeCloseTo((10 * 9) / store.seconds, 6);
  expect(store.fields.map(({ name, dims }) => [name, ...dims])).toEqual([
    ['tokens.0', 4, 12],
    ['tokens.2', 4, 12],
    ['depth', 1, 8, 8],
    ['valid', 1, 8, 8],
  ]);
  for (const [row, view] of [
    [0, 0],
    [3, 1],
    [4, 1],
  ] as const) {
    const record = await store.read(row, view);
    const part = (name: string) => {
      const { offset, length } = store.fields.find((field) => field.name === name)!;
      return record.slice(offset, offset + length);
    };
    for (const layer of [0, 2]) {
      // The sequence is 4 rgb tokens, 4 semseg tokens, the global one.
      const sequence = await direct(source, row, view, layer);
      const expected = [0, 1, 2, 3].flatMap((t) => [
        ...sequence.slice(t * 6, t * 6 + 6),
        ...sequence.slice((t + 4) * 6, (t + 4) * 6 + 6),
      ]);
      expect([...part(`tokens.${layer}`)]).toEqual(expected);
    }
    const sample = await source.read(row, view);
    expect(part('depth')).toEqual(sample.depth);
    expect(part('valid')).toEqual(sample.valid);
  }
  await store.close();
});

test('linear heads get the mean of all tokens, or the last one; classifiers no depth', async () => {
  const source = await images(2, { depth: false });
  const sequence = await direct(source, 1, 0, 2);
  const pooled = async (adapter: object) => {
    const model = modelOf({ adapter: adapter as never, loss: 'cross-entropy' });
    const store = await openTokenStore(source, encoder, model, { cache });
    expect(store.fields).toEqual([{ name: 'pooled', dims: [6], offset: 0, length: 6 }]);
    const record = await store.read(1, 0);
    await store.close();
    return record;
  };
  expect(await pooled({ kind: 'linear', pooling: 'last' })).toEqual(sequence.slice(48));
  const mean = await pooled({ kind: 'classifier' });
  for (let c = 0; c < 6; c++) {
    let sum = 0;
    for (let t = 0; t < 9; t++) sum += sequence[t * 6 + c]!;
    expect(mean[c]).toBeCloseTo(sum / 9, 3);
  }
});

test('one vector a sample is summed where the encoder runs, if that is CUDA', async () => {
  const source = await images(5, { depth: false });
  for (const pooling of ['last', 'mean'] as const) {
    const model = modelOf({ adapter: { kind: 'linear', pooling } as never, loss: 'cross-entropy' });
    const onCuda = fakeEncoder({ semsegClasses: 20 }, { identity: `cuda ${pooling}`, provider: 'cuda' });
    const [there, here] = [
      await openTokenStore(source, onCuda, model, { cache, batch: 3 }),
      await openTokenStore(source, encoder, model, { cache, batch: 3 }),
    ];
    expect([there.computed, here.computed, onCuda.pooled]).toEqual([5, 5, 2]);
    for (let row = 0; row < 5; row++) {
      const expected = await here.read(row, 0);
      (await there.read(row, 0)).forEach((value, c) => {
        expect(Math.abs(value / expected[c]! - 1)).toBeLessThan(1e-6);
      });
    }
    await there.close();
    await here.close();
  }
});

test('nothing is computed twice, and what depends on something else is', async () => {
  const source = await images(6, { augmentation: 'paper', views: 2 }, (i) => i % 4);
  const computed = async (from: Images, by = encoder, model = modelOf()) => {
    const store = await openTokenStore(from, by, model, { cache });
    await store.close();
    return store.computed;
  };
  // Views 0 of rows 4 and 5 are those of 0 and 1; augmented views differ by row.
  expect(await computed(source)).toBe(4 + 6);
  const calls = encoder.calls.length;
  expect(await computed(source)).toBe(0);
  expect(encoder.calls.length).toBe(calls);
  expect(await computed(await images(6, { augmentation: 'paper', views: 3 }, (i) => i % 4))).toBe(6);
  expect(await computed(await images(6, { augmentation: 'paper', views: 2, seed: 1 }, (i) => i % 4))).toBe(6);
  expect(await computed(source, fakeEncoder({ semsegClasses: 20 }, { identity: 'other' }))).toBe(10);
  expect(await computed(source, encoder, modelOf({ mainTasks: ['rgb'] }))).toBe(10);
});

test('stopped and begun again, the records are those of a run that was not', async () => {
  const source = await images(9);
  const whole = await openTokenStore(source, encoder, modelOf(), { cache: join(cache, 'whole'), batch: 2 });
  const controller = new AbortController();
  const stopping = fakeEncoder({ semsegClasses: 20 });
  const encode = stopping.encode.bind(stopping);
  stopping.encode = (...args) => {
    if (stopping.calls.length === 2) controller.abort(new Error('stop'));
    return encode(...args);
  };
  const options = { cache: join(cache, 'parts'), batch: 2 };
  await expect(openTokenStore(source, stopping, modelOf(), { ...options, signal: controller.signal })).rejects.toThrow(
    'stop',
  );
  const stages: number[] = [];
  const parts = await openTokenStore(source, encoder, modelOf(), {
    ...options,
    onProgress: ({ done, total }) => stages.push(done / total),
  });
  expect(parts.computed).toBeGreaterThan(0);
  expect(parts.computed).toBeLessThan(9);
  expect(stages.at(-1)).toBe(1);
  for (let row = 0; row < 9; row++) expect(await parts.read(row, 0)).toEqual(await whole.read(row, 0));
  await parts.close();
  await whole.close();
});

test('mini-batches of tokens: the view of the pass, fields as the graph takes them, labels of the rows', async () => {
  const source = await images(4, { augmentation: 'paper', views: 2 });
  const store = await openTokenStore(source, encoder, modelOf(), { cache });
  const data = tokenData(store, Int32Array.of(3, 1), Int32Array.of(5, 6, 7, 8));
  expect(data.samples).toBe(2);
  for (const epoch of [0, 1, 2]) {
    const batch = await data.batch(Int32Array.of(1, 0, 1), epoch);
    expect(batch['tokens.2']!.dims).toEqual([3, 4, 12]);
    expect(batch.label).toEqual({ data: Int32Array.of(6, 8, 6), dims: [3] });
    for (const [i, row] of [1, 3, 1].entries()) {
      const record = await store.read(row, epoch % 2);
      for (const { name, offset, length } of store.fields) {
        expect(batch[name]!.data.slice(i * length, (i + 1) * length)).toEqual(record.slice(offset, offset + length));
      }
    }
  }
  await store.close();
});

describe('what goes wrong', () => {
  test('a damaged record says so and is computed anew by the next run', async () => {
    const source = await images(3);
    const own = join(cache, 'tokens');
    const store = await openTokenStore(source, encoder, modelOf(), { cache: own });
    const before = await store.read(2, 0);
    const [folder] = await readdir(own);
    const file = await open(join(own, folder!, 'vectors'), 'r+');
    await file.write(Buffer.from([1, 2, 3]), 0, 3, (await file.stat()).size - 9);
    await file.close();
    await expect(store.read(2, 0)).rejects.toMatchObject({ code: 'ERR_CACHE_DAMAGED' });
    await store.close();
    const again = await openTokenStore(source, encoder, modelOf(), { cache: own });
    expect(again.computed).toBe(1);
    expect(await again.read(2, 0)).toEqual(before);
    await again.close();
  });

  test('tokens that are not finite name the sample; the records before stay', async () => {
    const source = await images(4);
    const poisoned = fakeEncoder({ semsegClasses: 20 }, { poison: 2 });
    const options = { cache: join(cache, 'tokens'), batch: 2 };
    await expect(openTokenStore(source, poisoned, modelOf(), options)).rejects.toThrow(/tokens of sample 2/);
    const store = await openTokenStore(source, encoder, modelOf(), options);
    expect(store.computed).toBe(2);
    await store.close();
  });

  test('views without end cannot be cached', async () => {
    const source = await images(1, { augmentation: 'paper' });
    await expect(openTokenStore(source, encoder, modelOf(), { cache })).rejects.toThrow('`views`');
  });
});
