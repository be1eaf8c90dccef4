import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openCache } from '#lib/embed/cache.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coregain-cache-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const key = (i: number) => createHash('sha256').update(String(i)).digest();
const vector = (i: number) => Float32Array.from([i, i + 0.5, -i]);
const place = () => join(folder, readdirSync(folder)[0]!);

async function filled(count: number) {
  const cache = await openCache(folder, 'c', 3);
  await Promise.all(Array.from({ length: count }, (_, i) => cache.put(key(i), vector(i))));
  await cache.close();
}

test('gives back what was stored, after reopening too, and per configuration', async () => {
  await filled(10);
  const cache = await openCache(folder, 'c', 3);
  expect(cache.size).toBe(10);
  for (let i = 0; i < 10; i++) expect(await cache.get(key(i))).toEqual(vector(i));
  expect(await cache.get(key(10))).toBeUndefined();
  const other = await openCache(folder, 'd', 3);
  expect(await other.get(key(1))).toBeUndefined();
  await expect(other.put(key(1), new Float32Array(4))).rejects.toThrow(RangeError);
  await other.put(key(1), vector(7)); // A failed put does not stop later ones.
  expect(await other.get(key(1))).toEqual(vector(7));
  await cache.close();
  await other.close();
});

test('cut at any byte, what is whole is kept and what is not can be stored again', async () => {
  await filled(3);
  const vectors = readFileSync(join(place(), 'vectors'));
  const keys = readFileSync(join(place(), 'keys'));
  expect([vectors.length, keys.length]).toEqual([36, 144]);
  for (const [name, all, record] of [
    ['vectors', vectors, 12],
    ['keys', keys, 48],
  ] as const) {
    for (let length = 0; length <= all.length; length++) {
      writeFileSync(join(place(), 'vectors'), vectors);
      writeFileSync(join(place(), 'keys'), keys);
      truncateSync(join(place(), name), length);
      const cache = await openCache(folder, 'c', 3);
      const whole = Math.floor(length / record);
      expect(cache.size).toBe(whole);
      for (let i = 0; i < 3; i++) {
        expect(await cache.get(key(i))).toEqual(i < whole ? vector(i) : undefined);
        await cache.put(key(i), vector(i));
        expect(await cache.get(key(i))).toEqual(vector(i));
      }
      await cache.close();
    }
  }
});

test('a damaged record is not given out; storing it again repairs it', async () => {
  await filled(4);
  for (const [name, at] of [
    ['vectors', 1 * 12 + 5],
    ['keys', 2 * 48 + 40],
  ] as const) {
    const path = join(place(), name);
    const bytes = readFileSync(path);
    bytes[at]! ^= 1;
    writeFileSync(path, bytes);
  }
  for (let time = 0; time < 2; time++) {
    const cache = await openCache(folder, 'c', 3);
    for (const i of [0, 3]) expect(await cache.get(key(i))).toEqual(vector(i));
    for (const i of [1, 2]) {
      expect(await cache.get(key(i))).toEqual(time === 0 ? undefined : vector(i));
      if (time === 0) await cache.put(key(i), vector(i));
    }
    await cache.close();
  }
});

test('one writer at a time: a second one is told who has it', async () => {
  const cache = await openCache(folder, 'c', 3);
  await expect(openCache(folder, 'c', 3)).rejects.toMatchObject({
    code: 'ERR_CACHE_LOCKED',
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await cache.close();
  await (await openCache(folder, 'c', 3)).close();
  expect(readdirSync(place()).sort()).toEqual(['keys', 'vectors']);
});

test('the lock of a killed process is taken over, also when its process id is in use again', async () => {
  await filled(1);
  const child = spawn(process.execPath, [
    '--input-type=module',
    '-e',
    `import { openCache } from ${JSON.stringify(import.meta.resolve('#lib/embed/cache.js'))};
     await openCache(${JSON.stringify(folder)}, 'c', 3); console.log('open'); setInterval(() => {}, 1000);`,
  ]);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  await expect(openCache(folder, 'c', 3)).rejects.toMatchObject({ code: 'ERR_CACHE_LOCKED' });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  expect(readdirSync(place()).some((name) => name.startsWith('lock.'))).toBe(true);
  await (await openCache(folder, 'c', 3)).close();
  if (process.platform === 'linux') {
    appendFileSync(join(place(), `lock.${hostname().replaceAll(/[^A-Za-z0-9-]/g, '-')}.${process.pid}.12345.1`), '');
    await (await openCache(folder, 'c', 3)).close();
  }
});

test('of several that come at once at most one gets in', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => openCache(folder, 'c', 3)));
  const open = results.filter((r) => r.status === 'fulfilled');
  expect(open.length).toBeLessThanOrEqual(1);
  for (const r of open) await r.value.close();
  await (await openCache(folder, 'c', 3)).close();
});

test('100,000 records: reopening is quick and the index is small', async () => {
  const count = 100_000;
  await filled(1);
  const keys = Buffer.alloc(count * 48);
  for (let i = 0; i < count; i++) key(i).copy(keys, i * 48);
  writeFileSync(join(place(), 'keys'), keys);
  writeFileSync(join(place(), 'vectors'), Buffer.alloc(count * 12));
  const started = performance.now();
  const cache = await openCache(folder, 'c', 3);
  expect(cache.size).toBe(count);
  expect(performance.now() - started).toBeLessThan(2000);
  expect(await cache.get(key(5))).toBeUndefined(); // Zeros with a wrong checksum.
  await cache.close();
  expect(statSync(join(place(), 'keys')).size).toBe(count * 48);
});
