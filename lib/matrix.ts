/**
 * N embeddings of d features, row-major (C order): element (i, j) is `data[i * cols + j]`.
 * Memory on a `SharedArrayBuffer` reaches the native engine without a copy.
 */
export interface EmbeddingMatrix {
  readonly data: Float32Array | Float64Array;
  /** N, the number of points. */
  readonly rows: number;
  /** d, the number of features. */
  readonly cols: number;
}
