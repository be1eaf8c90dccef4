import sharp, { type WebpOptions } from 'sharp';
import type { Dataset, Raster } from '../data/dataset.js';
import { labelColour } from './palette.js';

/** Longest side in pixels: sharp at the size that the page shows on a dense screen, about 2 KB a picture. */
const SIDE = 128;

/** Images decoded at the same time; each may be a full camera frame. */
const IN_FLIGHT = 4;

/** A small picture, 8-bit sRGB, 3 channels interleaved. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** What a report shows of one sample. */
export interface Tile {
  readonly row: number;
  /** The camera's picture, or the coloured mask where there is none. */
  readonly picture: Picture;
  /** WebP files: lossy of the RGB image, lossless of the coloured mask. */
  readonly rgb?: Uint8Array;
  readonly mask?: Uint8Array;
  /** Label ids that the small mask shows. */
  readonly labels: readonly number[];
}

/** Whether there is anything to make pictures of. */
export function hasPictures(dataset: Dataset | undefined): dataset is Dataset {
  return dataset !== undefined && (dataset.modalities.includes('rgb') || dataset.modalities.includes('semseg'));
}

/**
 * Tiles of the given rows, in their order. At most four images are held at full size. `onTile` is called after each.
 * Throws what `dataset.read` throws, or `signal.reason`.
 */
export async function makeTiles(
  dataset: Dataset,
  rows: readonly number[],
  options: { signal?: AbortSignal | undefined; onTile: () => void },
): Promise<Tile[]> {
  const tiles: Tile[] = [];
  let next = 0;
  let failed = false;
  const work = async () => {
    while (next < rows.length && !failed) {
      options.signal?.throwIfAborted();
      const i = next++;
      tiles[i] = await makeTile(dataset, rows[i]!);
      options.onTile();
    }
  };
  const guarded = () =>
    work().catch((error) => {
      failed = true;
      throw error;
    });
  // All settle before this returns or throws: the caller may close the data set at once.
  const results = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, guarded));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return tiles;
}

async function makeTile(dataset: Dataset, row: number): Promise<Tile> {
  const read = async (modality: 'rgb' | 'semseg') =>
    dataset.modalities.includes(modality) ? (await dataset.read(row, modality)).decode() : undefined;
  const image = await read('rgb');
  const rgb = image && (await shrinkImage(image));
  const labels = await read('semseg');
  const mask = labels && shrinkMask(labels);
  return {
    row,
    picture: (rgb ?? mask?.picture)!,
    labels: mask?.labels ?? [],
    ...(rgb && { rgb: await encode(rgb, { quality: 72 }) }),
    ...(mask && { mask: await encode(mask.picture, { lossless: true }) }),
  };
}

/** The size that fits SIDE x SIDE with the shape kept; small images stay as they are. */
function smallSize({ width, height }: Raster): { width: number; height: number } {
  const scale = Math.min(1, SIDE / Math.max(width, height));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

async function shrinkImage(image: Raster): Promise<Picture> {
  const { width, height } = smallSize(image);
  const raw = { width: image.width, height: image.height, channels: 3 as const };
  const data = await sharp(image.data as Uint8Array, { raw })
    .resize(width, height, { fit: 'fill' })
    .raw()
    .toBuffer();
  return { width, height, data };
}

/** Labels must not be mixed, so each small pixel takes the label at its centre. */
function shrinkMask(mask: Raster): { picture: Picture; labels: number[] } {
  const { width, height } = smallSize(mask);
  const data = new Uint8Array(width * height * 3);
  const seen = new Set<number>();
  for (let y = 0; y < height; y++) {
    const from = Math.floor(((y + 0.5) * mask.height) / height) * mask.width;
    for (let x = 0; x < width; x++) {
      const label = mask.data[from + Math.floor(((x + 0.5) * mask.width) / width)]!;
      seen.add(label);
      data.set(labelColour(label), (y * width + x) * 3);
    }
  }
  return { picture: { width, height, data }, labels: [...seen].sort((a, b) => a - b) };
}

function encode({ width, height, data }: Picture, options: WebpOptions): Promise<Uint8Array> {
  return sharp(data, { raw: { width, height, channels: 3 } })
    .webp(options)
    .toBuffer();
}
