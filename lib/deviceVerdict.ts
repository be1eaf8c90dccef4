/**
 * What is known of the first CUDA device of this machine: the trial that it had (deviceTrial.ts), kept for as long as nothing
 * changes that it depends on.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { areAll, type DeviceTrial, tryDevice } from './deviceTrial.js';
import { writeFileAtomically } from './files.js';
import type { CudaDevice, CudaReport } from './native.js';
import { version } from './version.js';

/** Everything that a verdict depends on. */
export interface TrialSubject {
  readonly coregain: string;
  /** sha256 of the addon and its CUDA library. */
  readonly binaries: string;
  /** What the driver says of itself; empty where it says nothing. */
  readonly driver: string;
  readonly device: CudaDevice;
}

interface Known {
  readonly trial: Promise<DeviceTrial>;
  readonly stop: AbortController;
  /** Callers that have not heard of it yet. */
  waiting: number;
  settled: boolean;
}

/** Of this process. The addon opens its library once, so the device stays the same. */
let known: Known | undefined;

/**
 * The trial of cuda:0: of this process, else the one that was kept on disk, else a new one, which takes seconds.
 * @param report of `native().cuda()`, with a device.
 * @returns rejects with `signal.reason` when aborted; the trial ends when nobody waits for it any more.
 */
export async function deviceVerdict(report: CudaReport, signal?: AbortSignal): Promise<DeviceTrial> {
  signal?.throwIfAborted();
  known ??= begin(async (stop) => {
    const subject = await subjectOf(report);
    return (await recall(cacheFolder(), subject)) ?? tryAndKeep(subject, stop);
  });
  return hear(known, signal);
}

/** A new trial of cuda:0, whatever is known: it counts from now on. As `deviceVerdict`. */
export async function newVerdict(report: CudaReport, signal?: AbortSignal): Promise<DeviceTrial> {
  signal?.throwIfAborted();
  known = begin(async (stop) => tryAndKeep(await subjectOf(report), stop));
  return hear(known, signal);
}

function begin(find: (stop: AbortSignal) => Promise<DeviceTrial>): Known {
  const stop = new AbortController();
  const trial = find(stop.signal).catch((error: Error): DeviceTrial => {
    if (stop.signal.aborted) throw error;
    return { outcome: 'undecided', why: `its trial did not begin (${error.message})`, seconds: 0, checks: [] };
  });
  const started: Known = { trial, stop, waiting: 0, settled: false };
  const settle = () => {
    started.settled = true;
  };
  trial.then(settle, settle);
  return started;
}

async function hear(from: Known, signal: AbortSignal | undefined): Promise<DeviceTrial> {
  from.waiting++;
  let leave = () => {};
  try {
    return await new Promise<DeviceTrial>((resolve, reject) => {
      leave = () => reject(signal!.reason);
      signal?.addEventListener('abort', leave, { once: true });
      from.trial.then(resolve, reject);
    });
  } catch (error) {
    if (known === from && (from.settled || from.waiting === 1)) known = undefined;
    throw error;
  } finally {
    signal?.removeEventListener('abort', leave);
    if (--from.waiting === 0 && !from.settled) from.stop.abort();
  }
}

async function tryAndKeep(subject: TrialSubject, stop: AbortSignal): Promise<DeviceTrial> {
  const trial = await tryDevice(0, { signal: stop });
  if (trial.outcome !== 'undecided') await keep(cacheFolder(), subject, trial);
  return trial;
}

/** What a verdict on the first device of `report` depends on. */
export async function subjectOf({ path, devices }: CudaReport): Promise<TrialSubject> {
  const folder = dirname(path);
  const binaries = (await readdir(folder)).filter((name) => /\.(node|so)$/.test(name)).sort();
  const hash = createHash('sha256');
  for (const name of binaries) hash.update(`${name}\n`).update(await readFile(join(folder, name)));
  const driver = await readFile('/proc/driver/nvidia/version', 'utf8').catch(() => '');
  return { coregain: version, binaries: hash.digest('hex'), driver: driver.trim(), device: devices[0]! };
}

/** Where verdicts are kept: `coregain` in the user's cache folder; undefined for a user without one. */
export function cacheFolder(): string | undefined {
  const { XDG_CACHE_HOME } = process.env;
  if (XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME)) return join(XDG_CACHE_HOME, 'coregain');
  try {
    return join(homedir(), '.cache', 'coregain');
  } catch {
    return undefined;
  }
}

function fileOf(folder: string, subject: TrialSubject): string {
  const hash = createHash('sha256').update(JSON.stringify(subject)).digest('hex');
  return join(folder, `device-${hash.slice(0, 32)}.json`);
}

/** The trial that was kept of `subject`; undefined where there is none, or its file is damaged. */
export async function recall(folder: string | undefined, subject: TrialSubject): Promise<DeviceTrial | undefined> {
  if (folder === undefined) return undefined;
  try {
    const found = JSON.parse(await readFile(fileOf(folder, subject), 'utf8')) as {
      subject: TrialSubject;
      trial: DeviceTrial;
    };
    return isDeepStrictEqual(found.subject, subject) && isTrial(found.trial) ? found.trial : undefined;
  } catch {
    return undefined;
  }
}

function isTrial({ outcome, why, seconds, checks }: DeviceTrial): boolean {
  if (typeof why !== 'string' || typeof seconds !== 'number' || !Array.isArray(checks)) return false;
  return outcome === 'passed' ? areAll(checks) : outcome === 'failed' && why !== '';
}

/** Keeps a trial for later processes; where nothing can be written each of them tries anew. */
export async function keep(folder: string | undefined, subject: TrialSubject, trial: DeviceTrial): Promise<void> {
  if (folder === undefined) return;
  await writeFileAtomically(fileOf(folder, subject), `${JSON.stringify({ subject, trial }, null, 2)}\n`).catch(
    () => {},
  );
}
