import { execFile } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const VALUES = 48_000_000;
const folder = await mkdtemp(join(tmpdir(), 'coregain-pca-memory-'));
const path = join(folder, 'X.f32');
afterAll(() => rm(folder, { recursive: true, force: true }));

beforeAll(async () => {
  const file = await open(path, 'w');
  const part = new Float32Array(VALUES / 48);
  let s = 1;
  for (let done = 0; done < VALUES; done += part.length) {
    for (let i = 0; i < part.length; i++) {
      s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
      part[i] = s / 2 ** 32;
    }
    await file.write(part);
  }
  await file.close();
});

/** In a process of its own: peak memory that a fit adds to one that has reduced 300 rows before (package, threads, compiled code). */
const PEAK = `
  import { readFileSync } from 'node:fs';
  import { pca } from 'coregain';
  const peak = () => 1024 * Number(/^VmHWM:\\s*(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const { path, cols, ...options } = JSON.parse(process.argv[1]);
  const data = Float32Array.from({ length: 90_000 }, (_, i) => Math.sin(i * i));
  await pca.fitTransform({ data, rows: 300, cols: 300 }, { dims: 5, threads: 2 });
  const before = peak();
  const { summary } = await pca.fitTransform({ path, cols }, options);
  console.log(JSON.stringify({ method: summary.method, added: peak() - before }));
`;

test.runIf(process.platform === 'linux').each([
  ['krylov', 8000, false],
  ['krylov', 8000, true],
  ['gram', 80_000, false],
  ['gram', 80_000, true],
  ['covariance', 800, false],
  ['covariance', 800, true],
])('%s of a file four times as large as the memory keeps to it, d = %i, model: %s', async (method, cols, model) => {
  const memory = VALUES;
  const options = { path, cols, dims: 32, model, memory, threads: 2 };
  const args = ['--input-type=module', '-e', PEAK, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const found = JSON.parse(stdout);
  expect(found.method).toBe(method);
  expect(found.added).toBeLessThanOrEqual(memory);
  // or the limit would not be what it is about
  expect(found.added).toBeGreaterThan(memory / 3);
});
