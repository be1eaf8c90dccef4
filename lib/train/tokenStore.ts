/**
 * What a frozen encoder makes of a data set, on disk: for every sample and view the tokens that the adapter takes and the
 * target, as one float32 record. Records lie in a cache like that of embeddings (lib/embed/cache.ts): found by the hash of
 * everything that they depend on, verified on every read, kept by a kill. A record is in memory only while a mini-batch is
 * made of it.
 */
import { integer } from '../check.js';
import { aggregationMatrix } from '../embed/aggregate.js';
import { type EmbeddingCache, openCache, openRecords } from '../embed/cache.js';
import { prefetch } from '../embed/prefetch.js';
import { DataError } from '../errors.js';
import { checkFinite } from '../formats/finite.js';
import { adapterHooks, takesPooled, tokenGrid } from '../models/adapter.js';
import type { Encoder, EncoderInput, TokenBatch } from '../models/encoder.js';
import type { JobOptions } from '../progress.js';
import { inTurn } from './inTurn.js';
import type { ModelConfig } from './trainingGraph.js';
import type { SampleSource, TrainingSample } from './types.js';

/** Part of the key of a record: change it when the content of records changes. */
const VERSION = 'tokens v1';

/** One part of a record, as a graph input takes it. */
export interface Field {
  /** Name of the graph's input. */
  readonly name: string;
  /** Shape for one sample. */
  readonly dims: readonly number[];
  /** Place in the record, in floats. */
  readonly offset: number;
  readonly length: number;
}

/** Records of a data set, ready to be read in any order, side by side. Close it when done. */
export interface TokenStore {
  readonly fields: readonly Field[];
  /** Number of samples and of views of each. */
  readonly rows: number;
  readonly views: number;
  /** How many samples x views were computed by this call. The others were there, or are equal to one of these. */
  readonly computed: number;
  /** Seconds that this call spent on all of them, and how many tokens that the encoder put out it stored in each. */
  readonly seconds: number;
  readonly tokensPerSecond: number;
  /** The record of one sample and view: float32, `fields` one behind the other. */
  read(row: number, view: number): Promise<Float32Array>;
  close(): Promise<void>;
}

export interface TokenStoreOptions extends JobOptions {
  /** Folder that keeps the records. */
  readonly cache: string;
  /** Samples per run of the encoder; 8 if not given. */
  readonly batch?: number | undefined;
}

/** The parts of a record that this model takes. */
export function recordFields({ encoder, adapter, mainTasks, loss }: ModelConfig): Field[] {
  const { width, side } = tokenGrid(encoder, mainTasks);
  const fields: Field[] = [];
  const add = (name: string, ...dims: number[]) => {
    const last = fields.at(-1);
    const length = dims.reduce((product, dim) => product * dim, 1);
    fields.push({ name, dims, offset: last ? last.offset + last.length : 0, length });
  };
  if (takesPooled(adapter)) add('pooled', encoder.dim);
  else for (const hook of adapterHooks(adapter, encoder)) add(`tokens.${hook}`, side * side, width);
  if (loss !== 'cross-entropy') {
    add('depth', 1, encoder.image, encoder.image);
    add('valid', 1, encoder.image, encoder.image);
  }
  return fields;
}

/**
 * Opens the records of a source, computing those that are not there yet; the encoder computes while samples are read and
 * records are written. A run that was killed continues where it was. Only one process can compute at a time
 * (`ERR_CACHE_LOCKED`); any number can read.
 *
 * @throws {DataError} as the source does when it is read, `ERR_NOT_FINITE` naming the sample; {RangeError} if the source
 * has views without end; rejects with `signal.reason` within about one batch after an abort.
 */
