import { Worker } from 'node:worker_threads';
import { DataError } from '../errors.js';
import type { Tasks } from './worker.js';

/** Runs one task of worker.ts; rejects with `signal.reason` when aborted. */
export function inThread<Name extends keyof Tasks>(
  name: Name,
  input: Parameters<Tasks[Name]>[0],
  signal?: AbortSignal,
): Promise<ReturnType<Tasks[Name]>> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { name, input }, execArgv: [] });
  return new Promise<ReturnType<Tasks[Name]>>((resolve, reject) => {
    const abort = () => reject(signal!.reason);
    signal?.addEventListener('abort', abort, { once: true });
    worker.once('message', resolve);
    worker.once('error', (cause) =>
      reject(new DataError('ERR_DIAGNOSE', `The diagnostics failed: ${cause.message}.`, { cause })),
    );
    worker.once('exit', () => signal?.removeEventListener('abort', abort));
  }).finally(() => worker.terminate());
}
