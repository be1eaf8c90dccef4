/** What a model is trained on, as plain data. */

/** One sample as a training graph takes it, S = image side in pixels. */
export interface TrainingSample {
  /** float32 [3, S, S], normalised; absent where the encoder has no rgb. */
  rgb?: Float32Array;
  /** int32 labels [S / stride, S / stride]; absent where the encoder has no semseg. */
  semseg?: Int32Array;
  /** float32 [S, S], in the unit of the recipe (`DepthScale`); 0 where unknown. Absent for classification. */
  depth?: Float32Array;
  /** float32 [S, S], 1 where `depth` counts, else 0. */
  valid?: Float32Array;
  /** Class of the scene, for classification. */
  label?: number;
}

/** Samples that can be read in any order, from files: never all in memory. Close it when done. */
export interface SampleSource {
  /** Number of samples. */
  readonly size: number;
  /** Reads sample `row`. `view` 0 is the sample as it is (resized only); view v > 0 is augmented, the same for equal (seed, row, v). */
  read(row: number, view: number): Promise<TrainingSample>;
  close(): Promise<void>;
}

/** A mini-batch: the feeds of a training graph by input name, [B, ...] each. */
export type Batch = Readonly<
  Record<string, { readonly data: Float32Array | Int32Array; readonly dims: readonly number[] }>
>;
