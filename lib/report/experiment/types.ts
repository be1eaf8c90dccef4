import type { ExperimentSummary, Protocol } from '../../experiment/types.js';

/** A depth prediction beside its truth; pictures are row-major squares of `side` pixels. */
export interface DepthExample {
  readonly id: string;
  readonly arm: string;
  readonly budget: number;
  readonly protocol: Protocol;
  /** In the unit of `truth`. */
  readonly rmse: number;
  readonly rank: 'worst' | 'best';
  readonly side: number;
  /** [side, side, 3]. */
  readonly rgb: Uint8Array;
  /** [side, side], as `prediction` and `valid`; pixels where `valid` is 0 have no truth. */
  readonly truth: Float32Array;
  readonly prediction: Float32Array;
  readonly valid: Uint8Array;
}

/** A picture of a sample: rgb is [height, width, 3]. */
export interface Thumbnail {
  readonly id: string;
  readonly rgb: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Samples that an arm chose and random did not, and the reverse, in one draw. */
export interface CoresetPicture {
  readonly arm: string;
  readonly budget: number;
  readonly draw: number;
  readonly onlyHere: readonly Thumbnail[];
  readonly onlyRandom: readonly Thumbnail[];
}

/** What the page of an experiment shows. */
export interface ExperimentReportInput {
  readonly summary: ExperimentSummary;
  readonly examples: readonly DepthExample[];
  readonly coresets: readonly CoresetPicture[];
}
