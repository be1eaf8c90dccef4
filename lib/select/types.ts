/** Gain to maximise at each greedy step. Formulas: docs/gain.md. */
export type Gain = 'sqeuclidean' | 'cosine';

/**
 * What happens to the N mod m rows that m equal bins leave over: `spread` gives the first bins one row more, so that
 * every row is in a bin; `drop` leaves the rows of lowest gain out, as the reference implementation does.
 */
export type Remainder = 'spread' | 'drop';

/** Exact greedy partition of N points into bins (Dataset Quantization, eq. 3). */
export interface Partition {
  /** int32 [N]: bin of each row, 0-based in order of construction; -1 for rows left out by `remainder: 'drop'`. */
  readonly bins: Int32Array;
  /** int32 [n <= N]: row indices in the order in which they were chosen, bin after bin. */
  readonly order: Int32Array;
  /** float64 [n]: gain P(x) of `order[i]` at the step that chose it. */
  readonly gains: Float64Array;
  /** m, the number of bins. */
  readonly binCount: number;
  /** What ran and what it cost. */
  readonly engine: EngineReport;
}

/** How the native engine worked. */
export interface EngineReport {
  /** Which engine ran: `lazy` | `gram` | `sweep` | `naive`, or the name of a strategy. */
  readonly name: string;
  /** Why that one, or what it measured about the data. */
  readonly why: string;
  /** `cpu`, or `cuda:N` and the device's name. */
  readonly device: string;
  /** `amx` | `avx512vnni` | `avx512` | `avx2` | `neon` | `scalar`. */
  readonly simd: string;
  readonly threads: number;
  readonly seconds: number;
  /** Inner products of length d over the whole run: in float32, or of int8 rows with int16 vectors. */
  readonly dotProducts: number;
  /** How often float64 had to decide between candidates, and how often exact integers had to. */
  readonly float64Decisions: number;
  readonly exactDecisions: number;
}

/** A coreset: the rows drawn from the bins of a partition. */
export interface Selection {
  readonly partition: Partition;
  /** int32 [budgetCount]: chosen rows, in the partition's order; then rows that are in no bin but had to be in, ascending. */
  readonly rows: Int32Array;
  readonly seed: number;
}
