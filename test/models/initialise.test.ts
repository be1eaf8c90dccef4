import { expect, test } from 'vitest';
import { initialWeight } from '#lib/models/initialise.js';
import { encoderWeights } from '#lib/models/multimae.js';
import { presets } from '#lib/models/presets.js';

const { tiny } = presets;
const weight = (name: string, config = tiny, seed = 0) =>
  initialWeight(config, name, encoderWeights(config).get(name)!, seed);
const deviation = (data: Float32Array) => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
const largest = (data: Float32Array) => data.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

test.each([
  ['encoder.0.attn.qkv.weight', Math.sqrt(6 / (2 * tiny.dim))],
  ['encoder.0.attn.proj.weight', Math.sqrt(6 / (2 * tiny.dim))],
  ['encoder.3.mlp.fc1.weight', Math.sqrt(6 / (5 * tiny.dim))],
  ['encoder.3.mlp.fc2.weight', Math.sqrt(6 / (5 * tiny.dim))],
  ['input_adapters.rgb.proj.weight', Math.sqrt(6 / (tiny.dim + 3 * 256))],
  ['input_adapters.semseg.proj.weight', Math.sqrt(6 / (tiny.dim + 64 * 16))],
])('%s is uniform within Xavier bounds', (name, bound) => {
  const data = weight(name);
  expect(largest(data)).toBeLessThanOrEqual(bound);
  expect(largest(data)).toBeGreaterThan(0.99 * bound);
  expect(deviation(data)).toBeCloseTo(bound / Math.sqrt(3), 3);
  expect(Math.abs(data.reduce((sum, x) => sum + x, 0) / data.length)).toBeLessThan(0.01 * bound);
});

test('norms are 1 and 0, linear biases 0, embeddings normal with deviation 0.02', () => {
  expect(weight('encoder.1.norm2.weight').every((x) => x === 1)).toBe(true);
  expect(weight('encoder.1.norm2.bias').every((x) => x === 0)).toBe(true);
  expect(weight('encoder.1.mlp.fc1.bias').every((x) => x === 0)).toBe(true);
  const classes = weight('input_adapters.semseg.class_emb.weight', presets.base);
  expect(deviation(classes)).toBeGreaterThan(0.0195);
  expect(deviation(classes)).toBeLessThan(0.0205);
  const kurtosis = classes.reduce((sum, x) => sum + (x / 0.02) ** 4, 0) / classes.length;
  expect(kurtosis).toBeGreaterThan(2.7); // a uniform distribution has 1.8
});

test('streams differ between seeds and between weights of the same shape', () => {
  expect(weight('encoder.0.attn.proj.weight', tiny, 1)).not.toEqual(weight('encoder.0.attn.proj.weight', tiny, 0));
  expect(weight('encoder.0.attn.proj.weight', tiny, 2 ** 33)).not.toEqual(
    weight('encoder.0.attn.proj.weight', tiny, 0),
  );
  expect(weight('encoder.1.attn.proj.weight')).not.toEqual(weight('encoder.0.attn.proj.weight'));
  expect(weight('encoder.1.attn.proj.weight')).toEqual(weight('encoder.1.attn.proj.weight'));
});

test('only the rgb positions of the paper are trainable, so random', () => {
  const paper = { ...tiny, variant: 'paper' as const };
  expect(deviation(weight('input_adapters.rgb.pos_emb', paper))).toBeLessThan(0.03);
  expect(weight('input_adapters.semseg.pos_emb', paper)).toEqual(weight('input_adapters.rgb.pos_emb'));
});
