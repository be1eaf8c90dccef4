/** The second stage: embeddings -> fewer dimensions. */
import { oneOf } from '../check.js';
import { readNpy } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import { type Embeddings, type LinearModel, pca, sourceOf } from './pca.js';

export const REDUCTIONS = ['pca', 'none'] as const;
export type Reduction = (typeof REDUCTIONS)[number];

export interface ReduceOptions extends JobOptions {
  /** `pca`: the `dims` directions of largest variance. `none`: the embeddings as they are. */
  method: Reduction;
  /** Wanted number of features, for `pca`. */
  dims?: number | undefined;
}

export interface ReduceResult {
  /** [N, k]; on a SharedArrayBuffer for `pca` and for whatever is read from a file. */
  readonly matrix: EmbeddingMatrix;
  /** For `pca`: what was fitted. `variance[i] / totalVariance` is the explained ratio of component i. */
  readonly model?: LinearModel;
  /** Sentences about what came out otherwise than asked for, e.g. fewer dimensions. */
  readonly notes: readonly string[];
  readonly seconds: number;
}

/**
 * Reduces embeddings, in memory or from an .npy file, to `dims` features or as many as the data has.
 * @throws {DataError} naming the file and the cure; rejects with `signal.reason` when aborted.
 */
export async function reduce(input: Embeddings, options: ReduceOptions): Promise<ReduceResult> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  if (oneOf('method', options.method, REDUCTIONS) === 'none') {
    const matrix = typeof input === 'string' ? await readNpy(input, options) : input;
    return { matrix, notes: [], seconds: seconds() };
  }
  const dims = options.dims as number; // `fit` refuses what is not a positive integer.
  const { onProgress } = options;
  const total = (half: 0 | 1): JobOptions => ({
    signal: options.signal,
    // Two passes over the points are one stage.
    onProgress: onProgress && ((p) => onProgress({ ...p, done: Math.floor((p.done + half * p.total) / 2) })),
  });
  const model = await pca.fit(input, dims, total(0));
  const matrix = await pca.transform(model, input, total(1));
  const notes =
    model.outputs < dims
      ? [
          `${sourceOf(input)}: ${model.outputs} dimensions instead of ${dims}, because ${matrix.rows} points of ${model.inputs} features vary in no more.`,
        ]
      : [];
  return { matrix, model, notes, seconds: seconds() };
}
