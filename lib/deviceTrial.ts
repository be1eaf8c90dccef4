/**
 * A trial of a CUDA device: a child process does seeded work there and on the processor, and compares (lib/trial). What crashes,
 * hangs or breaks the device's state does so in the child.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What a device must show, in this order. */
export const CHECKS = [
  'partition gram float32 sqeuclidean',
  'partition gram float32 cosine',
  'partition gram float64 sqeuclidean',
  'partition gram float64 cosine',
  'partition lazy float32 sqeuclidean',
  'partition lazy float32 cosine',
  'partition lazy float64 sqeuclidean',
  'partition lazy float64 cosine',
  'kernels fp32',
  'kernels tf32',
  'kernels bf16',
  'kernels int8',
  'pca covariance',
  'pca gram',
  'pca krylov',
  'umap neighbours',
] as const;
export type CheckName = (typeof CHECKS)[number];

export type TriedDevice = `cuda:${number}`;

export interface DeviceCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  /** What went wrong, a sentence. */
  readonly error?: string;
  readonly code?: string;
}

export interface DeviceTrial {
  /** `undecided`: the device could not be tried, for a reason that may pass, such as no free memory. */
  readonly outcome: 'passed' | 'failed' | 'undecided';
  /** What went wrong, a clause without a stop; empty where all checks passed. */
  readonly why: string;
  /** Of the whole trial, the start of the process included. */
  readonly seconds: number;
  /** Those that ended. */
  readonly checks: readonly DeviceCheck[];
}

/** What the child sends: the name of each check when it begins, and all of them when they have ended. */
export type TrialMessage = CheckName | { readonly ok: boolean; readonly checks: readonly DeviceCheck[] };

/** A device needs seconds. */
const LIMIT_MS = 120_000;
const SCRIPT = fileURLToPath(new URL('./trial/main.js', import.meta.url));
/** A process that ends so broke something itself; other signals come from outside. */
const CRASHES: readonly (string | null)[] = ['SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGSEGV', 'SIGSYS', 'SIGTRAP'];

/**
 * Tries the device cuda:`index` in a child process, which is killed after two minutes.
 * @param options `script` and `limitMs` are for tests of what a child may do.
 * @returns what was found, also where the child did not come to its end; rejects with `signal.reason` when aborted, after the
 * child is gone.
 */
export async function tryDevice(
  index: number,
  options: { signal?: AbortSignal | undefined; script?: string; limitMs?: number } = {},
): Promise<DeviceTrial> {
  const { signal, script = SCRIPT, limitMs = LIMIT_MS } = options;
  signal?.throwIfAborted();
  const start = performance.now();
  const end = await runTrial(script, index, limitMs, signal);
  signal?.throwIfAborted();
  const checks = end.result?.checks ?? [];
  return { ...judge(end, limitMs), seconds: (performance.now() - start) / 1000, checks };
}

interface Ended {
  readonly status: number | null;
  readonly killer: NodeJS.Signals | null;
  readonly late: boolean;
  /** The check that began last. */
  readonly during?: string | undefined;
  readonly result?: { readonly ok: boolean; readonly checks: readonly DeviceCheck[] } | undefined;
  /** What it wrote last on stderr, or why there is no process. */
  readonly said: string;
}

function runTrial(script: string, index: number, limitMs: number, signal: AbortSignal | undefined): Promise<Ended> {
  return new Promise((resolve) => {
    const child = fork(script, [String(index)], { execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    let [late, said] = [false, ''];
    let during: string | undefined;
    let result: Ended['result'];
    child.on('message', (message: TrialMessage) => {
      if (typeof message === 'string') during = message;
      else result = message;
    });
    child.stderr?.on('data', (text) => {
      said = (said + text).slice(-2000);
    });
    const kill = () => child.kill('SIGKILL');
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, limitMs);
    signal?.addEventListener('abort', kill, { once: true });
    const end = (status: number | null, killer: NodeJS.Signals | null, last: string) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
      resolve({ status, killer, late, during, result, said: last.trim().split('\n').slice(-2).join(' ') });
    };
    child.once('error', (error) => end(null, null, error.message));
    child.once('close', (status, killer) => end(status, killer, said));
  });
}

function judge(end: Ended, limitMs: number): Pick<DeviceTrial, 'outcome' | 'why'> {
  const { status, killer, late, during, result, said } = end;
  const where = during === undefined ? 'before the first check' : `in the check "${during}"`;
  if (late) return { outcome: 'failed', why: `it did not end within ${limitMs / 1000} s, ${where}` };
  if (CRASHES.includes(killer))
    return { outcome: 'failed', why: `it crashed ${where} (${killer}${said && `: ${said}`})` };
  if (killer !== null) return { outcome: 'undecided', why: `its trial was ended by ${killer} ${where}` };
  if (status !== 0 || result === undefined) {
    return { outcome: 'undecided', why: `its trial ended ${where}, with status ${status}${said && `: ${said}`}` };
  }
  const failed = result.checks.filter(({ ok }) => !ok);
  if (failed.length > 0) {
    const { name, error = 'no reason given' } = failed[0]!;
    const more = failed.length > 1 ? `, and ${failed.length - 1} more` : '';
    return {
      outcome: failed.every(isTaken) ? 'undecided' : 'failed',
      why: `the check "${name}" failed: ${error.replace(/\.$/, '')}${more}`,
    };
  }
  if (!result.ok || !areAll(result.checks)) return { outcome: 'undecided', why: 'its trial left checks out' };
  return { outcome: 'passed', why: '' };
}

/** Whether a check failed because others have the device or its memory. */
function isTaken({ code, error = '' }: DeviceCheck): boolean {
  return code === 'ERR_MEMORY' || error.includes('cudaErrorDevicesUnavailable');
}

/** Whether these are all checks, each by its name, and all are well. */
export function areAll(checks: readonly DeviceCheck[]): boolean {
  return (
    checks.length === CHECKS.length && CHECKS.every((name, i) => checks[i]?.name === name && checks[i].ok === true)
  );
}
