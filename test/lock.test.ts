import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { lockFolder } from '#lib/lock.js';

/** A busy machine takes its time. */
const PATIENT = { timeout: 20_000 };

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'coregain-lock-'));
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

/** A lock that another machine wrote so many seconds ago. */
function foreign(secondsAgo: number): string {
  const path = join(folder, 'lock.elsewhere.7.1.1');
  writeFileSync(path, '');
  age(path, secondsAgo);
  return path;
}

function age(path: string, seconds: number): void {
  const then = new Date(Date.now() - 1000 * seconds);
  utimesSync(path, then, then);
}

test('a process of another machine that was heard of lately keeps its folder', async () => {
  foreign(50);
  await expect(lockFolder(folder)).rejects.toMatchObject({
    code: 'ERR_CACHE_LOCKED',
    message: expect.stringMatching(/in use by process 7 on elsewhere, heard of (49|50|51) s ago/),
  });
  expect(readdirSync(folder)).toEqual(['lock.elsewhere.7.1.1']);
});

test('one that has been silent for more than a minute is gone: its folder is taken, with a warning', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  foreign(75);
  const release = await lockFolder(folder);
  expect(warn).toHaveBeenCalledWith(
    expect.stringMatching(/was in use by process 7 on elsewhere, not heard of for (74|75|76) s/),
    { code: 'COREGAIN_LOCK_TAKEN' },
  );
  expect(readdirSync(folder)).toHaveLength(1);
  await release();
  expect(readdirSync(folder)).toEqual([]);
});

test('who has a folder says every ten seconds that it is there, and hears when the folder was taken from it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
  const release = await lockFolder(folder);
  const lock = join(folder, readdirSync(folder)[0]!);
  age(lock, 1000);
  await vi.advanceTimersByTimeAsync(9_000);
  expect(Date.now() - statSync(lock).mtimeMs).toBeGreaterThan(900_000);
  await vi.advanceTimersByTimeAsync(1_000);
  await vi.waitFor(() => expect(Date.now() - statSync(lock).mtimeMs).toBeLessThan(60_000), PATIENT);
  expect(warn).not.toHaveBeenCalled();
  rmSync(lock);
  await vi.advanceTimersByTimeAsync(10_000);
  await vi.waitFor(
    () => expect(warn).toHaveBeenCalledWith(expect.stringMatching(/taken over/), expect.anything()),
    PATIENT,
  );
  expect(readdirSync(folder)).toEqual([]);
  await release();
});
