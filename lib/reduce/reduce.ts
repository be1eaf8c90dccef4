/** The second stage: embeddings -> fewer dimensions. */
import { oneOf } from '../check.js';
import { openEmbeddings, readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import { type LinearModel, pca } from './pca.js';
import * as umap from './umap.js';

export const REDUCTIONS = ['pca', 'umap', 'none'] as const;
export type Reduction = (typeof REDUCTIONS)[number];

export interface ReduceOptions extends Omit<umap.UmapOptions, 'dims'> {
  /**
   * `pca`: the `dims` directions of largest variance. `umap`: a layout in `dims` dimensions that keeps near points near; the
   * other options are for it. `none`: the embeddings as they are.
   */
  method: Reduction;
  /** Wanted number of features, for `pca` and `umap`. */
  dims?: number | undefined;
}

export interface ReduceResult {
  /** [N, k]; on a SharedArrayBuffer for `pca`, `umap` (float32) and for whatever is read from a file. */
  readonly matrix: EmbeddingMatrix;
  /** For `pca`: what was fitted. `variance[i] / totalVariance` is the explained ratio of component i. */
  readonly model?: LinearModel;
  /** For `umap`: what was fitted. */
  readonly layout?: umap.UmapModel;
  /** Sentences about what came out otherwise than asked for, e.g. fewer dimensions. */
  readonly notes: readonly string[];
  readonly seconds: number;
}

/**
 * Reduces embeddings, in memory or on disk, to `dims` features; by PCA to as many as the data has.
 * @throws {DataError} naming the file and the cure; rejects with `signal.reason` when aborted.
 */
export async function reduce(input: Embeddings, options: ReduceOptions): Promise<ReduceResult> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  if (oneOf('method', options.method, REDUCTIONS) === 'none') {
    if (!onDisk(input)) return { matrix: input, notes: [], seconds: seconds() };
    const { notes, ...matrix } = await readEmbeddings(input, options);
    return { matrix, notes, seconds: seconds() };
  }
  const notes = await notesOf(input);
  const dims = options.dims as number; // either `fit` refuses what is not a positive integer.
  if (options.method === 'umap') {
    const { model, matrix } = await umap.fit(input, { ...options, dims });
    return { matrix, layout: model, notes, seconds: seconds() };
  }
  const { onProgress } = options;
  const total = (half: 0 | 1): JobOptions => ({
    signal: options.signal,
    // Two passes over the points are one stage.
    onProgress: onProgress && ((p) => onProgress({ ...p, done: Math.floor((p.done + half * p.total) / 2) })),
  });
  const model = await pca.fit(input, dims, total(0));
  const matrix = await pca.transform(model, input, total(1));
  if (model.outputs < dims) {
    notes.push(
      `${sourceOf(input)}: ${model.outputs} dimensions instead of ${dims}, because ${matrix.rows} points of ${model.inputs} features vary in no more.`,
    );
  }
  return { matrix, model, notes, seconds: seconds() };
}

/** What is not given as it is stored. Whatever reads the values opens the file again, in a thread of its own. */
async function notesOf(input: Embeddings): Promise<string[]> {
  if (!onDisk(input)) return [];
  const file = await openEmbeddings(input);
  await file.close();
  return [...file.notes];
}
