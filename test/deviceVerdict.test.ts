/** Verdicts on disk. Of what a process does with them: test/trial. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { CHECKS, type DeviceTrial } from '#lib/deviceTrial.js';
import { cacheFolder, keep, recall, subjectOf, type TrialSubject } from '#lib/deviceVerdict.js';

const scratch = mkdtempSync(join(tmpdir(), 'coregain-verdict-'));
afterAll(() => rmSync(scratch, { recursive: true }));
const folder = join(scratch, 'cache', 'coregain');
beforeEach(() => rmSync(folder, { recursive: true, force: true }));

const device = {
  ...{ name: 'NVIDIA H200', memoryBytes: 1.5e11, l2Bytes: 6e7, capability: '9.0', multiprocessors: 132 },
  driver: '13.0',
};
const subject: TrialSubject = { coregain: '1.0.0', binaries: 'abc', driver: '580.65.06', device };
const checks = CHECKS.map((name) => ({ name, ok: true, seconds: 0.1 }));
const passed: DeviceTrial = { outcome: 'passed', why: '', seconds: 4, checks };
const failed: DeviceTrial = { outcome: 'failed', why: 'it crashed', seconds: 1, checks: [] };

test('a verdict is found again, and a later one replaces it', async () => {
  expect(await recall(folder, subject)).toBeUndefined();
  await keep(folder, subject, failed);
  expect(await recall(folder, subject)).toEqual(failed);
  await keep(folder, subject, passed);
  expect(await recall(folder, subject)).toEqual(passed);
  expect(readdirSync(folder)).toHaveLength(1);
});

test.each<[string, TrialSubject]>([
  ['driver', { ...subject, driver: '580.65.07' }],
  ['package', { ...subject, coregain: '1.0.1' }],
  ['library', { ...subject, binaries: 'abd' }],
  ['device', { ...subject, device: { ...device, name: 'NVIDIA H100' } }],
  ['share of the device', { ...subject, device: { ...device, multiprocessors: 16 } }],
])('with another %s it is not', async (_, other) => {
  await keep(folder, subject, passed);
  expect(await recall(folder, other)).toBeUndefined();
  await keep(folder, other, failed);
  expect(await recall(folder, subject)).toEqual(passed);
});

test.each([
  ['empty', () => ''],
  ['half of it', (text: string) => text.slice(0, text.length / 2)],
  ['not of this subject', (text: string) => text.replace('580.65.06', '580.65.05')],
  ['not all checks', (text: string) => text.replace(CHECKS[5], CHECKS[4])],
  ['a check that failed', (text: string) => text.replace('"ok": true', '"ok": false')],
  ['no checks', () => JSON.stringify({ subject, trial: { ...passed, checks: undefined } })],
  ['no trial', () => JSON.stringify({ subject })],
  ['undecided', (text: string) => text.replace('passed', 'undecided')],
])('a damaged file counts as none: %s', async (_, damage) => {
  await keep(folder, subject, passed);
  const [name] = readdirSync(folder);
  const path = join(folder, name!);
  writeFileSync(path, damage(readFileSync(path, 'utf8')));
  expect(await recall(folder, subject)).toBeUndefined();
  await keep(folder, subject, passed);
  expect(await recall(folder, subject)).toEqual(passed);
});

test('many that keep theirs at once leave one whole file', async () => {
  await Promise.all(Array.from({ length: 20 }, (_, i) => keep(folder, subject, i % 2 === 0 ? passed : failed)));
  expect(readdirSync(folder)).toHaveLength(1);
  expect(['passed', 'failed']).toContain((await recall(folder, subject))?.outcome);
});

test('where nothing can be written, nothing is kept, and nothing fails', async () => {
  const file = join(scratch, 'file');
  writeFileSync(file, '');
  await keep(join(file, 'coregain'), subject, passed);
  expect(await recall(join(file, 'coregain'), subject)).toBeUndefined();
  await keep(undefined, subject, passed);
  expect(await recall(undefined, subject)).toBeUndefined();
});

test('the cache is where the user has caches', () => {
  vi.stubEnv('XDG_CACHE_HOME', '/somewhere');
  expect(cacheFolder()).toBe('/somewhere/coregain');
  vi.stubEnv('XDG_CACHE_HOME', 'relative');
  expect(cacheFolder()).toBe(join(homedir(), '.cache', 'coregain'));
  vi.unstubAllEnvs();
});

test('a verdict depends on the bytes of the addon and of its library', async () => {
  const beside = join(scratch, 'addon');
  mkdirSync(beside);
  const path = join(beside, 'libcoregain_cuda.so');
  const report = { available: true, reason: '', path, devices: [device] };
  const write = (library: string, addon: string) => {
    writeFileSync(path, library);
    writeFileSync(join(beside, 'coregain.node'), addon);
    writeFileSync(join(beside, 'other.txt'), String(Math.random()));
    return subjectOf(report);
  };
  const first = await write('a', 'b');
  expect(first.device).toEqual(device);
  expect(await write('a', 'b')).toEqual(first);
  expect((await write('a2', 'b')).binaries).not.toBe(first.binaries);
  expect((await write('a', 'b2')).binaries).not.toBe(first.binaries);
});
