/** The second stage: embeddings -> fewer dimensions. */
import { oneOf } from '../check.js';
import { notesOf, readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { LinearModel, PcaSummary } from './linearModel.js';
import * as pca from './pca.js';
import * as umap from './umap.js';

export const REDUCTIONS = ['pca', 'umap', 'none'] as const;
export type Reduction = (typeof REDUCTIONS)[number];

/** Options that not every method looks at, and the methods that do. */
export const OF_REDUCTION = {
  dims: ['pca', 'umap'],
  seed: ['pca', 'umap'],
  device: ['pca', 'umap'],
  neighbours: ['umap'],
  neighbourSearch: ['umap'],
  minDist: ['umap'],
  epochs: ['umap'],
} as const satisfies { [option: string]: readonly Reduction[] };

export interface ReduceOptions extends Omit<umap.UmapOptions & pca.PcaOptions, 'dims'> {
  /**
   * `pca`: the `dims` directions of largest variance. `umap`: a layout in `dims` dimensions that keeps near points near.
   * `none`: the embeddings as they are.
   */
  method: Reduction;
  /** Wanted number of features, for `pca` and `umap`. */
  dims?: number | undefined;
  /** For `pca`: whether the fitted model is wanted too; false if not given, for it may cost another pass over the data. */
  model?: boolean | undefined;
}

export interface ReduceResult {
  /** [N, k]; on a SharedArrayBuffer for `pca`, `umap` (float32) and for whatever is read from a file. */
  readonly matrix: EmbeddingMatrix;
  /** For `pca`: what was found. `variance[i] / totalVariance` is the explained ratio of component i. */
  readonly pca?: PcaSummary;
  /** For `pca`, where it was asked for: what `pca.transform` takes. */
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
  const notes = onDisk(input) ? await notesOf(input) : [];
  const dims = options.dims as number; // either `fit` refuses what is not a positive integer.
  if (options.method === 'umap') {
    const { model, matrix } = await umap.fit(input, { ...options, dims });
    return { matrix, layout: model, notes, seconds: seconds() };
  }
  const { matrix, summary, model } = await pca.fitTransform(input, { ...options, dims });
  if (matrix.cols < dims) {
    notes.push(
      `${sourceOf(input)}: ${matrix.cols} dimensions instead of ${dims}, because its ${matrix.rows} points vary in no more.`,
    );
  }
  return { matrix, pca: summary, ...(model && { model }), notes, seconds: seconds() };
}
