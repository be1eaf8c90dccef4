import { integer } from '../../check.js';
import type { EmbeddingMatrix } from '../../matrix.js';
import type { StrategyJob } from '../../native.js';
import { sharedData } from '../../sharedData.js';

/** What every native strategy gets. */
export async function strategyJob(
  matrix: EmbeddingMatrix,
  options: { threads?: number | undefined; signal?: AbortSignal | undefined },
  source: string,
): Promise<StrategyJob> {
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  options.signal?.throwIfAborted();
  const data = await sharedData(matrix, source, options.signal);
  const control = new Int32Array(new SharedArrayBuffer(8));
  return { data, rows: matrix.rows, cols: matrix.cols, threads, simd: '', control };
}
