/** Work that only one process at a time does in a folder. */
import { mkdir } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { DataError } from './errors.js';
import { lockFolder } from './lock.js';

/** Where another process has what we want, how long until we look again. */
export const LOOK_AGAIN_MS = 500;

/** Takes a folder for this process and returns the function that gives it back; undefined where another live process has it. */
export async function claimFolder(folder: string): Promise<(() => Promise<void>) | undefined> {
  await mkdir(folder, { recursive: true });
  try {
    return await lockFolder(folder);
  } catch (error) {
    if (error instanceof DataError && error.code === 'ERR_CACHE_LOCKED') return undefined;
    throw error;
  }
}

/** Does `work` when no other process has the folder, however long that takes. Rejects with `signal.reason` when aborted. */
export async function alone<T>(folder: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  let release = await claimFolder(folder);
  while (!release) {
    signal?.throwIfAborted();
    await setTimeout(LOOK_AGAIN_MS);
    release = await claimFolder(folder);
  }
  try {
    return await work();
  } finally {
    await release();
  }
}
