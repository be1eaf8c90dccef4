/** The first stage: every sample of a data set -> one vector. */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { integer, oneOf } from '../check.js';
import type { Dataset, Raster } from '../data/dataset.js';
import { DataError } from '../errors.js';
import { writeAtomically, writeFileAtomically } from '../files.js';
import { checkFinite } from '../formats/finite.js';
import { writeNpyRows } from '../formats/npy.js';
import type { Encoder, EncoderInput, TokenBatch } from '../models/encoder.js';
import { executionOf } from '../onnx/placement.js';
import type { JobOptions } from '../progress.js';
import { AGGREGATIONS, type Aggregation, aggregate, aggregatedSize, aggregationMatrix } from './aggregate.js';
import { type EmbeddingCache, openCache } from './cache.js';
import { prefetch } from './prefetch.js';
import { labelSide, preprocessingIdentity, writeLabels, writeRgb } from './preprocess.js';

export interface EmbedOptions extends JobOptions {
  /** How tokens become one vector. */
  aggregation: Aggregation;
  /** Block whose output tokens are taken, 0-based; the last one if not given. */
  layer?: number | undefined;
  /** Samples per run of the encoder; 8 if not given. */
  batch?: number | undefined;
  /** Folder of the embedding cache; `<out>/cache` if not given. Several data sets and configurations can share one. */
  cache?: string | undefined;
  /** Folder for `embeddings.npy`, `samples.jsonl` and `embed.json`. */
  out: string;
}

export interface EmbedResult {
  /** Path of `embeddings.npy`, float32 [rows, cols] in the order of `dataset.samples`. */
  readonly path: string;
  readonly rows: number;
  readonly cols: number;
  /** Samples that went through the encoder. */
  readonly encoded: number;
  /** Samples that did not have to: found in the cache, or the same images as an earlier sample. */
  readonly cached: number;
  readonly seconds: number;
}

/** One sample on its way to the encoder. `vector` is there if the cache had it; else the pixels are. */
interface Prepared {
  readonly row: number;
  readonly key: Buffer;
  vector: Float32Array | undefined;
  rgb: Float32Array | undefined;
  semseg: Int32Array | undefined;
}

/** Consecutive rows that are written together, and those of them that one run of the encoder computes. */
interface Window {
  readonly rows: Prepared[];
  readonly fresh: Prepared[];
  tokens: Promise<TokenBatch> | undefined;
}

/** Bounds the memory of a window in which nearly every sample comes from the cache. */
const MAX_WINDOW_ROWS = 1 << 16;

/**
 * Embeds every sample and writes, each atomically, `embeddings.npy` (float32 [N, D]), `samples.jsonl` (line i describes
 * row i) and last `embed.json` (provenance and counts): a folder with `embed.json` is whole.
 *
 * Modalities are those of `encoder.config.modalities`, in that order: to embed by RGB or masks alone, open the encoder
 * with that modality alone. Vectors go through a cache on disk, so a run that was killed at any moment continues where
 * it was, and images that occur twice are encoded once. Memory does not grow with N but for the cache's index.
 *
 * Every run of the encoder has the same batch size (the last one is filled up with zeros), so that resuming does not
 * change a bit. Another batch size may change the last bits, because ONNX Runtime may choose other kernels for it.
 *
 * @throws {DataError} naming sample and file; rejects with `signal.reason` within about one batch after an abort.
 */
