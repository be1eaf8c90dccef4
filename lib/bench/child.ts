import { spawn } from 'node:child_process';
import { CoregainError } from '../errors.js';

/** More of a child's output than this is not a result. */
const MAX_OUTPUT = 1 << 20;

/**
 * Runs a program to its end and reads the last line that it prints as JSON.
 * @throws {CoregainError} `ERR_BENCH_CHILD` with the end of what it said on stderr; rejects with `signal.reason` when
 * aborted, after the program is gone.
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
      reject(new CoregainError('ERR_BENCH_CHILD', `${why.replaceAll(/\s+/g, ' ').trim()}. Free memory may be short.`));
    child.once('error', (error) => {
      signal?.removeEventListener('abort', kill);
      fail(`${file} could not be started: ${error.message}`);
    });
    child.once('close', (status, killer) => {
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted) return reject(signal.reason);
      const said = stderr.trim().split('\n').slice(-3).join(' ');
      if (status !== 0) return fail(`the process ended with ${killer ?? `status ${status}`}${said && `: ${said}`}`);
      try {
        resolve(JSON.parse(stdout.trim().split('\n').at(-1)!) as T);
      } catch {
        fail(`the process printed no result: ${stdout.slice(-200)} ${said}`);
      }
    });
  });
}
