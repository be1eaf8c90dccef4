import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { exportOnnx, saveWeights } from '#lib/train/saveModel.js';
import { ADAPTER_PREFIX, type ModelConfig } from '#lib/train/trainingGraph.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { largestDifference, golden as modelGolden, officialConfig, paperConfig } from '../models/golden.js';

const golden = (name: string) => fileURLToPath(new URL(`../golden/train/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'coregain-save-'));
afterAll(() => rmSync(folder, { recursive: true }));

const paper: ModelConfig = {
  encoder: paperConfig,
  adapter: { kind: 'dpt', variant: 'paper', hooks: [0, 1, 2, 3], layerDims: [8, 12, 16, 24], featureDim: 16 },
  mainTasks: ['rgb', 'semseg'],
  training: 'end-to-end',
  loss: 'berhu',
};

async function paperWeights() {
  const encoder = await readSafetensors(modelGolden('paper/encoder_state.safetensors'));
  const file = await readSafetensors(golden('paper.safetensors'));
  return async (name: string) => (encoder[name] ?? file[`state.${name}`])!.data as Float32Array;
}

test('an exported model is plain ONNX that a bare ONNX Runtime session runs to the golden prediction', async () => {
  const path = join(folder, 'paper.onnx');
  await exportOnnx(path, paper, await paperWeights(), 2);
  const session = await InferenceSession.create(path, { logSeverityLevel: 3 });
  const io = await readSafetensors(modelGolden('paper/io.safetensors'));
  const labels = Int32Array.from(io.semseg!.data as BigInt64Array, Number);
  const { prediction } = await session.run({
    rgb: new OrtTensor('float32', io.rgb!.data as Float32Array, io.rgb!.shape),
    semseg: new OrtTensor('int32', labels, io.semseg!.shape),
  });
  const expected = (await readSafetensors(golden('paper.safetensors')))['io.out']!;
  expect(prediction!.dims).toEqual(expected.shape);
  expect(largestDifference(prediction!.data as Float32Array, expected.data as Float32Array)).toBeLessThan(2e-5);
  await session.release();
});

test('the export holds no operator of ONNX Runtime itself', async () => {
  const path = join(folder, 'plain.onnx');
  await exportOnnx(path, paper, await paperWeights());
  const { readFileSync } = await import('node:fs');
  expect(readFileSync(path).includes('com.microsoft')).toBe(false);
});

test('weights are saved under the official names, second names included', async () => {
  const model: ModelConfig = {
    ...paper,
    encoder: officialConfig,
    adapter: { kind: 'dpt', variant: 'official', hooks: [0, 1, 2, 3], layerDims: [12, 16, 24, 32], featureDim: 24 },
    mainTasks: ['rgb'],
    training: 'frozen',
  };
  const file = await readSafetensors(golden('official.safetensors'));
  const path = join(folder, 'official.safetensors');
  await saveWeights(path, model, async (name) => {
    return file[`state.${name.slice(ADAPTER_PREFIX.length)}`]!.data as Float32Array;
  });
  const saved = await readSafetensors(path);
  const names = Object.keys(saved).map((name) => name.slice(ADAPTER_PREFIX.length));
  const state = Object.keys(file).filter((name) => name.startsWith('state.'));
  expect(names).toEqual(expect.arrayContaining(state.map((name) => name.slice('state.'.length))));
  expect(names).toEqual(expect.arrayContaining(['scratch.layer_rn.0.weight', 'act_postprocess.3.1.bias']));
  const twice = names.filter((name) => /^(scratch\.layer_rn|act_postprocess)\./.test(name));
  // 64 weights; those of the reassembling modules and of scratch.layer?_rn come a second time.
  expect(names).toHaveLength(64 + twice.length);
  expect(twice).toHaveLength(4 + 14);
  expect(saved[`${ADAPTER_PREFIX}scratch.layer_rn.2.weight`]!.data).toEqual(
    file['state.scratch.layer3_rn.weight']!.data,
  );
});
