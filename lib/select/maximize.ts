/** Selection as maximisation: an objective over sets of rows, and an optimizer that fills the budget. */
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import type { Mixture, Objective, SparseRows } from './objectives/types.js';

export type Optimizer = 'naive' | 'lazy' | 'stochastic' | 'bidirectional';

export const OPTIMIZERS = ['naive', 'lazy', 'stochastic', 'bidirectional'] as const satisfies readonly Optimizer[];

export interface MaximizeOptions extends JobOptions {
  objective: Objective | Mixture;
  /** The fastest exact one if not given: `lazy` where it is exact and saves work, else `naive`. */
  optimizer?: Optimizer | undefined;
  /** How many rows, those of `initialSelection` and `include` among them: see `parseBudget`. Exactly as many are selected. */
  budget?: number | string | undefined;
  /** Instead of `budget`: what the selected rows may cost in total, in the unit of `costs`. */
  maxCost?: number | undefined;
  /** float64 [N], > 0: cost of each row. */
  costs?: ArrayLike<number> | undefined;
  /** Rows of an earlier selection in their order: the result starts with them and goes on from there. */
  initialSelection?: ArrayLike<number> | undefined;
  /** Rows that must be selected; they follow `initialSelection`. */
  include?: ArrayLike<number> | undefined;
  /** Rows that must not be selected. They still count as points to represent. */
  exclude?: ArrayLike<number> | undefined;
  /** Weight of each group of columns, all columns covered in order: the columns are multiplied by sqrt(weight). */
  modalities?: readonly { readonly cols: number; readonly weight: number }[] | undefined;
  /** Of `stochastic` and `bidirectional`: integer >= 0; 0 if not given. */
  seed?: number | undefined;
  /** Of `stochastic`: 0 < epsilon < 1, 0.1 if not given. Each step looks at N / budget * ln(1 / epsilon) random rows. */
  epsilon?: number | undefined;
  /** Threads of the native engine; 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
}

export interface Maximization {
  /** int32: selected rows in the order in which they were chosen. */
  readonly rows: Int32Array;
  /** float64: what each of them added to the objective when it was chosen. */
  readonly gains: Float64Array;
  /** f(S), the objective of all of them. */
  readonly value: number;
  /** Gains looked at. */
  readonly evaluations: number;
  readonly engine: {
    readonly optimizer: Optimizer;
    readonly threads: number;
    readonly seconds: number;
    /** `avx512` | `avx2` | `neon` | `scalar`. */
    readonly simd: string;
  };
}

export declare function maximize(
  embeddings: EmbeddingMatrix | SparseRows,
  options: MaximizeOptions,
  source?: string,
): Promise<Maximization>;
