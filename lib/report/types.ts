import type { Dataset } from '../data/dataset.js';
import type { Gain, Selection } from '../select/types.js';

/** Where the run came from and what it cost. Anything else that is worth keeping goes in beside it and is shown. */
export interface RunFacts {
  /** The configuration that ran, defaults filled in. */
  readonly config: object;
  /** Wall-clock seconds of each stage, in the order in which they ran. */
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
  /** Versions, input hashes, peak memory, notes, ... */
  readonly [fact: string]: unknown;
}

/** Everything that `report.html` and `coreset.png` show. */
export interface ReportInput {
  readonly title: string;
  readonly selection: Selection;
  /** The gain that built the partition. */
  readonly gain: Gain;
  /** float32 [N, 2], row-major: the embeddings on their first two principal components. */
  readonly projection: Float32Array;
  /** One sentence on where the embeddings come from, above all whether the weights were trained. */
  readonly encoder?: string | undefined;
  /** Row i of the partition is `dataset.samples[i]`. Without it there are no pictures. */
  readonly dataset?: Dataset | undefined;
  /** Name of each row, where there is no data set to ask; row numbers otherwise. */
  readonly ids?: readonly string[] | undefined;
  readonly run: RunFacts;
}

/** The files that `writeReport` wrote. */
export interface ReportFiles {
  readonly report: string;
  /** Absent where the data set has no RGB images or masks to show, or there is no data set. */
  readonly contactSheet?: string;
}
