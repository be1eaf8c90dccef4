/** Samples of a data set as training takes them: decoded, augmented, resized, normalised. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset, Modality, Raster } from '../data/dataset.js';
import { labelSide, NORMALISATION, preprocessingIdentity, writeLabels, writeRgb } from '../embed/preprocess.js';
import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';
import { stream } from '../select/random.js';
import { type Augmentation, changeColours, drawView, sampleBilinear, sampleNearest } from './augment.js';
import type { TrainingSample } from './types.js';

/** Samples in several views each: view 0 as they are, resized only, the others augmented. */
export interface AugmentedSource {
  readonly rows: number;
  readonly views: number;
  /** Equal for equal images, recipe and seed. */
  readonly identity: string;
  read(row: number, view: number): Promise<TrainingSample>;
}

export interface ImageOptions {
  /** `none` if not given: all views are the same. */
  readonly augmentation?: Augmentation | undefined;
  /** Views of each sample, 1 if not given. */
  readonly views?: number | undefined;
  /** Of the augmentation. */
  readonly seed?: number | undefined;
  /** Whether depth is read. */
  readonly depth: boolean;
}

/**
 * The samples `rows` of a data set. Depth is in metres, resized by the nearest pixel: no depth is made up between an
 * object and what is behind it; valid = 1 where the stored depth is a number above 0.
 *
 * @throws {DataError} `ERR_MODALITY_MISSING` where the data set lacks what the encoder or the target needs, and as its
 * images do when they are read.
 */
export async function openImages(
  dataset: Dataset,
  config: MultimaeConfig,
  { augmentation = 'none', views = 1, seed = 0, depth }: ImageOptions,
): Promise<AugmentedSource> {
  const wanted: Modality[] = [...config.modalities, ...(depth ? (['depth'] as const) : [])];
  const missing = wanted.filter((modality) => !dataset.modalities.includes(modality));
  if (missing.length > 0) {
    throw new DataError(
      'ERR_MODALITY_MISSING',
      `${dataset.root} does not have ${missing.join(' and ')} for every sample, which this training needs. It has ${dataset.modalities.join(', ')}.`,
    );
  }
  const what = `${preprocessingIdentity(config)} depth ${depth} ${views > 1 ? `${augmentation} ${seed}` : 'none'} v1`;
  return {
    rows: dataset.samples.length,
    views,
    identity: await sourceIdentity(dataset, what),
    async read(row, view) {
      const rasters = new Map<Modality, Raster>();
      await Promise.all(
        wanted.map(async (modality) => {
          rasters.set(modality, await (await dataset.read(row, modality)).decode());
        }),
      );
      const random = stream(seed, row * 2 ** 20 + view);
      return makeSample(dataset, row, rasters, config, view === 0 ? undefined : { augmentation, random });
    },
  };
}

function makeSample(
  dataset: Dataset,
  row: number,
  rasters: ReadonlyMap<Modality, Raster>,
  config: MultimaeConfig,
  augmented: { augmentation: Augmentation; random: () => number } | undefined,
): TrainingSample {
  const { id, depthScale } = dataset.samples[row]!;
  const nameOf = (modality: Modality) => `${modality} of sample ${JSON.stringify(id)} (${dataset.root})`;
  const sizes = new Set([...rasters.values()].map(({ width, height }) => `${width} x ${height}`));
  if (sizes.size > 1) {
    throw new DataError(
      'ERR_SIZE_MISMATCH',
      `The images of sample ${JSON.stringify(id)} (${dataset.root}) are ${[...sizes].join(' and ')}. They must be pixel-aligned: make them the same size.`,
    );
  }
  const { width, height } = [...rasters.values()][0]!;
  const { geometry, colours } = drawView(
    augmented?.augmentation ?? 'none',
    width,
    height,
    augmented?.random ?? (() => 0),
  );
  const sample: TrainingSample = {};
  const side = config.image;
  const rgb = rasters.get('rgb');
  if (rgb) {
    sample.rgb = new Float32Array(3 * side * side);
    // Checks the raster too.
    writeRgb(rgb, config, sample.rgb, nameOf('rgb'));
    if (augmented) {
      for (let c = 0; c < 3; c++) {
        sampleBilinear(rgb, geometry, 3, c, side, 0, sample.rgb.subarray(c * side * side, (c + 1) * side * side));
      }
      for (let i = 0; i < sample.rgb.length; i++) sample.rgb[i]! /= 255;
      changeColours(sample.rgb, colours);
      normalise(sample.rgb, config);
    }
  }
  const semseg = rasters.get('semseg');
  if (semseg) {
    const labels = labelSide(config);
    sample.semseg = new Int32Array(labels * labels);
    writeLabels(semseg, config, sample.semseg, nameOf('semseg'));
    const outside = config.semsegPadding ? config.semsegClasses : 0;
    if (augmented) sampleNearest(semseg, geometry, labels, outside, sample.semseg);
  }
  const depth = rasters.get('depth');
  if (depth) {
    if (Number.isNaN(depthScale)) {
      throw new DataError(
        'ERR_DEPTH_SCALE',
        `${nameOf('depth')} has no depth_scale, so its depth in metres is not known. Put it into the manifest: metres per stored unit.`,
      );
    }
    sample.depth = new Float32Array(side * side);
    sampleNearest(depth, geometry, side, 0, sample.depth);
    sample.valid = new Float32Array(side * side);
    for (let i = 0; i < side * side; i++) {
      const metres = sample.depth[i]! * depthScale;
      const valid = metres > 0 && Number.isFinite(metres);
      sample.valid[i] = valid ? 1 : 0;
      sample.depth[i] = valid ? metres : 0;
    }
  }
  return sample;
}

function normalise(rgb: Float32Array, { variant }: MultimaeConfig): void {
  const { mean, std } = NORMALISATION[variant];
  const pixels = rgb.length / 3;
  for (let i = 0; i < rgb.length; i++) {
    const c = Math.floor(i / pixels);
    rgb[i] = (rgb[i]! - mean[c]!) / std[c]!;
  }
}

/** The samples of a data set change when a file of theirs does. */
async function sourceIdentity(dataset: Dataset, what: string): Promise<string> {
  const hash = createHash('sha256').update(what);
  for (const { id, paths, depthScale } of dataset.samples) {
    hash.update(`\n${JSON.stringify(id)} ${depthScale}`);
    for (const path of Object.values(paths)) {
      const { size, mtimeMs } = await stat(join(dataset.root, path));
      hash.update(` ${path} ${size} ${mtimeMs}`);
    }
  }
  return hash.digest('hex');
}
