/** What `maximize` can maximise: the parameters of each objective. Formulas and sources: docs/objectives.md. */
import type { EmbeddingMatrix } from '../../matrix.js';

/**
 * How alike two rows are, in [0, 1]. `cosine` is (1 + cos) / 2, a zero row having cosine 0 with every row, itself
 * included; `rbf` is exp(-gamma |x - y|^2).
 */
export type Similarity = 'cosine' | 'rbf';

/** How the budget is filled: docs/objectives.md. */
export type Optimizer = 'naive' | 'lazy' | 'stochastic' | 'bidirectional';

export const OPTIMIZERS = ['naive', 'lazy', 'stochastic', 'bidirectional'] as const satisfies readonly Optimizer[];

export const SIMILARITIES = ['cosine', 'rbf'] as const satisfies readonly Similarity[];

/**
 * N rows of nonnegative entries in compressed sparse rows (CSR): row i has the entries offsets[i] .. offsets[i + 1] - 1 of
 * `indices` (columns, no column twice in a row) and of `values`.
 */
export interface SparseRows {
  readonly rows: number;
  readonly cols: number;
  /** int32 [rows + 1], ascending from 0. */
  readonly offsets: Int32Array;
  /** int32 [offsets[rows]], each in 0..cols - 1. */
  readonly indices: Int32Array;
  /** float64 [offsets[rows]]; all 1 if not given. */
  readonly values?: Float64Array | undefined;
}

/** Sparse rows with a value for each entry. */
export interface SparseEntries extends SparseRows {
  readonly values: Float64Array;
}

/** Rows of the embeddings by number, or rows of a matrix of their own with as many columns. */
export type Examples = EmbeddingMatrix | ArrayLike<number>;

interface Similar {
  /** `cosine` if not given. */
  similarity?: Similarity | undefined;
  /** Of `rbf`, > 0; 1 / sum of the columns' variances of the embeddings if not given (1 where they are all equal). */
  gamma?: number | undefined;
}

/** sum_{i in V, j in S} s_ij - lambda sum_{i, j in S} s_ij (the sums run over ordered pairs, i = j included). */
export interface GraphCut extends Similar {
  name: 'graph-cut';
  /** >= 0; 1 if not given. Up to 0.5 the function never falls when S grows. */
  lambda?: number | undefined;
}

/** sum_{i, j in S} |i - j|^2 - sum_{i in S, v in V} |i - v|^2: the gain of Dataset Quantization, with one bin. */
export interface SquaredDistance {
  name: 'squared-distance';
}

/** sum_{i in V} max_{j in S} s_ij. */
export interface FacilityLocation extends Similar {
  name: 'facility-location';
  /** Keeps s_ij only for the k rows j most alike to i, the others count 0; all of them if not given. */
  neighbours?: number | undefined;
}

/** Farthest point first; the value is -max_{i in V} min_{j in S} |i - j|, each gain the distance at which a row was found. */
export interface KCenter {
  name: 'k-center';
}

/** sum over pairs of S of |i - j|. */
export interface DisparitySum {
  name: 'disparity-sum';
}

/** min over pairs of S of |i - j|; 0 for fewer than two rows. */
export interface DisparityMin {
  name: 'disparity-min';
}

/** log det(K_S + ridge I), K = s. */
export interface LogDeterminant extends Similar {
  name: 'log-determinant';
  /** > 0; 1 if not given. From 1 on, the function never falls when S grows. */
  ridge?: number | undefined;
}

/** sum_{i in V} min(sum_{j in S} s_ij, alpha sum_{j in V} s_ij). */
export interface SaturatedCoverage extends Similar {
  name: 'saturated-coverage';
  /** In (0, 1]; 0.1 if not given. */
  alpha?: number | undefined;
}

interface Concepts {
  /** Concepts of each row; the first argument of `maximize` if that is sparse. */
  concepts?: SparseRows | undefined;
  /** float64 [concepts.cols], >= 0; all 1 if not given. */
  weights?: ArrayLike<number> | undefined;
}

/** Sum of the weights of the concepts that at least one row of S has. */
export interface SetCover extends Concepts {
  name: 'set-cover';
}

/** sum_c w_c (1 - prod_{j in S} (1 - p_jc)), p = the values of `concepts`, in [0, 1]. */
export interface ProbabilisticSetCover extends Concepts {
  name: 'probabilistic-set-cover';
}

/** sum_c w_c g(sum_{j in S} m_jc) over nonnegative features m: the first argument of `maximize`, or `features`. */
export interface FeatureBased {
  name: 'feature-based';
  /** g: sqrt(t) | log(1 + t) | t / (1 + t); `sqrt` if not given. */
  concave?: 'sqrt' | 'log' | 'inverse' | undefined;
  features?: SparseRows | undefined;
  /** float64 [columns], >= 0; all 1 if not given. */
  weights?: ArrayLike<number> | undefined;
}

interface Towards extends Similar {
  /** Q: what to select towards. */
  query: Examples;
}

interface AwayFrom extends Similar {
  /** P: what to select away from. Rows of the embeddings in it are never selected. */
  private: Examples;
  /** >= 0, how hard; 1 if not given. */
  nu?: number | undefined;
}

