/**
 * One writer per folder, without help from the file system beyond exclusive creation. Each process that wants the
 * folder first creates a file that names itself and only then looks for others: of two that come at the same time, at
 * least one sees the other and steps back. The file of a dead process may be removed by anyone at any time, because no
 * later process ever uses that name again (process id + start time), so there is no race in taking over.
 *
 * Of a process on this machine the system says whether it lives. One on another machine says so itself: it writes its file
 * again every few seconds, and counts as dead when it has not done so for a minute. Both times are those that the file system
 * gave the two files, so clocks need not agree.
 */
import { readFileSync } from 'node:fs';
import { readdir, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DataError } from './errors.js';

const HEARTBEAT_MS = 10_000;
const SILENT_MS = 60_000;

let opened = 0;

/**
 * Takes the folder for this process and returns the function that gives it back. The lock of a process that is gone is removed;
 * one of another machine with a warning (`COREGAIN_LOCK_TAKEN`).
 * @throws {DataError} `ERR_CACHE_LOCKED` naming the process that has it.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-');
  const mine = join(folder, `lock.${host}.${process.pid}.${startTime(process.pid) ?? 'unknown'}.${++opened}`);
  await writeFile(mine, now(), { flag: 'wx' });
  try {
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      if (!name.startsWith('lock.') || path === mine) continue;
      const [, where, pid, start] = name.split('.');
      if (where === host && isRunning(Number(pid), Number(start))) {
        throw new DataError(
          'ERR_CACHE_LOCKED',
          `${folder} is in use by process ${pid}. Wait for it to end, or choose another folder.`,
        );
      }
      if (where !== host) await checkSilent(folder, path, mine, `process ${pid} on ${where}`);
      await rm(path, { force: true });
    }
  } catch (error) {
    await rm(mine, { force: true });
    throw error;
  }
  return keepAlive(folder, mine);
}

/** DataError `ERR_CACHE_LOCKED` where the process of another machine was heard of lately, else a warning. */
async function checkSilent(folder: string, path: string, mine: string, who: string): Promise<void> {
  const heard = await stat(path).catch(() => undefined); // It may just have been given back.
  if (!heard) return;
  const seconds = Math.round(((await stat(mine)).mtimeMs - heard.mtimeMs) / 1000);
  if (seconds * 1000 <= SILENT_MS) {
    throw new DataError(
      'ERR_CACHE_LOCKED',
      `${folder} is in use by ${who}, heard of ${Math.max(0, seconds)} s ago. Wait for it to end, or choose another folder.`,
    );
  }
  warn(`${folder} was in use by ${who}, not heard of for ${seconds} s. It counts as gone, and this process goes on.`);
}

/** Writes the lock again and again, and returns the function that gives it back. */
function keepAlive(folder: string, mine: string): () => Promise<void> {
  let given = false;
  const heartbeat = setInterval(async () => {
    try {
      await writeFile(mine, now(), { flag: 'r+' }); // Never makes a file that somebody removed.
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || given) return;
      clearInterval(heartbeat);
      warn(`${folder} was taken over by another process, because this one was silent for a minute. Stop one of them.`);
    }
  }, HEARTBEAT_MS);
  heartbeat.unref();
  return () => {
    given = true;
    clearInterval(heartbeat);
    return rm(mine, { force: true });
  };
}

function warn(message: string): void {
  process.emitWarning(message, { code: 'COREGAIN_LOCK_TAKEN' });
}

const now = () => new Date().toISOString();

function isRunning(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The same process id with another start time is another process.
  const started = startTime(pid);
  return started === undefined || started === start;
}

/** Start of a process in clock ticks since boot, 0 for one that only waits to be reaped; undefined without /proc. */
function startTime(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may contain anything; field 22 is the 20th after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 0 : Number(fields[19]);
  } catch {
    return undefined;
  }
}
