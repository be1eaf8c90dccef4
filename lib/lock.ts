/**
 * One writer per folder, without help from the file system beyond exclusive creation. Each process that wants the
 * folder first creates a file that names itself and only then looks for others: of two that come at the same time, at
 * least one sees the other and steps back. The file of a dead process may be removed by anyone at any time, because no
 * later process ever uses that name again (process id + start time), so there is no race in taking over.
 */
import { readFileSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { DataError } from './errors.js';

let opened = 0;

/**
 * Takes the folder for this process and returns the function that gives it back. A killed process's lock is removed.
 * @throws {DataError} `ERR_CACHE_LOCKED` naming the process that has it; `ERR_LOCKED_ELSEWHERE` if it is on another machine,
 * which cannot be asked whether it is still there.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, '-');
  const mine = `lock.${host}.${process.pid}.${startTime(process.pid) ?? 'unknown'}.${++opened}`;
  const release = () => rm(join(folder, mine), { force: true });
  await writeFile(join(folder, mine), '', { flag: 'wx' });
  for (const name of await readdir(folder)) {
    if (!name.startsWith('lock.') || name === mine) continue;
    const [, where, pid, start] = name.split('.');
    if (where === host && !isRunning(Number(pid), Number(start))) {
      await rm(join(folder, name), { force: true });
      continue;
    }
    await release();
    throw where === host
      ? new DataError(
          'ERR_CACHE_LOCKED',
          `${folder} is in use by process ${pid}. Wait for it to end, or choose another folder.`,
        )
      : new DataError(
          'ERR_LOCKED_ELSEWHERE',
          `${folder} is in use by process ${pid} on ${where}. If that process is gone, remove ${join(folder, name)}.`,
        );
  }
  return release;
}

function isRunning(pid: number, start: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  // The same process id with another start time is another process.
  const now = startTime(pid);
  return now === undefined || now === start;
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
