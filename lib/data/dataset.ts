/** The kinds of pixel-aligned image that a sample can have. */
export type Modality = 'rgb' | 'semseg' | 'depth' | 'instance';

/**
 * Decoded pixels, row-major, channels interleaved: element (y, x, c) is `data[(y * width + x) * channels + c]`.
 * rgb: 3 channels, Uint8Array, sRGB. semseg / instance: 1 channel of label ids (palette masks keep their ids).
 * depth: 1 channel, stored units (uint16 exactly as in the file, or float32); metres = value * `Dataset.depthScale`.
 */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Uint8Array | Uint16Array | Float32Array;
}

/** One sample of a data set. */
export interface Sample {
  /** Unique within the data set. */
  readonly id: string;
  /** `train`, `val`, ...; `train` where the source does not say. */
  readonly split: string;
  /** Paths relative to `Dataset.root`, for those modalities that are files. */
  readonly paths: Readonly<Partial<Record<Modality | 'scene', string>>>;
  /** Metres per stored depth unit for this sample; NaN where there is no depth. */
  readonly depthScale: number;
  /** Everything else the manifest says (clip, parent, n_objects, ...). */
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Bytes as stored (what content hashes are taken of) and a way to decode them. */
export interface StoredImage {
  readonly bytes: Uint8Array;
  decode(): Promise<Raster>;
}

/** An opened data set. Close it when done. */
export interface Dataset {
  /** Folder or file that it was opened from, for messages. */
  readonly root: string;
  readonly samples: readonly Sample[];
  /** Modalities that every sample has. */
  readonly modalities: readonly Modality[];
  /** Reads one image of sample `index`. Throws DataError naming the file when it is missing or cannot be decoded. */
  read(index: number, modality: Modality): Promise<StoredImage>;
  close(): Promise<void>;
}
