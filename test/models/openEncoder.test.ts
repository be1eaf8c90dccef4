import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { aggregate, aggregationMatrix } from '#lib/embed/aggregate.js';
import type { MultimaeConfig } from '#lib/models/config.js';
import type { Encoder } from '#lib/models/encoder.js';
import { type EncoderOptions, openEncoder } from '#lib/models/openEncoder.js';
import { presets } from '#lib/models/presets.js';
import { executionOf } from '#lib/onnx/placement.js';
import { readSafetensors, writeSafetensors } from '#lib/weights/safetensors.js';
import type { Tensor } from '#lib/weights/tensor.js';
import { shared } from '../shared.js';
import { golden, largestDifference, officialConfig, paperConfig, TOLERANCE } from './golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-encoder-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function using<T>(options: EncoderOptions, work: (encoder: Encoder) => Promise<T>): Promise<T> {
  const encoder = await openEncoder({ device: 'cpu', ...options });
  try {
    return await work(encoder);
  } finally {
    await encoder.close();
  }
}

/** The inputs of a golden file as a batch. */
async function batchOf(name: string) {
  const tensors = await readSafetensors(golden(name));
  const [batch, , height, width] = tensors.rgb!.shape as [number, number, number, number];
  return {
    batch,
    height,
    width,
    rgb: tensors.rgb!.data as Float32Array,
    semseg: Int32Array.from(tensors.semseg!.data as BigInt64Array, Number),
  };
}

const official = { config: officialConfig, weights: golden('official/encoder_state.safetensors') };

async function editedWeights(edit: (tensors: Record<string, Tensor>) => void): Promise<string> {
  const tensors = await readSafetensors(official.weights);
  edit(tensors);
  const path = join(folder, 'edited.safetensors');
  await writeSafetensors(path, tensors);
  return path;
}

describe('golden vectors', () => {
  test.each<[string, MultimaeConfig, string, string, string]>([
    [
      'official',
      officialConfig,
      'official/encoder_state.safetensors',
      'official/inputs.safetensors',
      'official/tokens.safetensors',
    ],
    ['paper', paperConfig, 'paper/encoder_state.safetensors', 'paper/io.safetensors', 'paper/io.safetensors'],
  ])('every block of the %s encoder', async (_, config, weights, inputs, tokens) => {
    const expected = await readSafetensors(golden(tokens));
    await using({ config, weights: golden(weights) }, async (encoder) => {
      const layers = await encoder.encode(await batchOf(inputs), [0, 1, 2, 3]);
      layers.forEach(({ data, batch, tokens, dim }, i) => {
        expect([batch, tokens, dim]).toEqual(expected[`layer.${i}`]!.shape);
        expect(largestDifference(data, expected[`layer.${i}`]!.data as Float32Array)).toBeLessThan(TOLERANCE);
      });
      expect(largestDifference(layers[3]!.data, expected.final!.data as Float32Array)).toBeLessThan(TOLERANCE);
    });
  });

  test('positions are resized while running: rgb bicubic, labels bilinear', async () => {
    const expected = await readSafetensors(golden('official/interp.safetensors'));
    await using(official, async (encoder) => {
      const [tokens] = await encoder.encode(await batchOf('official/interp.safetensors'), [3]);
      expect(largestDifference(tokens!.data, expected.final!.data as Float32Array)).toBeLessThan(TOLERANCE);
      expect(encoder.tokenRanges(96, 96)).toEqual({ rgb: [0, 36], semseg: [36, 72], global: [72, 73] });
    });
  });

  test.skipIf(!shared)('weights from a .pth file give the same encoder as from safetensors', async () => {
    const weights = join(shared!, 'golden/checkpoints/multimae-tiny_model-only_zip.pth');
    const identities = [
      await using(official, async (e) => e.identity),
      await using({ ...official, weights }, async (e) => e.identity),
    ];
    expect(identities[0]).toBe(identities[1]);
  });
});

