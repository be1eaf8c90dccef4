import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type GreedyJob, native } from '#lib/native.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Seeded uniform numbers on a SharedArrayBuffer. */
function points(count: number): Float32Array {
  const data = new Float32Array(new SharedArrayBuffer(count * 4));
  let state = 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 32;
  }
  return data;
}

function job(rows: number, cols: number, more: Partial<GreedyJob> = {}): GreedyJob {
  return {
    data: points(rows * cols),
    rows,
    cols,
    bins: 4,
    gain: 'sqeuclidean',
    remainder: 'spread',
    threads: 2,
    device: -1,
    fallback: false,
    simd: '',
    control: new Int32Array(new SharedArrayBuffer(8)),
    ...more,
  };
}

// In a process or worker of its own: starts three jobs that take seconds.
const busy = `
  const load = require('node:module').createRequire(${JSON.stringify(root)});
  const addon = load('node-gyp-build')(${JSON.stringify(root)});
  for (let k = 0; k < 3; k++) {
    const data = new Float32Array(new SharedArrayBuffer(20000 * 256 * 4));
    for (let i = 0; i < data.length; i++) data[i] = (i * 7919) % 1000003;
    addon.greedyBins({ data, rows: 20000, cols: 256, bins: 10, gain: 'cosine', remainder: 'spread', threads: 2, simd: '',
      control: new Int32Array(new SharedArrayBuffer(8)) }).then(() => process.exit(9));
  }
`;

test('every SIMD level of this machine gives the same order and gains', async () => {
  const { available } = native().cpu();
  expect(available.at(-1)).toBe('scalar');
  const results = await Promise.all(available.map((simd) => native().greedyBins(job(500, 40, { simd }))));
  for (const [i, result] of results.entries()) {
    expect(result.simd).toBe(available[i]);
    expect(result.order).toEqual(results[0]?.order);
    expect(result.gains).toEqual(results[0]?.gains);
  }
});

test('data that is not on shared memory is copied: it can be transferred away while the job runs', async () => {
  const shared = job(4000, 64);
  const data = new Float32Array(shared.data);
  const running = native().greedyBins({ ...job(4000, 64), data });
  structuredClone(data.buffer, { transfer: [data.buffer] });
  expect(data.length).toBe(0);
  expect((await running).order).toEqual((await native().greedyBins(shared)).order);
});

test('the control cancels within milliseconds and counts the points placed', async () => {
  const long = job(20000, 256);
  const running = expect(native().greedyBins(long)).rejects.toMatchObject({ code: 'ERR_CANCELLED' });
  while (Atomics.load(long.control, 1) === 0) await sleep(5);
  Atomics.store(long.control, 0, 1);
  const start = performance.now();
  await running;
  expect(performance.now() - start).toBeLessThan(250);
  expect(long.control[1]).toBeGreaterThan(0);
  expect(long.control[1]).toBeLessThan(20000);

  const short = job(100, 3);
  await native().greedyBins(short);
  expect([...short.control]).toEqual([0, 100]);
});

test('a row that is not finite is named', async () => {
  const bad = job(50, 3);
  bad.data[31] = Number.NaN;
  await expect(native().greedyBins(bad)).rejects.toMatchObject({
    code: 'ERR_NOT_FINITE',
    row: 10,
    message: expect.stringContaining('Row 10, column 1 is NaN'),
  });
});

test('wrong shapes throw before any memory is read', () => {
  expect(() => native().greedyBins({ ...job(10, 3), rows: 11 })).toThrow(RangeError);
  expect(() => native().greedyBins({ ...job(10, 3), cols: -3 })).toThrow(RangeError);
  expect(() => native().greedyBins({ ...job(10, 3), data: [1, 2] as never })).toThrow(TypeError);
  expect(() => native().greedyBins({ ...job(10, 3), control: new Int32Array(2) })).toThrow(TypeError);
});

test('terminating a worker with jobs in flight neither crashes nor hangs', async () => {
  const source = `${busy} require('node:worker_threads').parentPort.postMessage('started');`;
  for (let round = 0; round < 5; round++) {
    const worker = new Worker(source, { eval: true });
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    await sleep(40 * round);
    await worker.terminate();
  }
});

test('process.exit with jobs in flight ends with its own status', () => {
  const source = `${busy} setTimeout(() => process.exit(7), 100);`;
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', source], { encoding: 'utf8' });
  expect({ status, signal, stderr }).toEqual({ status: 7, signal: null, stderr: '' });
});
