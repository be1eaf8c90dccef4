/** What an experiment is made of, as plain data: arms, runs and their comparison. */
import type { Aggregation } from '../embed/aggregate.js';
import type { Execution } from '../onnx/placement.js';
import type { Reduction } from '../reduce/reduce.js';
import type { Strategy } from '../select/select.js';
import type { CurvePoint } from '../train/curve.js';

export type { CurvePoint } from '../train/curve.js';

/**
 * How long a subset is trained. `equal-steps` = as many optimizer steps as the full data; `equal-epochs` = as many passes
 * over the subset as over the full data, so a fifth of the data gets a fifth of the steps (what the paper did).
 */
export type Protocol = 'equal-steps' | 'equal-epochs';

/** What is predicted: depth per pixel, or a class per scene: the number of objects, the shape that covers most pixels. */
export type Task = 'depth' | 'count' | 'shape';

/** Which embedding a strategy looks at. */
export interface EmbeddingChoice {
  readonly aggregation: Aggregation;
  readonly modalities: readonly ('rgb' | 'semseg')[];
  /** `layer.i` = tokens of encoder block i; `head_out` and `path_1`..`path_4` = features of a trained DPT adapter. */
  readonly layer: string;
  readonly reduction: Reduction;
  /** Dimensions after the reduction, `auto` = as many as `chooseDimensions` says in each draw; absent for `none`. */
  readonly dims?: number | 'auto' | undefined;
  /** File with the encoder's weights, or `random`; absent where it is the encoder that the model is trained on. */
  readonly weights?: string | undefined;
}

/** One way to choose the training data, compared with the others at the same budget and protocol. */
export interface Arm {
  /** Unique, short, for tables: `full`, `random`, `bins concat pca-64`. */
  readonly name: string;
  readonly strategy: Strategy | 'full';
  /** Absent for `full` and `random`, which look at nothing. */
  readonly embedding?: EmbeddingChoice | undefined;
}

/** Metrics that verdicts are about; lower is better. */
export const PRIMARY: Readonly<Record<Task, string>> = { depth: 'rmse', count: 'error', shape: 'error' };

/** One training run, finished. */
export interface RunResult {
  /** sha256 of everything that the run depends on: equal keys are never computed twice. */
  readonly key: string;
  readonly task: Task;
  readonly arm: string;
  /** Fraction of the full training data, 1 for `full`. */
  readonly budget: number;
  readonly protocol: Protocol;
  /** Which draw of the data set: runs are compared within one draw, intervals are over draws. */
  readonly draw: number;
  /** Seed of the selection; several random subsets a draw have several of them. */
  readonly selectSeed: number;
  /** Seed of initialisation, order and augmentation: the same for all arms, so that differences are paired. */
  readonly trainSeed: number;
  /** Number of training samples. */
  readonly samples: number;
  readonly steps: number;
  readonly seconds: number;
  readonly curve: readonly CurvePoint[];
  /** Index into `curve` of the point with the best primary metric; the last point is the last of the curve. */
  readonly best: number;
  /** Primary metric of each validation image after the last step, in the order of the validation split (depth: its mean squared error; classes: 0 or 1). */
  readonly perImage: readonly number[];
  /** Loss of the last step's model on its own subset and on the full training pool, of at most 512 samples each. */
  readonly subsetLoss?: number | undefined;
  readonly poolLoss?: number | undefined;
  /** Where it was trained and validated; absent in runs of earlier versions. */
  readonly execution?: Execution | undefined;
}

/** A value with its 95 % interval. */
export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

export type Verdict = 'beats random' | 'no difference seen' | 'worse than random';

/** One arm against random at one budget and protocol. Fractions, not percent: 0.05 = 5 %. */
export interface Comparison {
  readonly task: Task;
  readonly arm: string;
  readonly budget: number;
  readonly protocol: Protocol;
  /** Name of the metric that is compared; lower is better. */
  readonly metric: string;
  /** Whether the best or the last point of each run is compared. */
  readonly at: 'best' | 'last';
  /** Draws compared, and runs of this arm behind them. */
  readonly draws: number;
  readonly runs: number;
  readonly value: Interval;
  /** metric(full) / metric(subset): 1 = as good as the full data. */
  readonly retention: Interval;
  /** metric(arm) / metric(random) - 1, paired by draw and training seed: negative is better than random. */
  readonly change: Interval;
  /** The same interval when validation images (clips of them) are resampled instead of draws. */
  readonly changeOverImages?: Interval | undefined;
  /** (random - arm) / (random - full); absent where full is less than 1 % better than random. */
  readonly gapClosure?: Interval | undefined;
  /** Two-sided sign-flip test of `change`, and after Holm's correction over the arms of one task, budget and protocol. */
  readonly p: number;
  readonly pHolm: number;
  /** The smallest |change| that this many draws would find in 8 of 10 experiments. */
  readonly detectable: number;
  /**
   * In the row of random: by how much the best of all arms beside it would lead if none of them chose better than random,
   * from the spread of the random subsets of a draw. Absent with one random subset a draw.
   */
  readonly bestOfChance?: number | undefined;
  readonly verdict: Verdict;
}

/** What one arm keeps of one measure that no verdict is about, at one budget and protocol. */
export interface MeasureRow {
  readonly task: Task;
  readonly arm: string;
  readonly budget: number;
  readonly protocol: Protocol;
  /** absrel, sqrel, logRmse, log10, delta1..delta3, valLoss, trainLoss, subsetLoss or poolLoss. */
  readonly measure: string;
  readonly at: 'best' | 'last';
  readonly draws: number;
  readonly runs: number;
  /** Mean over draws. */
  readonly value: number;
  /** 1 = as good as the full data: full / subset, of delta1..delta3 subset / full. */
  readonly retention: Interval;
  /** subset / random - 1, paired by draw and training seed; of delta1..delta3 more is better. */
  readonly change: Interval;
}

/** Arms that differ in their number of dimensions alone: which is best, chosen and measured on different images. */
export interface DimsChoice {
  readonly task: Task;
  readonly budget: number;
  readonly protocol: Protocol;
  readonly metric: string;
  /** What the arms have in common: `bins mean pca`. */
  readonly family: string;
  readonly arms: readonly string[];
  /** The best arm on the first half of the validation images, and on the second. */
  readonly chosen: readonly [string, string];
  /** Mean of both on the half that did not choose: metric(arm) / metric(random) - 1, and metric(full) / metric(arm). */
  readonly change: number;
  readonly retention: number;
  /** The change of the arm that is best on all images, on these images: too good where several were tried. */
  readonly changeOfBest: number;
}

/** What `coregain experiment` writes to `experiment.json`. */
export interface ExperimentSummary {
  readonly title: string;
  /** The configuration as it ran, defaults filled in. */
  readonly config: unknown;
  readonly arms: readonly Arm[];
  readonly runs: readonly RunResult[];
  readonly comparisons: readonly Comparison[];
  /** Retention of everything else that was measured. */
  readonly measures: readonly MeasureRow[];
  /** Numbers of dimensions by what they keep; empty where no arms differ in it alone. */
  readonly dimsChoices: readonly DimsChoice[];
  /** Sentences: what was clipped, left out, or cannot be concluded. */
  readonly notes: readonly string[];
  /** Rank, redundancy and agreement between modalities, by draw and embedding, see `diagnose`. */
  readonly diagnostics: readonly Readonly<Record<string, unknown>>[];
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: string;
  readonly started: string;
  readonly finished: string;
  readonly seconds: number;
}