export async function embed(dataset: Dataset, encoder: Encoder, options: EmbedOptions): Promise<EmbedResult> {
  const { config } = encoder;
  const aggregation = oneOf('aggregation', options.aggregation, AGGREGATIONS);
  const layer = integer('layer', options.layer ?? config.depth - 1, 0, config.depth - 1);
  const batchSize = Math.min(integer('batch', options.batch ?? 8, 1), Math.max(1, dataset.samples.length));
  checkDataset(dataset, encoder);
  options.signal?.throwIfAborted();

  const started = performance.now();
  const ranges = encoder.tokenRanges(config.image, config.image);
  const modalities = config.modalities.map((modality) => ranges[modality]!);
  const tokens = Math.max(...Object.values(ranges).map((range) => range?.[1] ?? 0));
  const cols = aggregatedSize(aggregation, tokens, config.dim, modalities.length);
  // On CUDA tokens are summed before they leave the device; on the CPU in float64, at no cost that could be measured.
  const matrix =
    encoder.provider === 'cuda' && aggregation !== 'concat'
      ? aggregationMatrix(aggregation, tokens, modalities)
      : undefined;
  const encode = async (input: EncoderInput) =>
    matrix ? encoder.pool(input, layer, matrix) : (await encoder.encode(input, [layer]))[0]!;
  const configuration = JSON.stringify({
    encoder: encoder.identity,
    preprocessing: preprocessingIdentity(config),
    aggregation,
    layer,
    modalities: config.modalities,
  });

  const path = join(options.out, 'embeddings.npy');
  const summary = join(options.out, 'embed.json');
  const total = dataset.samples.length;
  let encoded = 0;
  const cache = await openCache(options.cache ?? join(options.out, 'cache'), configuration, cols);
  try {
    await writeAtomically(join(options.out, 'samples.jsonl'), async (samples) => {
      await writeNpyRows(path, cols, async (append) => {
        encoded = await encodeAll(async (rows, vectors) => {
          await samples.appendFile(rows.map((row) => `${JSON.stringify(describe(dataset, row))}\n`).join(''));
          for (const vector of vectors) await append(vector);
        });
        // From here until the end the folder is a mixture of old and new.
        await rm(summary, { force: true });
      });
    });
  } finally {
    await cache.close();
  }
  const seconds = (performance.now() - started) / 1000;
  const counts = { rows: total, cols, encoded, cached: total - encoded, seconds };
  await writeFileAtomically(
    summary,
    `${JSON.stringify(
      {
        dataset: dataset.root,
        encoder: { identity: encoder.identity, origin: encoder.origin, ...executionOf(encoder), config },
        preprocessing: preprocessingIdentity(config),
        aggregation,
        layer,
        batch: batchSize,
        ...counts,
        samplesPerSecond: total / seconds,
      },
      null,
      2,
    )}\n`,
  );
  return { path, ...counts };

  /** Runs all samples through cache and encoder and hands their vectors on in order. Returns how many were encoded. */
  async function encodeAll(write: (rows: number[], vectors: Float32Array[]) => Promise<void>): Promise<number> {
    let count = 0;
    let reported = 0;
    let previous: Window | undefined;
    let current: Window = { rows: [], fresh: [], tokens: undefined };
    // Keys of the windows that are not yet in the cache.
    const underway = new Set<string>();

    const settle = async (window: Window) => {
      const batch = await window.tokens;
      options.signal?.throwIfAborted();
      const vectors = new Map<string, Float32Array>();
      for (const [i, item] of window.fresh.entries()) {
        const vector = aggregate(matrix ? 'concat' : aggregation, batch!, i, modalities);
        checkFinite(vector, cols, `The embedding of ${nameOf(dataset, item.row)}`, item.row);
        await cache.put(item.key, vector);
        vectors.set(text(item.key), vector);
        underway.delete(text(item.key));
      }
      for (let from = 0; from < window.rows.length; from += batchSize) {
        const items = window.rows.slice(from, from + batchSize);
        const found = items.map(
          async (item) => item.vector ?? vectors.get(text(item.key)) ?? (await readBack(cache, item, dataset)),
        );
        await write(
          items.map((item) => item.row),
          await Promise.all(found),
        );
      }
    };
    // The encoder always has the next batch waiting while the results of the last one are stored.
    const closeWindow = async () => {
      if (current.fresh.length > 0) {
        current.tokens = encode(assemble(current.fresh, encoder, batchSize));
        current.tokens.catch(() => {});
      }
      const before = previous;
      previous = current;
      current = { rows: [], fresh: [], tokens: undefined };
      if (before) await settle(before);
    };

    try {
      for await (const item of prefetch(total, 2 * batchSize + 4, (row) =>
        prepare(dataset, row, encoder, configuration, cache),
      )) {
        options.signal?.throwIfAborted();
        const key = text(item.key);
        // An earlier sample with the same images may have been stored since this one was looked up.
        if (!item.vector && !underway.has(key)) item.vector = await cache.get(item.key);
        if (!item.vector && !underway.has(key)) {
          underway.add(key);
          current.fresh.push(item);
          count++;
        } else {
          item.rgb = item.semseg = undefined;
        }
        current.rows.push(item);
        if (current.rows.length > 4 * batchSize) item.vector = undefined; // Read again when it is written.
        const full = current.fresh.length === 0 ? 4 * batchSize : MAX_WINDOW_ROWS;
        if (current.fresh.length === batchSize || current.rows.length >= full) await closeWindow();
        if (performance.now() - reported >= 100) {
          reported = performance.now();
          options.onProgress?.({ stage: 'embed', done: item.row, total, unit: 'samples' });
        }
      }
      await closeWindow();
      if (previous) await settle(previous);
    } finally {
      // Whoever closes the encoder after a failure must not find it at work.
      await Promise.allSettled([previous?.tokens, current.tokens]);
    }
    options.onProgress?.({ stage: 'embed', done: total, total, unit: 'samples' });
    return count;
  }
}

