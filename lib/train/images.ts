/** The images of a data set for training: decoded once into records on disk, read from there at random. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { integer, oneOf } from '../check.js';
import type { Dataset, Modality } from '../data/dataset.js';
import { type EmbeddingCache, openCache } from '../embed/cache.js';
import { prefetch } from '../embed/prefetch.js';
import { preprocessingIdentity } from '../embed/preprocess.js';
import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';
import type { JobOptions } from '../progress.js';
import { AUGMENTATIONS, type Augmentation } from './augment.js';
import { type ImagePlan, openPlan } from './imageReader.js';
import { inTurn } from './inTurn.js';
import { type RecordLayout, recordLength, recordPixels, resizeDepth, resizeLabels, resizeRgb } from './record.js';
import type { SampleSource } from './types.js';

export interface ImageOptions extends JobOptions {
  /** Folder of the prepared records. Several data sets and configurations can share one. */
  readonly cache: string;
  /** What views > 0 are; `none` if not given. */
  readonly augmentation?: Augmentation | undefined;
  /** Views of each sample, view 0 included; without end if not given. `none` has 1. */
  readonly views?: number | undefined;
  /** Of the augmentation; 0 if not given. */
  readonly seed?: number | undefined;
  /** Whether samples have depth. */
  readonly depth: boolean;
}

/** A sample source that other threads can open too, through its plan. */
export interface Images extends SampleSource {
  readonly plan: ImagePlan;
  /** Samples that were decoded by this call. */
  readonly prepared: number;
}

/** Part of the records' key: change it when the content of records changes. */
const RECORD_VERSION = 'training record v1';
/** Part of the identity: change it when views change. */
const VIEW_VERSION = 'views v1';
const LANES = 6;

/**
 * Makes a record of every sample that has none yet, and opens all of them.
 *
 * Records are found by the bytes of the images and the layout, so a data set is decoded once for all seeds and recipes of
 * equal layout; a run that was killed continues where it was. Only one process can prepare at a time
 * (`ERR_CACHE_LOCKED`); any number can read. Memory does not grow with N but for about 250 bytes a sample.
 *
 * Images become S x S (`config.image`), squeezed if they are rectangular. For `official` the shorter side becomes S and
 * the other keeps the proportions of the data set's first sample (of every sample, where all have one shape); view 0 is
 * then the middle S x S. A record takes 3 bytes a pixel for RGB, 2 for labels, 2 (PNG) or 4 (float) for depth.
 *
 * @throws {DataError} `ERR_MODALITY_MISSING`, `ERR_DATASET_EMPTY`, and whatever is wrong with an image, naming it.
 */
export async function openImages(dataset: Dataset, config: MultimaeConfig, options: ImageOptions): Promise<Images> {
  const augmentation = oneOf('augmentation', options.augmentation ?? 'none', AUGMENTATIONS);
  const seed = integer('seed', options.seed ?? 0, 0);
  const views = augmentation === 'none' ? 1 : (options.views ?? Number.POSITIVE_INFINITY);
  if (views !== Number.POSITIVE_INFINITY) integer('views', views, 1);
  const modalities = checkModalities(dataset, config, options.depth);
  options.signal?.throwIfAborted();

  const layout = await layoutOf(dataset, modalities, config, augmentation);
  const { place, records, keys, prepared } = await inTurn(options.cache, () =>
    prepareAll(dataset, modalities, config, layout, options),
  );
  const plan: ImagePlan = {
    config,
    layout,
    augmentation,
    seed,
    place,
    root: dataset.root,
    records,
    ids: dataset.samples.map(({ id }) => id),
    depthScales: Float64Array.from(dataset.samples, ({ depthScale }) => depthScale),
  };
  const what = JSON.stringify([VIEW_VERSION, preprocessingIdentity(config)]);
  const key = (row: number, view: number) => {
    const hash = createHash('sha256')
      .update(what)
      .update(keys.subarray(32 * row, 32 * row + 32));
    if (layout.depth) hash.update(` ${plan.depthScales[row]}`);
    if (augmentation !== 'none' && view > 0) hash.update(` ${augmentation} ${seed} ${row} ${view}`);
    return hash.digest();
  };
  const identity = createHash('sha256').update(views === 1 ? 'none' : `${augmentation} ${seed} ${views}`);
  for (const row of records.keys()) identity.update(key(row, 0));
  const reader = await openPlan(plan);
  return { rows: dataset.samples.length, views, identity: identity.digest('hex'), plan, prepared, key, ...reader };
}

/**
 * What training reads of a data set, after a check that it has all of it.
 * @throws {DataError} `ERR_MODALITY_MISSING`, `ERR_DATASET_EMPTY`.
 */
