import { spawn } from 'node:child_process';
import { CoregainError } from '../errors.js';

/** More of a child's output than this is not a result. */
const MAX_OUTPUT = 1 << 20;

/** A child of ours: prints what `work` gives, or its error, as the line of JSON that `runChild` reads. */
export async function answer(work: () => Promise<unknown>): Promise<void> {
  try {
    console.log(JSON.stringify(await work()));
  } catch (error) {
    const { code, message } = error as CoregainError;
    console.log(JSON.stringify({ error: { code: code ?? 'ERR_BENCH_CHILD', message } }));
    process.exitCode = 1;
  }
}

/**
 * Runs a program to its end and reads the last line that it prints as JSON.
 * @throws {CoregainError} with the code and message of an `answer`, else `ERR_BENCH_CHILD` with the end of what it said
 * on stderr; rejects with `signal.reason` when aborted, after the program is gone.
 */
export function runChild<T>(
  file: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv | undefined; signal?: AbortSignal | undefined } = {},
): Promise<T> {
  const { signal, env = process.env } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (text) => {
      stdout = (stdout + text).slice(-MAX_OUTPUT);
    });
    child.stderr.on('data', (text) => {
      stderr = (stderr + text).slice(-4000);
    });
    // Native threads do not stop for a polite signal; there is nothing in a child to clean up.
    const kill = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    const fail = (why: string) =>
      reject(new CoregainError('ERR_BENCH_CHILD', `${why.replaceAll(/\s+/g, ' ').trim()}.`));
    child.once('error', (error) => {
      signal?.removeEventListener('abort', kill);
      fail(`${file} could not be started: ${error.message}`);
    });
    child.once('close', (status, killer) => {
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted) return reject(signal.reason);
      const said = stderr.trim().split('\n').slice(-3).join(' ');
      if (killer) return fail(`the process was ended by ${killer}. Free memory may be short`);
      const result = lastLine(stdout) as (T & { error?: { code: string; message: string } }) | undefined;
      if (result?.error) return reject(new CoregainError(result.error.code, result.error.message));
      if (status !== 0) return fail(`the process ended with status ${status}${said && `: ${said}`}`);
      if (result === undefined) return fail(`the process printed no result: ${stdout.slice(-200)} ${said}`);
      resolve(result);
    });
  });
}

function lastLine(text: string): unknown {
  try {
    return JSON.parse(text.trim().split('\n').at(-1)!);
  } catch {
    return undefined;
  }
}