function checkDataset(dataset: Dataset, encoder: Encoder): void {
  if (dataset.samples.length === 0) {
    throw new DataError('ERR_DATASET_EMPTY', `${dataset.root} has no samples. Check the path and the split.`);
  }
  for (const modality of encoder.config.modalities) {
    if (!dataset.modalities.includes(modality)) {
      throw new DataError(
        'ERR_MODALITY_MISSING',
        `${dataset.root} does not have ${modality} for every sample, but the encoder takes ${encoder.config.modalities.join(' + ')}. ` +
          `Choose modalities among ${dataset.modalities.join(', ')}, or add the missing files.`,
      );
    }
  }
}

/** Reads and hashes the images of one sample and, unless the cache has its vector, turns them into encoder input. */
async function prepare(
  dataset: Dataset,
  row: number,
  encoder: Encoder,
  configuration: string,
  cache: EmbeddingCache,
): Promise<Prepared> {
  const { config } = encoder;
  const images = await Promise.all(
    config.modalities.map(async (modality) => ({ modality, stored: await dataset.read(row, modality) })),
  );
  const hash = createHash('sha256').update(configuration);
  for (const { modality, stored } of images) hash.update(`\n${modality} ${stored.bytes.length}\n`).update(stored.bytes);
  const key = hash.digest();
  const item: Prepared = { row, key, vector: await cache.get(key), rgb: undefined, semseg: undefined };
  if (item.vector) return item;

  const rasters = await Promise.all(
    images.map(async ({ modality, stored }) => ({ modality, raster: await stored.decode() })),
  );
  checkSameSize(dataset, row, rasters);
  for (const { modality, raster } of rasters) {
    if (modality === 'rgb') {
      item.rgb = new Float32Array(3 * config.image ** 2);
      writeRgb(raster, config, item.rgb, nameOf(dataset, row, 'rgb'));
    } else {
      item.semseg = new Int32Array(labelSide(config) ** 2);
      writeLabels(raster, config, item.semseg, nameOf(dataset, row, 'semseg'));
    }
  }
  return item;
}

function checkSameSize(dataset: Dataset, row: number, images: { modality: 'rgb' | 'semseg'; raster: Raster }[]): void {
  const first = images[0]!;
  for (const other of images) {
    if (other.raster.width === first.raster.width && other.raster.height === first.raster.height) continue;
    const size = ({ modality, raster }: typeof first) =>
      `${nameOf(dataset, row, modality)} is ${raster.width} x ${raster.height}`;
    throw new DataError(
      'ERR_SIZE_MISMATCH',
      `${size(first)}, but ${size(other)}. The images of a sample must be pixel-aligned: make them the same size.`,
    );
  }
}

/** A batch of the full size; what lies behind the last sample stays zero. */
function assemble(items: readonly Prepared[], encoder: Encoder, batchSize: number): EncoderInput {
  const { image, modalities } = encoder.config;
  const input: EncoderInput = { batch: batchSize, height: image, width: image };
  if (modalities.includes('rgb')) input.rgb = new Float32Array(batchSize * 3 * image ** 2);
  if (modalities.includes('semseg')) input.semseg = new Int32Array(batchSize * labelSide(encoder.config) ** 2);
  for (const [i, item] of items.entries()) {
    if (item.rgb) input.rgb!.set(item.rgb, i * item.rgb.length);
    if (item.semseg) input.semseg!.set(item.semseg, i * item.semseg.length);
    item.rgb = item.semseg = undefined;
  }
  return input;
}

async function readBack(cache: EmbeddingCache, item: Prepared, dataset: Dataset): Promise<Float32Array> {
  const vector = await cache.get(item.key);
  if (vector) return vector;
  throw new DataError(
    'ERR_CACHE_DAMAGED',
    `The cached embedding of ${nameOf(dataset, item.row)} was damaged while it was in use. Run again: it will be computed anew.`,
  );
}

/** The line of `samples.jsonl` for one row. */
function describe(dataset: Dataset, row: number) {
  const { id, split, paths, depthScale, metadata } = dataset.samples[row]!;
  return { row, id, split, paths, ...(Number.isNaN(depthScale) ? {} : { depthScale }), metadata };
}

function nameOf(dataset: Dataset, row: number, modality?: 'rgb' | 'semseg'): string {
  const sample = dataset.samples[row]!;
  if (!modality) return `sample ${JSON.stringify(sample.id)}`;
  const path = sample.paths[modality];
  return `${modality} of sample ${JSON.stringify(sample.id)} (${path ? join(dataset.root, path) : dataset.root})`;
}

function text(key: Buffer): string {
  return key.toString('latin1');
}