export async function openTokenStore(
  source: SampleSource,
  encoder: Encoder,
  model: ModelConfig,
  options: TokenStoreOptions,
): Promise<TokenStore> {
  const { rows } = source;
  const views = integer('views', source.views, 1);
  const fields = recordFields(model);
  const floats = fields.reduce((sum, { length }) => sum + length, 0);
  const start = performance.now();
  const { place, records, computed } = await inTurn(options.cache, async () => {
    const { adapter, mainTasks } = model;
    const configuration = JSON.stringify([
      VERSION,
      encoder.identity,
      adapterHooks(adapter, encoder.config),
      mainTasks,
      fields,
      pooling(model),
    ]);
    const cache = await openCache(options.cache, configuration, floats);
    try {
      return { place: cache.place, ...(await encodeAll(source, encoder, model, fields, cache, options)) };
    } finally {
      await cache.close();
    }
  });
  const seconds = (performance.now() - start) / 1000;
  const reader = await openRecords(place, floats);
  return {
    fields,
    rows,
    views,
    computed,
    seconds,
    tokensPerSecond: (computed * tokenCount(encoder)) / seconds,
    async read(row, view) {
      const number = records[integer('view', view, 0, views - 1) * rows + integer('row', row, 0, rows - 1)]!;
      const record = await reader.read(number);
      if (record) return record;
      await reader.forget(number);
      throw new DataError(
        'ERR_CACHE_DAMAGED',
        `The cached tokens of sample ${row}, view ${view} (record ${number} in ${place}) are damaged. Run again: they will be computed anew.`,
      );
    },
    close: () => reader.close(),
  };
}

interface Pending {
  readonly key: Buffer;
  readonly row: number;
  readonly sample: TrainingSample;
}

/** Computes the records that are missing. Returns the number of every record, [views, rows]. */
async function encodeAll(
  source: SampleSource,
  encoder: Encoder,
  model: ModelConfig,
  fields: readonly Field[],
  cache: EmbeddingCache,
  { batch: wanted, signal, onProgress }: TokenStoreOptions,
): Promise<{ records: Uint32Array; computed: number }> {
  const { rows, views } = source;
  const total = rows * views;
  const batch = integer('batch', wanted ?? 8, 1);
  const layers = adapterHooks(model.adapter, encoder.config);
  const floats = fields.reduce((sum, { length }) => sum + length, 0);
  const keys = (i: number) => source.key(i % rows, Math.floor(i / rows));
  const missing: number[] = [];
  // Equal images have equal views 0; others depend on the row.
  const seen = new Set<string>();
  for (let i = 0; i < total; i++) {
    const key = keys(i);
    if (cache.find(key) !== undefined) continue;
    if (i < rows) {
      const text = key.toString('latin1');
      if (seen.has(text)) continue;
      seen.add(text);
    }
    missing.push(i);
  }

  // What one vector is made of need not leave a GPU.
  const matrix =
    takesPooled(model.adapter) && encoder.provider === 'cuda'
      ? aggregationMatrix(pooling(model), tokenCount(encoder), [])
      : undefined;
  const encode = async (input: EncoderInput) =>
    matrix ? [await encoder.pool(input, layers[0]!, matrix)] : encoder.encode(input, layers);

  const store = async (pending: Pending[], tokens: Promise<TokenBatch[]>) => {
    const outputs = await tokens;
    signal?.throwIfAborted();
    for (const [i, { key, row, sample }] of pending.entries()) {
      const record = new Float32Array(floats);
      fillRecord(record, fields, sample, outputs, i, encoder, model);
      checkFinite(record, floats, `The tokens of sample ${row}`, row);
      await cache.put(key, record);
    }
  };
  let pending: Pending[] = [];
  let tokens: Promise<TokenBatch[]> | undefined;
  let stored: Promise<void> | undefined;
  let reported = 0;
  let done = total - missing.length;
  // The encoder always has the next batch while the results of the last one are stored.
  const flush = async () => {
    const ready = pending;
    pending = [];
    tokens = encode(stack(ready, batch, encoder));
    tokens.catch(() => {}); // Reported by the one that stores them.
    await stored;
    stored = store(ready, tokens);
    stored.catch(() => {});
    done += ready.length;
    if (performance.now() - reported >= 100) {
      reported = performance.now();
      onProgress?.({ stage: 'tokens', done, total, unit: 'samples' });
    }
  };
  const load = async (n: number) => {
    const i = missing[n]!;
    const row = i % rows;
    return { key: keys(i), row, sample: await source.read(row, Math.floor(i / rows)) };
  };
  try {
    for await (const item of prefetch(missing.length, 2 * batch, load)) {
      signal?.throwIfAborted();
      pending.push(item);
      if (pending.length === batch) await flush();
    }
    if (pending.length > 0) await flush();
    await stored;
  } finally {
    // Whoever closes cache and encoder after a failure must not find them at work.
    await Promise.allSettled([stored, tokens]);
  }
  onProgress?.({ stage: 'tokens', done: total, total, unit: 'samples' });
  const records = Uint32Array.from({ length: total }, (_, i) => cache.find(keys(i))!);
  return { records, computed: missing.length };
}

