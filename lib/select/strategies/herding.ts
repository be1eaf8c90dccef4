import type { EmbeddingMatrix } from '../../matrix.js';
import { native } from '../../native.js';
import { runNative } from '../../nativeJob.js';
import type { JobOptions } from '../../progress.js';
import { checkMatrix } from '../bins.js';
import { type DrawOptions, EXCLUDED, planDraw } from '../draw.js';
import type { Selection } from '../types.js';
import { strategyJob } from './job.js';
import { ranked } from './ranked.js';
import { report } from './strata.js';

export interface HerdingOptions extends DrawOptions, JobOptions {
  /** 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

/**
 * Herding (Welling, ICML 2009), without replacement: rows whose running mean follows the mean m of all,
 *
 *     x_t = argmax <w, x>, lowest row on ties;      w <- w + m - x_t,      w = m at first
 *
 * `include` rows come first. O(N d) for each row; `gains` are <w, x_t>. Products are those of float32 rows with the mean
 * taken off, summed in float64. It follows the mean of the embeddings, so it shares the paper's weakness: a frame that is
 * there a hundred times pulls a hundred times.
 *
 * @throws as `partition` and `draw`.
 */
export async function herding(
  matrix: EmbeddingMatrix,
  options: HerdingOptions,
  source = 'The embedding matrix',
): Promise<Selection> {
  checkMatrix(matrix);
  const { budgetCount, marks, seed } = planDraw(options, matrix.rows);
  const allowed = marks.map((mark) => (mark === EXCLUDED ? 0 : 1));
  const initial = Int32Array.from(options.include ?? []);
  const job = { ...(await strategyJob(matrix, options, source)), budget: budgetCount, allowed, initial };
  const started = performance.now();
  const { rows, scores } = await runNative(native().herding, job, budgetCount, options, source);
  return ranked(rows, scores, matrix.rows, seed, report('herding', 'asked for', performance.now() - started));
}

/** The same in plain float64 loops, straight from the formula: for tests, and to read. */
export function naiveHerding({ data, rows, cols }: EmbeddingMatrix, budget: number): number[] {
  const mean = Array.from({ length: cols }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += data[i * cols + j]!;
    return sum / rows;
  });
  const w = [...mean];
  const chosen: number[] = [];
  while (chosen.length < budget) {
    let best = -1;
    let most = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < rows; i++) {
      let score = 0;
      for (let j = 0; j < cols; j++) score += w[j]! * data[i * cols + j]!;
      if (!chosen.includes(i) && score > most) [best, most] = [i, score];
    }
    for (let j = 0; j < cols; j++) w[j]! += mean[j]! - data[best * cols + j]!;
    chosen.push(best);
  }
  return chosen;
}
