import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { integer, oneOf } from '../check.js';
import { DataError } from '../errors.js';
import type { Dataset, Modality, Raster, Sample, StoredImage } from './dataset.js';
import { decodeImage } from './image.js';
import { commonModalities, MODALITIES } from './modalities.js';

/** A sample whose depth scale is still to be looked up: NaN until it is known. */
export type SampleDraft = Omit<Sample, 'depthScale'> & { depthScale: number };

/** "semseg of sample "7" (data/semseg/7.png)": how messages name an image. */
export function imageName(root: string, sample: Sample, modality: Modality | 'scene'): string {
  const path = sample.paths[modality];
  return `${modality} of sample ${JSON.stringify(sample.id)} (${path === undefined ? root : join(root, path)})`;
}

/** Reads one of a sample's files. @throws {DataError} `ERR_FILE_MISSING` or `ERR_FILE_UNREADABLE`, naming it. */
export async function readSampleFile(root: string, sample: Sample, kind: Modality | 'scene'): Promise<Buffer> {
  const path = sample.paths[kind];
  if (path === undefined) {
    throw new DataError('ERR_FILE_MISSING', `Sample ${JSON.stringify(sample.id)} of ${root} has no ${kind}.`);
  }
  try {
    return await readFile(join(root, path));
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const name = imageName(root, sample, kind);
    throw code === 'ENOENT' || code === 'ENOTDIR'
      ? new DataError('ERR_FILE_MISSING', `${name} is missing. Restore the file, or take the sample out.`, { cause })
      : new DataError('ERR_FILE_UNREADABLE', `${name} cannot be read: ${message}.`, { cause });
  }
}

/**
 * A data set of image files: `samples[i].paths` are relative to `root`. Nothing is held open and nothing is kept but
 * 12 bytes a sample: the size of the first image that was decoded of it, which the others must have too.
 */
export function openFiles(root: string, samples: readonly Sample[]): Dataset {
  if (samples.length === 0) {
    throw new DataError('ERR_DATASET_EMPTY', `${root} has no samples. Check the path.`);
  }
  const sizes = new Uint32Array(3 * samples.length); // width, height, index of the modality

  function checkAligned(index: number, modality: Modality, { width, height }: Raster): void {
    const [w, h, first] = sizes.subarray(3 * index, 3 * index + 3) as unknown as [number, number, number];
    if (w === 0) sizes.set([width, height, MODALITIES.indexOf(modality)], 3 * index);
    if (w === 0 || (w === width && h === height)) return;
    const name = (of: Modality) => imageName(root, samples[index]!, of);
    throw new DataError(
      'ERR_SIZE_MISMATCH',
      `${name(modality)} is ${width} x ${height}, but ${name(MODALITIES[first]!)} is ${w} x ${h}. ` +
        'The images of a sample must be pixel-aligned: make them the same size.',
    );
  }

  return {
    root,
    samples,
    modalities: commonModalities(samples),
    async read(index: number, modality: Modality): Promise<StoredImage> {
      const sample = samples[integer('index', index, 0, samples.length - 1)]!;
      oneOf('modality', modality, MODALITIES);
      if (modality === 'depth' && sample.paths.depth !== undefined && Number.isNaN(sample.depthScale)) {
        throw new DataError(
          'ERR_DEPTH_SCALE',
          `${imageName(root, sample, 'depth')} has no depth scale. ` +
            'Give "depth_scale" (metres per stored unit, e.g. 0.001) in its line of manifest.jsonl or in its scene JSON.',
        );
      }
      const bytes = await readSampleFile(root, sample, modality);
      return {
        bytes,
        async decode() {
          const raster = await decodeImage(bytes, modality, imageName(root, sample, modality));
          checkAligned(index, modality, raster);
          return raster;
        },
      };
    },
    async close() {},
  };
}