/** A batch of the full size, so that resuming does not change a bit; what lies behind the last sample stays zero. */
function stack(items: readonly Pending[], batch: number, { config }: Encoder): EncoderInput {
  const input: EncoderInput = { batch, height: config.image, width: config.image };
  const { rgb, semseg } = items[0]!.sample;
  if (rgb) input.rgb = new Float32Array(batch * rgb.length);
  if (semseg) input.semseg = new Int32Array(batch * semseg.length);
  for (const [i, { sample }] of items.entries()) {
    if (rgb) input.rgb!.set(sample.rgb!, i * rgb.length);
    if (semseg) input.semseg!.set(sample.semseg!, i * semseg.length);
  }
  return input;
}

function fillRecord(
  record: Float32Array,
  fields: readonly Field[],
  sample: TrainingSample,
  layers: readonly TokenBatch[],
  index: number,
  encoder: Encoder,
  model: ModelConfig,
): void {
  let layer = 0;
  for (const { name, offset, length } of fields) {
    const part = record.subarray(offset, offset + length);
    if (name === 'depth') part.set(sample.depth!);
    else if (name === 'valid') part.set(sample.valid!);
    else if (name === 'pooled') pool(part, layers[0]!, index, pooling(model));
    else interleave(part, layers[layer++]!, index, encoder, model.mainTasks);
  }
}

function tokenCount({ config: { image }, tokenRanges }: Encoder): number {
  return Math.max(...Object.values(tokenRanges(image, image)).map((range) => range?.[1] ?? 0));
}

function pooling({ adapter }: ModelConfig): 'last' | 'mean' {
  return adapter.kind === 'linear' && adapter.pooling === 'last' ? 'last' : 'mean';
}

/** Mean of all tokens, or the last one. */
function pool(target: Float32Array, { data, tokens, dim }: TokenBatch, index: number, pooling: 'last' | 'mean'): void {
  const first = index * tokens;
  if (pooling === 'last') {
    target.set(data.subarray((first + tokens - 1) * dim, (first + tokens) * dim));
    return;
  }
  const sums = new Float64Array(dim);
  for (let i = first * dim; i < (first + tokens) * dim; i++) sums[i % dim]! += data[i]!;
  for (let c = 0; c < dim; c++) target[c] = sums[c]! / tokens;
}

/** Tokens of the main tasks, those of one place side by side. */
function interleave(
  target: Float32Array,
  { data, tokens, dim }: TokenBatch,
  index: number,
  encoder: Encoder,
  mainTasks: readonly ('rgb' | 'semseg')[],
): void {
  const { image } = encoder.config;
  const ranges = encoder.tokenRanges(image, image);
  mainTasks.forEach((task, part) => {
    const [from, to] = ranges[task]!;
    for (let token = from; token < to; token++) {
      const source = (index * tokens + token) * dim;
      target.set(data.subarray(source, source + dim), ((token - from) * mainTasks.length + part) * dim);
    }
  });
}
