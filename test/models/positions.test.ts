import { expect, test } from 'vitest';
import { resizeTable, sinCosTable } from '#lib/models/positions.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { golden, largestDifference } from './golden.js';

const interp = await readSafetensors(golden('official/interp.safetensors'));
const state = await readSafetensors(golden('official/encoder_state.safetensors'));
const floats = (tensor: { data: unknown } | undefined) => tensor!.data as Float32Array;

test('the sine-cosine table is the one of MultiMAE, with its mix-up on grids that are not square', () => {
  expect(largestDifference(sinCosTable(64, 4, 4).data, floats(state['input_adapters.rgb.pos_emb']))).toBeLessThan(1e-6);
  expect(largestDifference(sinCosTable(16, 5, 3).data, floats(interp.sincos_5x3_dim16_quirk))).toBeLessThan(1e-6);
});

test.each([
  ['bicubic', 6, 'runtime_pos_emb.rgb_bicubic'],
  ['bilinear', 6, 'runtime_pos_emb.semseg_bilinear'],
  ['bicubic', 8, 'loadtime_pos_emb_to_8x8.rgb_bicubic'],
  ['bicubic', 8, 'loadtime_pos_emb_to_8x8.semseg_bicubic'],
] as const)('%s resizing to %i equals PyTorch (%s)', (kernel, side, name) => {
  const modality = name.includes('rgb') ? 'rgb' : 'semseg';
  const table = { rows: 4, cols: 4, data: floats(state[`input_adapters.${modality}.pos_emb`]) };
  expect(largestDifference(resizeTable(table, side, side, kernel).data, floats(interp[name]))).toBeLessThan(1e-6);
});

test('a table of the right size is returned as it is; a constant one stays constant when it shrinks', () => {
  const table = { rows: 4, cols: 4, data: new Float32Array(32).fill(2) };
  expect(resizeTable(table, 4, 4, 'bicubic')).toBe(table);
  for (const kernel of ['bicubic', 'bilinear'] as const) {
    expect(largestDifference(resizeTable(table, 3, 1, kernel).data, new Float32Array(6).fill(2))).toBeLessThan(1e-6);
  }
});
