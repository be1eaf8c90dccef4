import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { golden, largestDifference, officialConfig, TOLERANCE } from '../models/golden.js';
import { coregain, filesIn, scratchFolder } from './coregain.js';

const folder = scratchFolder();
writeFileSync(join(folder, 'model.json'), JSON.stringify(officialConfig));

function args(tensors: string, tokens: string): string[] {
  const weights = golden('official/encoder_state.safetensors');
  return ['embed', '--tensors', tensors, '--weights', weights, '--model', 'model.json', '--tokens', tokens];
}

test('tensors in, tokens of every block out', async () => {
  const given = [...args(golden('official/inputs.safetensors'), 'out.safetensors'), '--device', 'cpu', '--json'];
  const { status, stdout, stderr } = await coregain(given, folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ batch: 2, tokens: 33, layers: 4, path: 'out.safetensors' });
  const written = await readSafetensors(join(folder, 'out.safetensors'));
  const expected = await readSafetensors(golden('official/tokens.safetensors'));
  expect(Object.keys(written)).toEqual(['layer.0', 'layer.1', 'layer.2', 'layer.3', 'final']);
  for (const [name, { data }] of Object.entries(written)) {
    const difference = largestDifference(data as Float32Array, expected[name]!.data as Float32Array);
    expect(difference).toBeLessThan(TOLERANCE);
  }
});

test('tensors that do not fit: 1, the file named, nothing written', async () => {
  const weights = golden('official/encoder_state.safetensors');
  const { status, stdout, stderr } = await coregain(args(weights, 'none.safetensors'), folder);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/^coregain: .*encoder_state\.safetensors: there is no tensor "rgb"\./);
  expect(filesIn(folder).filter((name) => name.startsWith('none'))).toEqual([]);
});

test('a missing model: 1; a layer that the encoder does not have: 2', async () => {
  const scenes = await coregain(['generate', '--out', 'scenes', '--scenes', '10', '--size', '32'], folder);
  expect(scenes.status).toBe(0);
  const embed = ['embed', '--data', 'scenes', '--out', 'embedded'];
  const model = await coregain([...embed, '--model', 'none.json'], folder);
  expect(model).toMatchObject({ status: 1 });
  expect(model.stderr).toMatch(/none\.json cannot be read/);
  const layer = await coregain([...embed, '--layer', '4'], folder);
  expect(layer).toMatchObject({ status: 2 });
  expect(layer.stderr).toMatch(/`layer` must be an integer in 0\.\.3, but it is 4/);
  expect(existsSync(join(folder, 'embedded', 'embed.json'))).toBe(false);
});