describe('weights', () => {
  test('positions of another grid are resized when they are loaded: bicubic for both', async () => {
    const interp = await readSafetensors(golden('official/interp.safetensors'));
    const resized = await editedWeights((tensors) => {
      tensors['input_adapters.rgb.pos_emb'] = interp['loadtime_pos_emb_to_8x8.rgb_bicubic']!;
      tensors['input_adapters.semseg.pos_emb'] = interp['loadtime_pos_emb_to_8x8.semseg_bicubic']!;
    });
    const input = {
      batch: 1,
      height: 128,
      width: 128,
      rgb: new Float32Array(3 * 128 * 128).fill(0.3),
      semseg: new Int32Array(32 * 32).fill(5),
    };
    const run = (weights: string) =>
      using(
        { config: { ...officialConfig, image: 128 }, weights },
        async (encoder) => (await encoder.encode(input, [3]))[0]!.data,
      );
    expect(largestDifference(await run(official.weights), await run(resized))).toBeLessThan(TOLERANCE);
  });

  test.each<[string, (tensors: Record<string, Tensor>) => void, string, RegExp]>([
    [
      'missing',
      (t) => delete t['encoder.2.mlp.fc1.bias'],
      'ERR_TENSOR_MISSING',
      /lacks 1 of the 56 tensors.*"encoder\.2\.mlp\.fc1\.bias"/,
    ],
    [
      'of the wrong shape',
      (t) => (t['encoder.0.attn.proj.weight'] = { dtype: 'F32', shape: [64, 32], data: new Float32Array(2048) }),
      'ERR_TENSOR_SHAPE',
      /\[64, 32\].*\[64, 64\]/,
    ],
    [
      'of integers',
      (t) => (t.global_tokens = { dtype: 'I32', shape: [1, 1, 64], data: new Int32Array(64) }),
      'ERR_TENSOR_DTYPE',
      /"global_tokens".*I32/,
    ],
  ])('a tensor that is %s is named', async (_, edit, code, message) => {
    const weights = await editedWeights(edit);
    await expect(openEncoder({ ...official, weights })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('tensors that the encoder does not use are ignored; half precision is read', async () => {
    const weights = await editedWeights((tensors) => {
      tensors['output_adapters.depth.head.0.weight'] = { dtype: 'U8', shape: [1], data: new Uint8Array(1) };
      tensors['encoder.0.norm1.weight'] = { dtype: 'BF16', shape: [64], data: new Uint16Array(64).fill(0x3f80) };
    });
    await using({ ...official, weights }, async (encoder) => {
      expect(encoder.origin).toContain('edited.safetensors');
      await encoder.encode(await batchOf('official/inputs.safetensors'), [0]);
    });
  });

  test('the shape is read from weights as wide as a preset, and asked for otherwise', async () => {
    await expect(openEncoder({ weights: official.weights })).rejects.toMatchObject({
      code: 'ERR_MODEL_UNKNOWN',
      message: expect.stringMatching(/model\.json/),
    });
    await expect(openEncoder({ weights: join(folder, 'a.onnx') })).rejects.toMatchObject({
      code: 'ERR_WEIGHTS_FORMAT',
    });
  });

  test('an encoder with other classes than the weights is refused', async () => {
    const config = { ...officialConfig, semsegPadding: true };
    await expect(openEncoder({ ...official, config })).rejects.toMatchObject({
      code: 'ERR_TENSOR_SHAPE',
      message: expect.stringMatching(/\[8, 16\].*\[9, 16\]/),
    });
  });
});

describe('seeded initialisation', () => {
  const input = {
    batch: 1,
    height: 128,
    width: 128,
    rgb: new Float32Array(3 * 128 * 128).fill(0.5),
    semseg: new Int32Array(32 * 32).fill(6),
  };

  test('is the default, says so, and depends on the seed alone', async () => {
    const run = (seed: number) =>
      using({ preset: 'tiny', seed }, async ({ encode, identity, origin }) => ({
        identity,
        origin,
        data: (await encode(input, [3]))[0]!.data,
      }));
    const [a, again, b] = [await run(7), await run(7), await run(8)];
    expect(a.origin).toBe('seeded random initialisation (seed 7), not trained');
    expect(again).toEqual(a);
    expect(b.identity).not.toBe(a.identity);
    expect(largestDifference(a.data, b.data)).toBeGreaterThan(0.1);
    expect(a.data.every(Number.isFinite)).toBe(true);
  });

  test('fewer blocks give the same tokens and the same identity', async () => {
    const full = await using({}, async ({ encode, identity }) => ({ identity, tokens: await encode(input, [1, 0]) }));
    await using({ blocks: 2 }, async (encoder) => {
      expect(encoder.identity).toBe(full.identity);
      expect(await encoder.encode(input, [1, 0])).toEqual(full.tokens);
      await expect(encoder.encode(input, [2])).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    });
  });

  test('modalities can be left out or swapped', async () => {
    await using({ modalities: ['semseg'] }, async (encoder) => {
      const { batch, height, width, semseg } = input;
      const [tokens] = await encoder.encode({ batch, height, width, semseg }, [3]);
      expect(tokens!.tokens).toBe(65);
      expect(encoder.tokenRanges(128, 128)).toEqual({ rgb: undefined, semseg: [0, 64], global: [64, 65] });
    });
    const order = (modalities: MultimaeConfig['modalities']) =>
      using({ modalities }, async (encoder) => {
        const [tokens] = await encoder.encode(input, [3]);
        const [start, end] = encoder.tokenRanges(128, 128).rgb!;
        return tokens!.data.slice(start * encoder.config.dim, end * encoder.config.dim);
      });
    expect(largestDifference(await order(['rgb', 'semseg']), await order(['semseg', 'rgb']))).toBeLessThan(TOLERANCE);
  });

  test('images need not be square; a batch equals its samples; the caller keeps its arrays', async () => {
    await using({}, async (encoder) => {
      const rgb = Float32Array.from({ length: 2 * 3 * 64 * 96 }, (_, i) => Math.sin(i));
      const semseg = Int32Array.from({ length: 2 * 16 * 24 }, (_, i) => i % 7);
      const [both] = await encoder.encode({ batch: 2, height: 64, width: 96, rgb, semseg }, [3]);
      expect(both!.tokens).toBe(2 * 4 * 6 + 1);
      const [second] = await encoder.encode(
        { batch: 1, height: 64, width: 96, rgb: rgb.subarray(3 * 64 * 96), semseg: semseg.subarray(16 * 24) },
        [3],
      );
      expect(largestDifference(both!.data.subarray(second!.data.length), second!.data)).toBeLessThan(TOLERANCE);
      expect(rgb).toHaveLength(2 * 3 * 64 * 96);
    });
  });
});

describe('input', () => {
  const bad: [string, object, string, RegExp][] = [
    ['a missing modality', { semseg: undefined }, 'ERR_INVALID_ARG_TYPE', /`semseg` must be an Int32Array/],
    [
      'another number of values',
      { rgb: new Float32Array(5) },
      'ERR_OUT_OF_RANGE',
      /`rgb\.length` must be 12288 = 1 x 3 x 64 x 64/,
    ],
    ['an image that patches do not fill', { height: 72 }, 'ERR_OUT_OF_RANGE', /./],
    ['an empty batch', { batch: 0 }, 'ERR_OUT_OF_RANGE', /`batch`/],
    [
      'a label without a class',
      { semseg: new Int32Array(256).fill(8, 17, 18) },
      'ERR_OUT_OF_RANGE',
      /sample 0, row 1, column 1.*0\.\.7.*is 8/,
    ],
    ['a negative label', { semseg: new Int32Array(256).fill(-1) }, 'ERR_OUT_OF_RANGE', /row 0, column 0/],
  ];
  test('that does not fit is refused by name', async () => {
    const good = { batch: 1, height: 64, width: 64, rgb: new Float32Array(3 * 64 * 64), semseg: new Int32Array(256) };
    await using(official, async (encoder) => {
      for (const [name, change, code, message] of bad) {
        await expect(encoder.encode({ ...good, ...change } as never, [0]), name).rejects.toMatchObject({
          code,
          message: expect.stringMatching(message),
        });
      }
      await expect(encoder.encode(good, [4])).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
      await encoder.encode(good, [0]);
    });
  });

  test('options are checked', async () => {
    await expect(openEncoder({ preset: 'huge' as never })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    await expect(openEncoder({ image: 100 })).rejects.toMatchObject({
      code: 'ERR_MODEL_CONFIG',
      message: expect.stringMatching(/does not divide `image`/),
    });
    await expect(openEncoder({ config: { ...presets.tiny, heads: 5 } })).rejects.toMatchObject({
      message: expect.stringMatching(/`heads` \(5\)/),
    });
  });
});

test('nothing is left in the temporary folder, also after a failure', async () => {
  // A folder of its own: other tests make models at the same time.
  const own = mkdtempSync(join(tmpdir(), 'coregain-own-'));
  const before = process.env.TMPDIR;
  process.env.TMPDIR = own;
  try {
    await using({}, async () => {});
    await expect(
      openEncoder({ device: 'cuda', weights: await editedWeights(() => {}), config: officialConfig }),
    ).rejects.toMatchObject({ code: 'ERR_CUDA_UNAVAILABLE' });
    expect(readdirSync(own).filter((name) => name.startsWith('coregain-model-'))).toEqual([]);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    rmSync(own, { recursive: true });
  }
});

describe('weighted sums of tokens', () => {
  test.each(['concat-modalities', 'mean', 'sum', 'last'] as const)('%s: as from all tokens', async (how) => {
    await using(official, async (encoder) => {
      const input = await batchOf('official/inputs.safetensors');
      const ranges = encoder.tokenRanges(input.height, input.width);
      const modalities = [ranges.rgb!, ranges.semseg!];
      const tokens = ranges.global![1];
      for (const layer of [1, 3]) {
        const [all] = await encoder.encode(input, [layer]);
        const pooled = await encoder.pool(input, layer, aggregationMatrix(how, tokens, modalities));
        expect(pooled).toMatchObject({ batch: input.batch, tokens: how === 'concat-modalities' ? 2 : 1, dim: 64 });
        for (let i = 0; i < input.batch; i++) {
          const expected = aggregate(how, all!, i, modalities);
          const size = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
          expect(largestDifference(aggregate('concat', pooled, i, []), expected)).toBeLessThan(1e-6 * size);
        }
      }
    });
  });

  test('the encoder says where it runs', () =>
    using(official, async (encoder) => {
      expect(executionOf(encoder)).toEqual({ provider: 'cpu', tf32: false });
    }));
});
