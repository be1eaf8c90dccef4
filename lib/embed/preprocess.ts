/**
 * Decoded images -> encoder input, as the training code of each MultiMAE variant does it: bilinear resize to the square
 * image side (a rectangular image is squeezed, not cropped), / 255, minus mean, / standard deviation.
 */
import type { Raster } from '../data/dataset.js';
import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';

/** Mean and standard deviation per RGB channel on the 0..1 scale: ImageNet's (official), the paper's CLEVR's (paper). */
export const NORMALISATION = {
  official: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  paper: { mean: [0.4753, 0.4713, 0.4645], std: [0.0903, 0.0872, 0.0869] },
} as const;

/** Names what happens to pixels before the encoder; part of the cache key. Change it when any number here changes. */
export function preprocessingIdentity(config: MultimaeConfig): string {
  const { mean, std } = NORMALISATION[config.variant];
  return `rgb bilinear half-pixel ${config.image} mean ${mean} std ${std}; semseg nearest ${labelSide(config)}; v1`;
}

/** Side of the label map that the encoder takes: image / stride. */
export function labelSide(config: MultimaeConfig): number {
  return config.image / config.semsegStride;
}

/**
 * Writes one normalised RGB image into `out`, float32 [3, image, image]. Bilinear with half-pixel centres and no
 * antialias (torch's `interpolate(mode='bilinear', align_corners=False)`); sizes that already agree are copied exactly.
 * @throws {DataError} `ERR_CHANNELS` beginning with `name` if `raster` is not 8-bit RGB.
 */
export function writeRgb(raster: Raster, config: MultimaeConfig, out: Float32Array, name: string): void {
  const { width, height, channels, data } = raster;
  if (channels !== 3 || !(data instanceof Uint8Array)) {
    throw new DataError(
      'ERR_CHANNELS',
      `${name} has ${channels} channel(s) of ${data.BYTES_PER_ELEMENT} byte(s), but RGB images have 3 of 1 byte. Convert it to 8-bit RGB.`,
    );
  }
  const side = config.image;
  const { mean, std } = NORMALISATION[config.variant];
  const xs = bilinearTaps(width, side);
  const ys = bilinearTaps(height, side);
  for (let c = 0; c < 3; c++) {
    const scale = 1 / (255 * std[c]!);
    const offset = mean[c]! / std[c]!;
    let o = c * side * side;
    for (let y = 0; y < side; y++) {
      const top = ys.low[y]! * width;
      const bottom = ys.high[y]! * width;
      const wy = ys.weight[y]!;
      for (let x = 0; x < side; x++) {
        const left = xs.low[x]!;
        const right = xs.high[x]!;
        const wx = xs.weight[x]!;
        const upper = data[(top + left) * 3 + c]! * (1 - wx) + data[(top + right) * 3 + c]! * wx;
        const lower = data[(bottom + left) * 3 + c]! * (1 - wx) + data[(bottom + right) * 3 + c]! * wx;
        out[o++] = (upper * (1 - wy) + lower * wy) * scale - offset;
      }
    }
  }
}

/**
 * Writes one label map into `out`, int32 [image / stride, image / stride], by torch's `nearest`: source = floor(i * in / out).
 * @throws {DataError} `ERR_LABEL_RANGE` beginning with `name` and naming the pixel, if an id has no class embedding.
 */
export function writeLabels(raster: Raster, config: MultimaeConfig, out: Int32Array, name: string): void {
  const { width, height, channels, data } = raster;
  if (channels !== 1 || data instanceof Float32Array) {
    throw new DataError(
      'ERR_CHANNELS',
      `${name} has ${channels} channel(s) of ${data.constructor.name}, but label maps have 1 of integer ids. Save it as a palette or greyscale PNG.`,
    );
  }
  const side = labelSide(config);
  const rows = config.semsegClasses + (config.semsegPadding ? 1 : 0);
  const xs = nearestTaps(width, side);
  const ys = nearestTaps(height, side);
  let o = 0;
  for (let y = 0; y < side; y++) {
    const row = ys[y]! * width;
    for (let x = 0; x < side; x++) {
      const id = data[row + xs[x]!]!;
      if (id >= rows) {
        throw labelOutOfRange(id, xs[x]!, ys[y]!, config, name);
      }
      out[o++] = id;
    }
  }
}

/** The error for a label id at a pixel of the source image that has no class embedding. */
export function labelOutOfRange(id: number, x: number, y: number, config: MultimaeConfig, name: string): DataError {
  const padding = config.semsegPadding ? ` and padding id ${config.semsegClasses}` : '';
  return new DataError(
    'ERR_LABEL_RANGE',
    `${name} has label ${id} at x ${x}, y ${y}, but the encoder knows classes 0..${config.semsegClasses - 1}${padding}. ` +
      `Map the labels into that range or use an encoder with semsegClasses >= ${id + 1}.`,
  );
}

/** For each of `to` output pixels along one side: the two of `from` source pixels and the weight of the second. */
export function bilinearTaps(from: number, to: number) {
  const low = new Int32Array(to);
  const high = new Int32Array(to);
  const weight = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const source = Math.max(0, ((i + 0.5) * from) / to - 0.5);
    low[i] = Math.min(Math.floor(source), from - 1);
    high[i] = Math.min(low[i]! + 1, from - 1);
    weight[i] = source - low[i]!;
  }
  return { low, high, weight };
}

/** For each of `to` output pixels along one side: the source pixel, by torch's `nearest`. */
export function nearestTaps(from: number, to: number): Int32Array {
  // torch computes the scale and the product in float32; other arithmetic picks another pixel now and then.
  const scale = Math.fround(from / to);
  return Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), from - 1));
}
