/**
 * A decoded sample as bytes of one fixed length: what training reads at random positions instead of decoding images.
 *
 *     depth    float32 or uint16 [height, width], stored units, 0 where unknown
 *     semseg   uint16 [height, width], label ids
 *     rgb      uint8 [height, width, 3]
 *     padding  to a multiple of 4 bytes
 *
 * Numbers lie as the machine has them (little-endian everywhere that Node runs with ONNX Runtime).
 */
import type { Raster } from '../data/dataset.js';
import { bilinearTaps, labelOutOfRange, nearestTaps } from '../embed/preprocess.js';
import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';

/** What a record holds, in pixels. */
export interface RecordLayout {
  readonly width: number;
  readonly height: number;
  readonly rgb: boolean;
  readonly semseg: boolean;
  /** As in the files: integers of up to 16 bits, or float32. */
  readonly depth: 'uint16' | 'float32' | undefined;
}

/** Views of one record; those that the layout lacks are empty. */
export interface RecordPixels {
  readonly rgb: Uint8Array;
  readonly semseg: Uint16Array;
  readonly depth: Uint16Array | Float32Array;
}

/** float32 numbers that a record is as long as: the cache's unit of length. */
export function recordLength(layout: RecordLayout): number {
  return Math.ceil(offsets(layout).end / 4);
}

/** The parts of a record, sharing its memory. */
export function recordPixels(layout: RecordLayout, record: Float32Array): RecordPixels {
  const { byteOffset } = record;
  const buffer = record.buffer as ArrayBuffer;
  const n = layout.width * layout.height;
  const { semseg, rgb } = offsets(layout);
  const Depth = layout.depth === 'float32' ? Float32Array : Uint16Array;
  return {
    depth: new Depth(buffer, byteOffset, layout.depth ? n : 0),
    semseg: new Uint16Array(buffer, byteOffset + semseg, layout.semseg ? n : 0),
    rgb: new Uint8Array(buffer, byteOffset + rgb, layout.rgb ? 3 * n : 0),
  };
}

function offsets(layout: RecordLayout) {
  const n = layout.width * layout.height;
  const semseg = layout.depth ? n * (layout.depth === 'float32' ? 4 : 2) : 0;
  const rgb = semseg + (layout.semseg ? 2 * n : 0);
  return { semseg, rgb, end: rgb + (layout.rgb ? 3 * n : 0) };
}

/**
 * Resizes an 8-bit RGB image: bilinear, half-pixel centres, no antialias, rounded to the nearest of 256 levels, as
 * image libraries do. An image that already has the size is copied exactly.
 * @throws {DataError} `ERR_CHANNELS` beginning with `name`.
 */
export function resizeRgb(raster: Raster, width: number, height: number, out: Uint8Array, name: string): void {
  const { channels, data } = raster;
  if (channels !== 3 || !(data instanceof Uint8Array)) {
    throw new DataError(
      'ERR_CHANNELS',
      `${name} has ${channels} channel(s) of ${data.BYTES_PER_ELEMENT} byte(s), but RGB images have 3 of 1 byte. Convert it to 8-bit RGB.`,
    );
  }
  const xs = bilinearTaps(raster.width, width);
  const ys = bilinearTaps(raster.height, height);
  let o = 0;
  for (let y = 0; y < height; y++) {
    const top = ys.low[y]! * raster.width;
    const bottom = ys.high[y]! * raster.width;
    const wy = ys.weight[y]!;
    for (let x = 0; x < width; x++) {
      const left = xs.low[x]!;
      const right = xs.high[x]!;
      const wx = xs.weight[x]!;
      for (let c = 0; c < 3; c++) {
        const upper = data[(top + left) * 3 + c]! * (1 - wx) + data[(top + right) * 3 + c]! * wx;
        const lower = data[(bottom + left) * 3 + c]! * (1 - wx) + data[(bottom + right) * 3 + c]! * wx;
        out[o++] = Math.round(upper * (1 - wy) + lower * wy);
      }
    }
  }
}

/**
 * Resizes a label map by torch's `nearest`.
 * @throws {DataError} `ERR_CHANNELS`, `ERR_LABEL_RANGE` beginning with `name`.
 */
export function resizeLabels(
  raster: Raster,
  width: number,
  height: number,
  config: MultimaeConfig,
  out: Uint16Array,
  name: string,
): void {
  const { channels, data } = raster;
  if (channels !== 1 || data instanceof Float32Array) {
    throw new DataError(
      'ERR_CHANNELS',
      `${name} has ${channels} channel(s) of ${data.constructor.name}, but label maps have 1 of integer ids. Save it as a palette or greyscale PNG.`,
    );
  }
  const rows = config.semsegClasses + (config.semsegPadding ? 1 : 0);
  const xs = nearestTaps(raster.width, width);
  const ys = nearestTaps(raster.height, height);
  let o = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const id = data[ys[y]! * raster.width + xs[x]!]!;
      if (id >= rows) throw labelOutOfRange(id, xs[x]!, ys[y]!, config, name);
      out[o++] = id;
    }
  }
}

/**
 * Resizes a depth map, in stored units, to the pixel that each centre falls on (torch's `nearest-exact`): a mean over an
 * edge would be a depth that is nowhere in the scene. What is not above 0 becomes 0, unknown.
 * @throws {DataError} `ERR_CHANNELS`, `ERR_NOT_FINITE` beginning with `name` and naming the pixel.
 */
export function resizeDepth(
  raster: Raster,
  width: number,
  height: number,
  out: Uint16Array | Float32Array,
  name: string,
): void {
  const { channels, data } = raster;
  if (channels !== 1 || (data instanceof Float32Array && out instanceof Uint16Array)) {
    throw new DataError(
      'ERR_CHANNELS',
      `${name} has ${channels} channel(s) of ${data.constructor.name}, but the depth maps of this data set have 1 of ${out.constructor.name}. Store all of them alike.`,
    );
  }
  if (data instanceof Float32Array) {
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new DataError(
        'ERR_NOT_FINITE',
        `${name} has depth ${data[bad]} at x ${bad % raster.width}, y ${Math.floor(bad / raster.width)}. Store 0 where the depth is unknown.`,
      );
    }
  }
  let o = 0;
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * raster.height) / height) * raster.width;
    for (let x = 0; x < width; x++) {
      out[o++] = Math.max(0, data[row + Math.floor(((x + 0.5) * raster.width) / width)]!);
    }
  }
}
