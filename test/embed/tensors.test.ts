import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { embedTensors } from '#lib/embed/tensors.js';
import type { MultimaeConfig } from '#lib/models/config.js';
import { readSafetensors, writeSafetensors } from '#lib/weights/safetensors.js';
import type { Tensor } from '#lib/weights/tensor.js';
import { golden, largestDifference, officialConfig, paperConfig, TOLERANCE } from '../models/golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-tensors-'));
afterAll(() => rmSync(folder, { recursive: true }));
const model = join(folder, 'model.json');
const tokens = join(folder, 'tokens.safetensors');
const weights = golden('official/encoder_state.safetensors');
const tensors = golden('official/inputs.safetensors');

function describeModel(config: unknown): string {
  writeFileSync(model, JSON.stringify(config));
  return model;
}

test.each<[string, MultimaeConfig, string, string]>([
  ['official', officialConfig, 'official/inputs.safetensors', 'official/tokens.safetensors'],
  ['paper', paperConfig, 'paper/io.safetensors', 'paper/io.safetensors'],
])('writes the tokens of every block and the final ones: %s', async (name, config, inputs, expectedFile) => {
  const progress: number[] = [];
  const result = await embedTensors({
    tensors: golden(inputs),
    weights: golden(`${name}/encoder_state.safetensors`),
    model: describeModel(config),
    tokens,
    device: 'cpu',
    onProgress: ({ done }) => progress.push(done),
  });
  expect(result).toMatchObject({ batch: 2, tokens: 33, dim: config.dim, layers: 4, provider: 'cpu' });
  expect(progress.at(-1)).toBe(2);
  const [written, expected] = [await readSafetensors(tokens), await readSafetensors(golden(expectedFile))];
  expect(Object.keys(written)).toEqual(['layer.0', 'layer.1', 'layer.2', 'layer.3', 'final']);
  for (const [key, { shape, data }] of Object.entries(written)) {
    expect(shape).toEqual([2, 33, config.dim]);
    expect(largestDifference(data as Float32Array, expected[key]!.data as Float32Array)).toBeLessThan(TOLERANCE);
  }
});

test('more samples than fit at once come out in order', async () => {
  const { rgb, semseg } = await readSafetensors(tensors);
  const many = join(folder, 'many.safetensors');
  const repeat = <T extends { set(data: never, offset: number): void }>(data: { length: number }, target: T): T => {
    for (let i = 0; i < 5; i++) target.set(data as never, i * data.length);
    return target;
  };
  await writeSafetensors(many, {
    rgb: { dtype: 'F32', shape: [10, 3, 64, 64], data: repeat(rgb!.data, new Float32Array(5 * rgb!.data.length)) },
    semseg: {
      dtype: 'I64',
      shape: [10, 16, 16],
      data: repeat(semseg!.data, new BigInt64Array(5 * semseg!.data.length)),
    },
  });
  await embedTensors({ tensors: many, weights, model: describeModel(officialConfig), tokens, device: 'cpu' });
  const expected = (await readSafetensors(golden('official/tokens.safetensors'))).final!.data as Float32Array;
  const { final } = await readSafetensors(tokens);
  for (let i = 0; i < 5; i++) {
    const part = (final!.data as Float32Array).subarray(i * expected.length, (i + 1) * expected.length);
    expect(largestDifference(part, expected)).toBeLessThan(TOLERANCE);
  }
});

describe('what does not fit is refused before anything is written', () => {
  const edit = async (change: (tensors: Record<string, Tensor>) => void) => {
    const edited = await readSafetensors(tensors);
    change(edited);
    const path = join(folder, 'edited.safetensors');
    await writeSafetensors(path, edited);
    return path;
  };
  const i64 = (shape: number[], data = new BigInt64Array(shape.reduce((a, b) => a * b))): Tensor => ({
    dtype: 'I64',
    shape,
    data,
  });

  test.each<[string, (t: Record<string, Tensor>) => void, RegExp]>([
    ['no labels', (t) => delete t.semseg, /no tensor "semseg".*modalities/],
    [
      'labels as int32',
      (t) => (t.semseg = { dtype: 'I32', shape: [2, 16, 16], data: new Int32Array(512) }),
      /"semseg" is I32 \[2, 16, 16\].*I64/,
    ],
    ['one more dimension', (t) => (t.semseg = i64([2, 1, 16, 16])), /must be I64 \[B, h, w\]/],
    ['another batch size', (t) => (t.semseg = i64([3, 16, 16])), /batch sizes of rgb and semseg are 2 and 3/],
    ['labels at full size', (t) => (t.semseg = i64([2, 64, 64])), /64 x 64 and 256 x 256/],
    [
      'grey images',
      (t) => (t.rgb = { dtype: 'F32', shape: [2, 1, 64, 64], data: new Float32Array(8192) }),
      /1 channels/,
    ],
    [
      'a label without a class',
      (t) => (t.semseg = i64([2, 16, 16], new BigInt64Array(512).fill(2n ** 32n, 275, 276))),
      /label 4294967296 at sample 1, row 1, column 3.*0\.\.7/,
    ],
    [
      'a negative label',
      (t) => (t.semseg = i64([2, 16, 16], new BigInt64Array(512).fill(-1n))),
      /label -1 at sample 0/,
    ],
  ])('%s', async (_, change, message) => {
    rmSync(tokens, { force: true });
    const job = embedTensors({
      tensors: await edit(change),
      weights,
      model: describeModel(officialConfig),
      tokens,
      device: 'cpu',
    });
    await expect(job).rejects.toMatchObject({ code: 'ERR_TENSORS_INPUT', message: expect.stringMatching(message) });
    expect(existsSync(tokens)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test.each<[string, unknown, RegExp]>([
    ['a missing field', { ...officialConfig, depth: undefined }, /`depth`/],
    ['an unknown field', { ...officialConfig, width: 3 }, /width/],
    ['text for a number', { ...officialConfig, heads: '4' }, /`heads`/],
    ['a modality twice', { ...officialConfig, modalities: ['rgb', 'rgb'] }, /one twice/],
    ['another variant', { ...officialConfig, variant: 'mine' }, /`variant`/],
    ['no object', 3, /does not describe/],
  ])('a model.json with %s', async (_, config, message) => {
    const job = embedTensors({ tensors, weights, model: describeModel(config), tokens, device: 'cpu' });
    await expect(job).rejects.toMatchObject({ code: 'ERR_MODEL_CONFIG', message: expect.stringMatching(message) });
  });

  test('aborting rejects with the reason', async () => {
    const job = embedTensors({
      tensors,
      weights,
      model: describeModel(officialConfig),
      tokens,
      signal: AbortSignal.abort('stop'),
    });
    await expect(job).rejects.toBe('stop');
  });
});
