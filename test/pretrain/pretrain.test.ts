import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { generateScenes, openEncoder, pretrain } from '#lib/index.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { toFloat32, toHalf } from '#lib/weights/tensor.js';
import { largestDifference, officialConfig } from '../models/golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-pretrain-'));
const data = join(folder, 'data');
beforeAll(() => generateScenes(data, { scenes: 30, size: 64, regime: 'uniform', seed: 3 }));
afterAll(() => rmSync(folder, { recursive: true }));

const encoder = { config: { ...officialConfig, dim: 32, semsegClasses: 7 }, seed: 1 };

test('the encoder learns depth, its files load again, and an interrupted call ends with the same bytes', async () => {
  const options = {
    data,
    encoder,
    steps: 60,
    batch: 4,
    featureDim: 8,
    learningRate: 2e-3,
    augmentation: 'official' as const,
  };
  const result = await pretrain({ ...options, out: join(folder, 'a') });
  const losses = result.curve.map(({ valLoss }) => valLoss);
  expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);

  const start = await openEncoder({ ...encoder, device: 'cpu' });
  const loaded = await openEncoder({ weights: result.encoder, config: encoder.config, device: 'cpu' });
  try {
    expect(loaded.identity).not.toBe(start.identity);
    expect(loaded.origin).toContain(result.encoder);
  } finally {
    await start.close();
    await loaded.close();
  }
  const whole = await readSafetensors(result.model);
  expect(Object.keys(whole)).toContain('output_adapters.depth.scratch.layer_rn.0.weight');
  const alone = await readSafetensors(result.encoder);
  expect(Object.keys(alone).every((name) => !name.startsWith('output_adapters.'))).toBe(true);
  expect(alone['encoder.0.mlp.fc1.weight']).toEqual(whole['encoder.0.mlp.fc1.weight']);

  const out = join(folder, 'b');
  const controller = new AbortController();
  const stopped = pretrain({
    ...options,
    out,
    signal: controller.signal,
    onProgress: ({ stage, done }) => {
      if (stage === 'train' && done >= 25) controller.abort(new Error('enough'));
    },
  });
  await expect(stopped).rejects.toThrow('enough');
  const resumed = await pretrain({ ...options, out });
  expect(readFileSync(resumed.model).equals(readFileSync(result.model))).toBe(true);
  expect(resumed.curve).toEqual(result.curve);
});

test('data that cannot be learnt from leave no folder behind', async () => {
  const out = join(folder, 'never');
  await expect(pretrain({ data: join(folder, 'missing'), encoder, out })).rejects.toMatchObject({ name: 'DataError' });
  const flat = join(folder, 'flat');
  for (const images of ['rgb', 'semseg']) cpSync(join(data, images), join(flat, images), { recursive: true });
  const lines = readFileSync(join(data, 'manifest.jsonl'), 'utf8').trimEnd().split('\n');
  const without = lines.map((line) => {
    const { id, split, rgb, semseg } = JSON.parse(line);
    return JSON.stringify({ id, split, rgb, semseg });
  });
  writeFileSync(join(flat, 'manifest.jsonl'), without.join('\n'));
  await expect(pretrain({ data: flat, encoder, out })).rejects.toMatchObject({ code: 'ERR_MODALITY_MISSING' });
  expect(existsSync(out)).toBe(false);
});

test('half precision halves the encoder', async () => {
  const result = await pretrain({
    data,
    encoder,
    steps: 2,
    batch: 4,
    featureDim: 8,
    half: true,
    out: join(folder, 'h'),
  });
  const half = await readSafetensors(result.encoder);
  const whole = await readSafetensors(result.model);
  expect(statSync(result.encoder).size).toBeLessThan(0.4 * statSync(result.model).size);
  for (const [name, tensor] of Object.entries(half)) {
    expect(tensor.dtype).toBe('F16');
    expect(largestDifference(toFloat32(tensor)!, whole[name]!.data as Float32Array), name).toBeLessThan(1e-3);
  }
});

test('float32 to half precision: every half number comes back, ties go to even', () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = toFloat32({ dtype: 'F16', shape: [1], data: Uint16Array.of(bits) })!;
    if (!Number.isNaN(value[0])) expect(toHalf(value)[0]).toBe(bits);
  }
  // Halfway between 1 and its neighbours; the largest that is not infinite; half the smallest number, and more than that.
  expect([...toHalf(Float32Array.of(1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25, 1.5 * 2 ** -25))]).toEqual([
    0x3c00, 0x3c02, 0x7bff, 0x7c00, 0, 1,
  ]);
});
