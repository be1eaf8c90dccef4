/** Bytes of an image file -> pixels, off the JavaScript thread. */
import sharp, { type Sharp } from 'sharp';
import type { Modality, Raster } from './dataset.js';
import { damaged, greyPng, type Meaning } from './greyPng.js';

/**
 * Decodes one image of a sample.
 *
 * - `rgb`: every format that sharp reads -> Uint8Array, 3 channels, sRGB (an embedded colour profile is applied). Grey
 *   becomes three equal channels; 16 bits become 8; alpha is dropped, so transparent pixels keep the colour stored
 *   under them. EXIF orientation is ignored, because masks have none.
 * - `semseg`, `instance`: PNG, greyscale or palette of 1 to 16 bits -> the stored numbers (of a palette, its indices),
 *   Uint8Array or, at 16 bits, Uint16Array.
 * - `depth`: greyscale PNG -> the stored numbers, likewise.
 *
 * @param name What the image is, for messages, e.g. `rgb of sample "7" (data/rgb/7.png)`.
 * @throws {DataError} beginning with `name`: `ERR_IMAGE_DAMAGED`, `ERR_IMAGE_FORMAT`, `ERR_IMAGE_COLOURS`.
 */
export function decodeImage(bytes: Buffer, modality: Modality, name: string): Promise<Raster> {
  if (modality === 'rgb') return decodeRgb(bytes, name);
  return decodeNumbers(bytes, modality === 'depth' ? 'depths' : 'label ids', name);
}

async function decodeRgb(bytes: Buffer, name: string): Promise<Raster> {
  return pixels(() => sharp(bytes).removeAlpha().toColourspace('srgb').raw(), 3, name);
}

async function decodeNumbers(bytes: Buffer, meaning: Meaning, name: string): Promise<Raster> {
  const { png, bitDepth } = greyPng(bytes, meaning, name);
  // Both are needed for 16 bits: `ushort` alone gives wrong values.
  if (bitDepth === 16) {
    const pipeline = () => sharp(png).toColourspace('grey16').extractChannel(0).raw({ depth: 'ushort' });
    const raster = await pixels(pipeline, 1, name);
    return { ...raster, data: new Uint16Array(Uint8Array.from(raster.data).buffer) };
  }
  const raster = await pixels(() => sharp(png).toColourspace('b-w').extractChannel(0).raw(), 1, name);
  // The decoder stretches 1, 2 and 4 bits to 0..255, by a whole factor.
  const step = 255 / (2 ** bitDepth - 1);
  return step === 1 ? raster : { ...raster, data: raster.data.map((value) => value / step) };
}

async function pixels(pipeline: () => Sharp, channels: number, name: string) {
  try {
    const { data, info } = await pipeline().toBuffer({ resolveWithObject: true });
    if (info.channels !== channels) throw new Error(`it has ${info.channels} channels instead of ${channels}`);
    return {
      width: info.width,
      height: info.height,
      channels,
      data: new Uint8Array(data.buffer, data.byteOffset, data.length),
    };
  } catch (cause) {
    throw damaged(name, (cause as Error).message.split('\n', 1)[0]!.replace(/[:.]$/, ''), cause);
  }
}
