/** What a model is trained on, as plain data. */

/** One sample as a training graph takes it, S = image side in pixels. */
export interface TrainingSample {
  /** float32 [3, S, S], normalised; absent where the encoder has no rgb. */
  rgb?: Float32Array;
  /** int32 labels [S / stride, S / stride]; absent where the encoder has no semseg. */
  semseg?: Int32Array;
  /** float32 [S, S], in metres; 0 where unknown. Absent for classification. */
  depth?: Float32Array;
  /** float32 [S, S], 1 where `depth` counts, else 0. */
  valid?: Float32Array;
}

/** Samples that can be read in any order, from files: never all in memory. Close it when done. */
export interface SampleSource {
  /** Number of samples: those of the data set, in its order. */
  readonly rows: number;
  /** Views of each sample; Infinity where every pass over the data may see others. */
  readonly views: number;
  /** Hex sha256 over everything that the samples and their views depend on. */
  readonly identity: string;
  /** sha256 over everything that `read(row, view)` depends on. */
  key(row: number, view: number): Buffer;
  /** View 0 is the sample as it is (resized only); view v > 0 is augmented, the same for equal (seed, row, v). */
  read(row: number, view: number): Promise<TrainingSample>;
  close(): Promise<void>;
}

/** A mini-batch: the feeds of a training graph by input name, [B, ...] each. */
export type Batch = Readonly<
  Record<string, { readonly data: Float32Array | Int32Array; readonly dims: readonly number[] }>
>;

/** Samples that a model is trained or validated on. */
export interface TrainingData {
  readonly samples: number;
  /** The mini-batch of these places, 0..samples - 1, in pass `epoch` over the data. Its buffers belong to the caller. */
  batch(places: Int32Array, epoch: number): Promise<Batch>;
}