/** FLVMI: sum_{i in V} min(max_{j in S} s_ij, eta max_{j in Q} s_ij). */
export interface FacilityLocationMutualInformation extends Towards {
  name: 'facility-location-mi';
  /** >= 0; 1 if not given. */
  eta?: number | undefined;
}

/** FLQMI: sum_{i in Q} max_{j in S} s_ij + eta sum_{j in S} max_{i in Q} s_ij. */
export interface FacilityLocationQueryInformation extends Towards {
  name: 'facility-location-query-mi';
  /** >= 0; 1 if not given. */
  eta?: number | undefined;
}

/** FLCG: sum_{i in V} max(max_{j in S} s_ij - nu max_{j in P} s_ij, 0). */
export interface FacilityLocationConditionalGain extends AwayFrom {
  name: 'facility-location-cg';
}

/** GCMI: 2 lambda sum_{i in S, j in Q} s_ij. */
export interface GraphCutMutualInformation extends Towards {
  name: 'graph-cut-mi';
  /** >= 0; 1 if not given. */
  lambda?: number | undefined;
}

/** GCCG: graph-cut(S) - 2 lambda nu sum_{i in S, j in P} s_ij. */
export interface GraphCutConditionalGain extends AwayFrom {
  name: 'graph-cut-cg';
  /** >= 0; 1 if not given. */
  lambda?: number | undefined;
}

/** LogDetMI: log det(K_S) - log det(K_S - eta^2 K_SQ K_Q^-1 K_QS), the diagonals of K_S and K_Q raised by `ridge`. */
export interface LogDeterminantMutualInformation extends Towards {
  name: 'log-determinant-mi';
  /** In [0, 1]; 1 if not given. */
  eta?: number | undefined;
  /** > 0; 1 if not given. */
  ridge?: number | undefined;
}

/** LogDetCG: log det(K_S - nu^2 K_SP K_P^-1 K_PS), the diagonals of K_S and K_P raised by `ridge`; nu in [0, 1]. */
export interface LogDeterminantConditionalGain extends AwayFrom {
  name: 'log-determinant-cg';
  /** > 0; 1 if not given. */
  ridge?: number | undefined;
}

export type Objective =
  | GraphCut
  | SquaredDistance
  | FacilityLocation
  | KCenter
  | DisparitySum
  | DisparityMin
  | LogDeterminant
  | SaturatedCoverage
  | SetCover
  | ProbabilisticSetCover
  | FeatureBased
  | FacilityLocationMutualInformation
  | FacilityLocationQueryInformation
  | FacilityLocationConditionalGain
  | GraphCutMutualInformation
  | GraphCutConditionalGain
  | LogDeterminantMutualInformation
  | LogDeterminantConditionalGain;

/** sum_k weight_k f_k(S), weights > 0. Not of `k-center`, whose gains are not those of a function of S. */
export type Mixture = readonly { readonly weight: number; readonly objective: Objective }[];

export type ObjectiveName = Objective['name'];

const SIMILAR = ['similarity', 'gamma'] as const;

/**
 * What is known of an objective. `submodular`: the gain of a row never grows when S grows, so `lazy` is exact. `kept`: the
 * gains of all rows are kept up to date at the cost of one pass over the rows a step, so looking at all of them is free.
 */
export const OBJECTIVES: Readonly<
  Record<ObjectiveName, { submodular: boolean; kept: boolean; parameters: readonly string[] }>
> = {
  'graph-cut': { submodular: true, kept: true, parameters: [...SIMILAR, 'lambda'] },
  'squared-distance': { submodular: false, kept: true, parameters: [] },
  'facility-location': { submodular: true, kept: false, parameters: [...SIMILAR, 'neighbours'] },
  'k-center': { submodular: false, kept: true, parameters: [] },
  'disparity-sum': { submodular: false, kept: true, parameters: [] },
  'disparity-min': { submodular: false, kept: true, parameters: [] },
  'log-determinant': { submodular: true, kept: false, parameters: [...SIMILAR, 'ridge'] },
  'saturated-coverage': { submodular: true, kept: false, parameters: [...SIMILAR, 'alpha'] },
  'set-cover': { submodular: true, kept: false, parameters: ['concepts', 'weights'] },
  'probabilistic-set-cover': { submodular: true, kept: false, parameters: ['concepts', 'weights'] },
  'feature-based': { submodular: true, kept: false, parameters: ['concave', 'features', 'weights'] },
  'facility-location-mi': { submodular: true, kept: false, parameters: [...SIMILAR, 'query', 'eta'] },
  'facility-location-query-mi': { submodular: true, kept: false, parameters: [...SIMILAR, 'query', 'eta'] },
  'facility-location-cg': { submodular: true, kept: false, parameters: [...SIMILAR, 'private', 'nu'] },
  'graph-cut-mi': { submodular: true, kept: true, parameters: [...SIMILAR, 'query', 'lambda'] },
  'graph-cut-cg': { submodular: true, kept: true, parameters: [...SIMILAR, 'private', 'nu', 'lambda'] },
  'log-determinant-mi': { submodular: false, kept: false, parameters: [...SIMILAR, 'query', 'eta', 'ridge'] },
  'log-determinant-cg': { submodular: true, kept: false, parameters: [...SIMILAR, 'private', 'nu', 'ridge'] },
};
