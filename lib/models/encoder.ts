import type { Execution } from '../onnx/placement.js';
import type { MultimaeConfig } from './config.js';

/** A batch for the encoder; a modality that the encoder does not have is left out. */
export interface EncoderInput {
  batch: number;
  /** float32 [B, 3, H, W], normalised; H = W = `height` = `width`. */
  rgb?: Float32Array;
  /** int32 labels [B, H / stride, W / stride]. */
  semseg?: Int32Array;
  /** Full image size in pixels; a size other than `config.image` resizes the position embeddings. */
  height: number;
  width: number;
}

/** Tokens of one layer for a batch: `data` is float32 [batch, tokens, dim]. */
export interface TokenBatch {
  readonly batch: number;
  readonly tokens: number;
  readonly dim: number;
  readonly data: Float32Array;
}

/** A MultiMAE encoder, running in a worker thread. */
export interface Encoder extends Execution {
  readonly config: MultimaeConfig;
  /**
   * Hex sha256 over the configuration, every weight and whether float32 is rounded to TF32: two encoders with the same
   * identity give the same tokens, but for what rounding in float32 does on other devices.
   */
  readonly identity: string;
  /** Where the weights come from, as a sentence for people ("seeded random initialisation (seed 0), not trained", ...). */
  readonly origin: string;
  /** Token positions [start, end) of each part of the sequence for an image of this size. */
  tokenRanges(height: number, width: number): Record<'rgb' | 'semseg' | 'global', [number, number] | undefined>;
  /** Runs the encoder; returns the output tokens of each block listed in `layers` (0-based block indices). */
  encode(input: EncoderInput, layers: readonly number[]): Promise<TokenBatch[]>;
  /**
   * Weighted sums of the output tokens of block `layer`, made where the model runs: `weights` [R, T] -> [B, R, dim], as a
   * batch of R tokens. From CUDA a few vectors come back instead of all tokens; elsewhere it saves nothing.
   */
  pool(input: EncoderInput, layer: number, weights: Float32Array): Promise<TokenBatch>;
  close(): Promise<void>;
}