export function checkModalities(dataset: Dataset, config: MultimaeConfig, depth: boolean): readonly Modality[] {
  const modalities: Modality[] = [...config.modalities, ...(depth ? (['depth'] as const) : [])];
  if (dataset.samples.length === 0) {
    throw new DataError('ERR_DATASET_EMPTY', `${dataset.root} has no samples. Check the path and the split.`);
  }
  for (const modality of modalities) {
    if (dataset.modalities.includes(modality)) continue;
    const cure =
      modality === 'depth'
        ? 'Add depth maps (a `depth` path in manifest.jsonl, or a depth/ folder), or train on something else.'
        : `Choose modalities among ${dataset.modalities.join(', ')}, or add the missing files.`;
    throw new DataError(
      'ERR_MODALITY_MISSING',
      `${dataset.root} does not have ${modality} for every sample, but training takes ${modalities.join(' + ')}. ${cure}`,
    );
  }
  return modalities;
}

/** Decides from the first sample what all records hold. */
async function layoutOf(
  dataset: Dataset,
  modalities: readonly Modality[],
  config: MultimaeConfig,
  augmentation: Augmentation,
): Promise<RecordLayout> {
  const side = config.image;
  const first = await (await dataset.read(0, modalities.includes('depth') ? 'depth' : modalities[0]!)).decode();
  const grown = side / Math.min(first.width, first.height);
  const long = (pixels: number) => (augmentation === 'official' ? Math.round(pixels * grown) : side);
  return {
    width: long(first.width),
    height: long(first.height),
    rgb: modalities.includes('rgb'),
    semseg: modalities.includes('semseg'),
    depth: modalities.includes('depth') ? (first.data instanceof Float32Array ? 'float32' : 'uint16') : undefined,
  };
}

/** Makes the records that are missing. Returns where those of all samples are. */
async function prepareAll(
  dataset: Dataset,
  modalities: readonly Modality[],
  config: MultimaeConfig,
  layout: RecordLayout,
  options: ImageOptions,
) {
  options.signal?.throwIfAborted();
  const total = dataset.samples.length;
  const records = new Uint32Array(total);
  const keys = Buffer.alloc(32 * total);
  // The number of classes counts because label ids are checked against it when a record is made.
  const classes = layout.semseg ? [config.semsegClasses, config.semsegPadding] : [];
  const cache = await openCache(options.cache, JSON.stringify([RECORD_VERSION, layout, classes]), recordLength(layout));
  let prepared = 0;
  let reported = 0;
  try {
    const underway = new Map<string, Promise<void>>();
    const one = (i: number) => prepare(dataset, i, modalities, config, layout, cache, underway);
    let i = 0;
    for await (const { key, fresh } of prefetch(total, LANES, one)) {
      options.signal?.throwIfAborted();
      records[i] = cache.find(key)!;
      key.copy(keys, 32 * i++);
      if (fresh) prepared++;
      if (performance.now() - reported >= 100) {
        reported = performance.now();
        options.onProgress?.({ stage: 'prepare', done: i, total, unit: 'samples' });
      }
    }
  } finally {
    await cache.close();
  }
  options.onProgress?.({ stage: 'prepare', done: total, total, unit: 'samples' });
  return { place: cache.place, records, keys, prepared };
}

/** Makes sure that one sample has a record. `fresh`: it had none. */
async function prepare(
  dataset: Dataset,
  row: number,
  modalities: readonly Modality[],
  config: MultimaeConfig,
  layout: RecordLayout,
  cache: EmbeddingCache,
  underway: Map<string, Promise<void>>,
): Promise<{ key: Buffer; fresh: boolean }> {
  const images = await Promise.all(
    modalities.map(async (modality) => ({ modality, stored: await dataset.read(row, modality) })),
  );
  const hash = createHash('sha256').update(`${RECORD_VERSION} ${JSON.stringify(layout)}`);
  for (const { modality, stored } of images) hash.update(`\n${modality} ${stored.bytes.length}\n`).update(stored.bytes);
  const key = hash.digest();
  const text = key.toString('latin1');
  if (cache.find(key) !== undefined) return { key, fresh: false };
  const other = underway.get(text);
  if (other) {
    await other;
    return { key, fresh: false };
  }
  const making = (async () => {
    const record = new Float32Array(recordLength(layout));
    const pixels = recordPixels(layout, record);
    const { width, height } = layout;
    for (const { modality, stored } of images) {
      const { id, paths } = dataset.samples[row]!;
      const path = paths[modality];
      const name = `${modality} of sample ${JSON.stringify(id)} (${path ? join(dataset.root, path) : dataset.root})`;
      const raster = await stored.decode();
      if (modality === 'rgb') resizeRgb(raster, width, height, pixels.rgb, name);
      else if (modality === 'semseg') resizeLabels(raster, width, height, config, pixels.semseg, name);
      else resizeDepth(raster, width, height, pixels.depth, name);
    }
    await cache.put(key, record);
  })();
  underway.set(text, making);
  try {
    await making;
  } finally {
    underway.delete(text);
  }
  return { key, fresh: true };
}
