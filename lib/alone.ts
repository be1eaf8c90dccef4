/** Work that only one process at a time does in a folder. */
import { mkdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { DataError } from './errors.js';
import { lockFolder } from './lock.js';

/** Where another process has what we want, how long until we look again. */
export const LOOK_AGAIN_MS = 500;

const TAKEN = ['ERR_CACHE_LOCKED', 'ERR_LOCKED_ELSEWHERE'];

/** Takes a folder for this process and returns the function that gives it back; undefined where another live process has it. */
export async function claimFolder(folder: string, taken = TAKEN): Promise<(() => Promise<void>) | undefined> {
  await mkdir(folder, { recursive: true });
  try {
    return await lockFolder(folder);
  } catch (error) {
    if (error instanceof DataError && taken.includes(error.code)) return undefined;
    throw error;
  }
}

/** Does `work` when no other process has the folder, however long that takes. Rejects with `signal.reason` when aborted. */
export function alone<T>(folder: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return whenFree(folder, TAKEN, work, signal);
}

/**
 * The same, but only processes of this machine are waited for.
 * @throws {DataError} `ERR_LOCKED_ELSEWHERE`, so that nobody waits for a machine that was switched off.
 */
export function aloneHere<T>(folder: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return whenFree(folder, ['ERR_CACHE_LOCKED'], work, signal);
}

async function whenFree<T>(
  folder: string,
  taken: string[],
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  let release = await claimFolder(folder, taken);
  while (!release) {
    signal?.throwIfAborted();
    await setTimeout(LOOK_AGAIN_MS);
    release = await claimFolder(folder, taken);
  }
  try {
    return await work();
  } finally {
    await release();
  }
}
