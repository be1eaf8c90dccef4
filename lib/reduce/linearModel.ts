/** A linear map to fewer dimensions: y = (x - mean) * components^T, divided by standard deviations where `whiten`. */
export interface LinearModel {
  /** d, features of the input. */
  readonly inputs: number;
  /** k, features of the output. */
  readonly outputs: number;
  /** N, rows that it was fitted to. */
  readonly rows: number;
  /** [d]. */
  readonly mean: Float64Array;
  /**
   * [k, d] row-major, orthonormal rows; the entry of largest magnitude in each row is positive. float64 from ml-pca, float32
   * from the native methods.
   */
  readonly components: Float64Array | Float32Array;
  /** [k], sample variance (divisor N - 1) along each component, descending. */
  readonly variance: Float64Array;
  /** Sum of the variances of all d features; `variance[i] / totalVariance` is the explained ratio. */
  readonly totalVariance: number;
  /**
   * Dimensions that could be told apart from rounding: at most min(N - 1, d), fewer where points are dependent; of the method
   * krylov those of its space, at least k.
   */
  readonly rank: number;
  /** Whether scores are divided by the standard deviation of their component. */
  readonly whiten: boolean;
}

/** What a PCA found, without the components. */
export interface PcaSummary extends Pick<LinearModel, 'variance' | 'totalVariance' | 'rank'> {
  /** How: see `PcaMethod`. */
  readonly method: 'small' | 'covariance' | 'gram' | 'krylov';
  /** Over the rows, without those of the scores. */
  readonly passes: number;
  /** Where the products were computed: `cpu` or `cuda:N`. */
  readonly device: string;
}
