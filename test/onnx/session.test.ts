import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addInput, addOutput, createGraph, type Graph } from '#lib/onnx/graph.js';
import { createModelFolder } from '#lib/onnx/modelFolder.js';
import { gelu } from '#lib/onnx/ops/activation.js';
import { add } from '#lib/onnx/ops/arithmetic.js';
import { matmul } from '#lib/onnx/ops/linear.js';
import { addParameter } from '#lib/onnx/parameters.js';
import { openSession } from '#lib/onnx/session.js';
import { largestDifference } from '../models/golden.js';

const scratch = mkdtempSync(join(tmpdir(), 'coregain-session-'));
afterAll(() => rmSync(scratch, { recursive: true }));

async function open(graph: Graph, tensors: Record<string, Float32Array> = {}) {
  const folder = await createModelFolder(graph);
  try {
    for (const [name, data] of Object.entries(tensors)) await folder.put(name, data);
    return await openSession(await folder.finish(), { threads: 2, device: 'cpu' });
  } finally {
    await folder.remove();
  }
}

/** y = x W' + b, and x W' + b of rows 1..3 of W alone. */
async function linear() {
  const graph = createGraph();
  const x = addInput(graph, 'x', 'float32', ['batch', 2]);
  const w = addParameter(graph, 'w', [3, 2], { transposed: true });
  const b = addParameter(graph, 'b', [3]);
  addOutput(graph, 'y', add(graph, matmul(graph, x, w), b));
  const rows = addParameter(graph, 'w', [3, 2], { rows: [1, 3], transposed: true });
  addOutput(graph, 'z', matmul(graph, x, rows));
  return open(graph, { w: Float32Array.of(1, 2, 3, 4, 5, 6), b: Float32Array.of(10, 20, 30) });
}

test('parameters arrive whole, by rows and transposed; the batch size is free', async () => {
  const session = await linear();
  for (const batch of [1, 2, 5]) {
    const x = Float32Array.from({ length: 2 * batch }, (_, i) => i);
    const { y, z } = await session.run({ x: { data: x, dims: [batch, 2] } }, ['y', 'z']);
    expect(y!.dims).toEqual([batch, 3]);
    for (let row = 0; row < batch; row++) {
      const [p, q] = [x[2 * row]!, x[2 * row + 1]!];
      expect([...y!.data.slice(3 * row, 3 * row + 3)]).toEqual([
        p + 2 * q + 10,
        3 * p + 4 * q + 20,
        5 * p + 6 * q + 30,
      ]);
      expect([...z!.data.slice(2 * row, 2 * row + 2)]).toEqual([3 * p + 4 * q, 5 * p + 6 * q]);
    }
  }
  expect(session.provider).toBe('cpu');
  await session.close();
});

test('GELU is the exact one', async () => {
  const graph = createGraph();
  addOutput(graph, 'y', gelu(graph, addInput(graph, 'x', 'float32', [4])));
  const session = await open(graph);
  const { y } = await session.run({ x: { data: Float32Array.of(-3, -1, 0.5, 2), dims: [4] } }, ['y']);
  // scipy: x * norm.cdf(x); the tanh approximation differs in the fourth digit
  const expected = [-0.004049694, -0.158655254, 0.345731231, 1.954499736];
  expect(largestDifference(y!.data as Float32Array, expected)).toBeLessThan(1e-6);
  await session.close();
});

test('a bad feed is an error, and the session goes on', async () => {
  const session = await linear();
  await expect(session.run({ x: { data: new Float32Array(3), dims: [1, 3] } }, ['y'])).rejects.toMatchObject({
    code: 'ERR_ONNX_RUN',
  });
  await expect(session.run({}, ['y'])).rejects.toMatchObject({ code: 'ERR_ONNX_RUN' });
  const { z } = await session.run({ x: { data: Float32Array.of(1, 0), dims: [1, 2] } }, ['z']);
  expect([...z!.data]).toEqual([3, 5]);
  await session.close();
});

test('close lets queued runs end; after it everything is refused, and closing again does nothing', async () => {
  const session = await linear();
  const runs = Array.from({ length: 5 }, () => session.run({ x: { data: new Float32Array(2), dims: [1, 2] } }, ['y']));
  await session.close();
  for (const run of runs) expect([...(await run).y!.data]).toEqual([10, 20, 30]);
  await expect(session.run({}, ['y'])).rejects.toMatchObject({ code: 'ERR_ONNX_CLOSED' });
  await session.close();
});

test('several sessions run side by side, are opened and closed again and again', async () => {
  for (let round = 0; round < 3; round++) {
    const sessions = await Promise.all(Array.from({ length: 4 }, linear));
    const results = await Promise.all(
      sessions.map((session, i) => session.run({ x: { data: Float32Array.of(i, 0), dims: [1, 2] } }, ['y'])),
    );
    expect(results.map(({ y }) => y!.data[0])).toEqual([10, 11, 12, 13]);
    await Promise.all(sessions.map((session) => session.close()));
  }
});

test('a model that is none is refused', async () => {
  const path = join(scratch, 'broken.onnx');
  writeFileSync(path, 'not a model');
  await expect(openSession(path, { device: 'cpu' })).rejects.toMatchObject({ code: 'ERR_ONNX_LOAD' });
  await expect(openSession(join(scratch, 'none.onnx'), { device: 'cpu' })).rejects.toMatchObject({
    code: 'ERR_ONNX_LOAD',
  });
});

const program = (body: string) => `
  import { openEncoder } from '#lib/models/openEncoder.js';
  const encoder = await openEncoder({ device: 'cpu' });
  const input = { batch: 1, height: 128, width: 128, rgb: new Float32Array(3 * 128 * 128), semseg: new Int32Array(32 * 32) };
  ${body}`;
const node = (body: string) =>
  execFileSync(process.execPath, ['--input-type=module', '-e', program(body)], {
    encoding: 'utf8',
    timeout: 30_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });

test('an encoder that is closed, or forgotten, or busy when the process is told to exit, keeps nothing alive', () => {
  expect(node(`await encoder.encode(input, [3]); await encoder.close(); console.log('done')`)).toBe('done\n');
  expect(node(`await encoder.encode(input, [3]); console.log('done')`)).toBe('done\n');
  expect(node(`encoder.encode({ ...input, batch: 1 }, [3]).then(() => console.log('done'))`)).toBe('done\n');
  expect(node(`encoder.encode(input, [3]); setTimeout(() => { console.log('done'); process.exit(0); }, 5)`)).toBe(
    'done\n',
  );
});

test('the event loop goes on while the encoder computes', () => {
  const gap = node(`
    const big = { batch: 16, height: 128, width: 128, rgb: new Float32Array(16 * 3 * 128 * 128), semseg: new Int32Array(16 * 32 * 32) };
    let last = performance.now(), largest = 0, ticks = 0;
    const timer = setInterval(() => { const now = performance.now(); largest = Math.max(largest, now - last); last = now; ticks++; }, 5);
    await encoder.encode(big, [3]);
    clearInterval(timer);
    await encoder.close();
    console.log(JSON.stringify({ largest, ticks }));`);
  const { largest, ticks } = JSON.parse(gap);
  expect(ticks).toBeGreaterThan(5);
  expect(largest).toBeLessThan(250);
});
