import { DataError, NativeError } from './errors.js';
import { checkFinite } from './formats/finite.js';
import type { JobOptions, Progress } from './progress.js';

const PROGRESS_INTERVAL_MS = 100;

/** What any job of the native engine has. */
export interface NativeJob {
  data?: Float32Array | Float64Array | undefined;
  cols: number;
  /** Row of the matrix that `data` begins with; 0 if not given. */
  first?: number | undefined;
  /** Column of the matrix that the column `from` of `data` is; 0 if not given. */
  firstColumn?: number | undefined;
  from?: number | undefined;
  /** On a SharedArrayBuffer: [0] JavaScript sets to 1 to cancel, [1] native writes what is done. */
  control: Int32Array;
}

/**
 * Runs a native job: an abort goes to it through `control`, progress comes from there; its errors get the words of the
 * caller, with `source` for the matrix.
 * @param total points when all is done.
 * @param stage that progress is of.
 * @throws {DataError} `ERR_NOT_FINITE` naming row and column, or what else is wrong with a row; {NativeError}; what `onProgress` throws; rejects with
 * `signal.reason` when aborted.
 */
export async function runNative<Job extends NativeJob, Result>(
  start: (job: Job) => Promise<Result>,
  job: Job,
  total: number,
  { signal, onProgress }: JobOptions,
  source: string,
  stage: Progress['stage'] = 'select',
): Promise<Result> {
  const { control } = job;
  const cancel = () => Atomics.store(control, 0, 1);
  signal?.addEventListener('abort', cancel, { once: true });
  let reported = 0;
  let complaint: { error: unknown } | undefined;
  const report = () => {
    const done = Atomics.load(control, 1);
    if (done === reported || done >= total) return;
    reported = done;
    try {
      onProgress!({ stage, done, total, unit: 'points' });
    } catch (error) {
      // From a timer it would end the process; the caller is the one to hear it.
      complaint ??= { error };
      cancel();
    }
  };
  const timer = onProgress && setInterval(report, PROGRESS_INTERVAL_MS).unref();
  try {
    const result = await start(job);
    signal?.throwIfAborted();
    onProgress?.({ stage, done: total, total, unit: 'points' });
    return result;
  } catch (error) {
    if (complaint) throw complaint.error;
    signal?.throwIfAborted();
    throw explain(error as Error & { code?: string; row?: number }, job, source);
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', cancel);
  }
}

function explain(
  error: Error & { code?: string; row?: number },
  { data, cols, first = 0, firstColumn = 0, from = 0 }: NativeJob,
  source: string,
): Error {
  const { code, row, message } = error;
  if (data && row !== undefined) {
    checkFinite(data.subarray(row * cols, (row + 1) * cols), cols, source, first + row, firstColumn - from);
    return new DataError(code!, message.replace('The embedding matrix', source), { cause: error });
  }
  return code?.startsWith('ERR_') ? new NativeError(code, message, { cause: error }) : error;
}
