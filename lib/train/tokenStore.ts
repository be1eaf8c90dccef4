/**
 * What a frozen encoder makes of a data set, on disk: for every sample and view the tokens that the adapter takes and the
 * target, as float32 records of one length, 64 to a file. Files appear whole, so a killed run goes on where it stopped,
 * and any number of processes may read. A record is never in memory unless a mini-batch needs it.
 *
 *     <cache>/<identity>/records.json       what the records hold
 *     <cache>/<identity>/<view>-<file>.bin  64 records, then 32 bytes of sha256 over them
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { prefetch } from '../embed/prefetch.js';
import { DataError } from '../errors.js';
import { writeAtomically, writeFileAtomically } from '../files.js';
import { adapterHooks, takesPooled, tokenGrid } from '../models/adapter.js';
import type { Encoder, TokenBatch } from '../models/encoder.js';
import type { JobOptions } from '../progress.js';
import type { AugmentedSource } from './images.js';
import type { ModelConfig } from './trainingGraph.js';

/** Records in a file. */
const PER_FILE = 64;
const CHECK_BYTES = 32;
const VERSION = 'v1';

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

/** Records of a data set, ready to be read in any order. Close it when done. */
export interface TokenStore {
  readonly fields: readonly Field[];
  /** Number of samples and of views of each. */
  readonly rows: number;
  readonly views: number;
  /** How many samples x views were computed by this call, and how many seconds that took. */
  readonly computed: number;
  readonly seconds: number;
  /** Reads one field of one record into `target` at `offset`. */
  read(row: number, view: number, field: Field, target: Float32Array, offset: number): Promise<void>;
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
 * Opens the records of a data set, computing those that are not there yet.
 * @throws {DataError} as the data set's images do, `ERR_CACHE_DAMAGED`; rejects with `signal.reason` when aborted.
 */
export async function openTokenStore(
  source: AugmentedSource,
  encoder: Encoder,
  model: ModelConfig,
  options: TokenStoreOptions,
): Promise<TokenStore> {
  const { cache, batch = 8, signal, onProgress } = options;
  const fields = recordFields(model);
  const floats = fields.reduce((sum, { length }) => sum + length, 0);
  const { rows, views } = source;
  const description = { version: VERSION, encoder: encoder.identity, source: source.identity, fields, rows, views };
  const identity = createHash('sha256').update(JSON.stringify(description)).digest('hex').slice(0, 32);
  const folder = join(cache, `tokens-${identity}`);
  await mkdir(folder, { recursive: true });
  await writeFileAtomically(join(folder, 'records.json'), `${JSON.stringify(description, null, 2)}\n`);

  const files = Math.ceil(rows / PER_FILE);
  const recordsIn = (file: number) => Math.min(PER_FILE, rows - file * PER_FILE);
  const bytesOf = (file: number) => recordsIn(file) * floats * 4 + CHECK_BYTES;
  const pathOf = (view: number, file: number) => join(folder, `${view}-${String(file).padStart(6, '0')}.bin`);
  const start = performance.now();
  let computed = 0;
  let done = 0;
  for (let view = 0; view < views; view++) {
    for (let file = 0; file < files; file++) {
      signal?.throwIfAborted();
      const size = (await stat(pathOf(view, file)).catch(() => undefined))?.size;
      if (size !== bytesOf(file)) {
        await writeRecords(pathOf(view, file), await encodeRecords(view, file));
        computed += recordsIn(file);
      }
      done += recordsIn(file);
      onProgress?.({ stage: 'tokens', done, total: rows * views, unit: 'samples' });
    }
  }

  /** All records of one file. */
  async function encodeRecords(view: number, file: number): Promise<Float32Array> {
    const first = file * PER_FILE;
    const count = recordsIn(file);
    const records = new Float32Array(count * floats);
    const samples = prefetch(count, 2 * batch, (i) => source.read(first + i, view));
    const { image } = encoder.config;
    let waiting: Awaited<ReturnType<AugmentedSource['read']>>[] = [];
    let row = 0;
    const flush = async () => {
      signal?.throwIfAborted();
      const size = waiting.length;
      if (size === 0) return;
      const input = { batch, height: image, width: image, ...stack(waiting, batch) };
      const layers = adapterHooks(model.adapter, encoder.config);
      const tokens = await encoder.encode(input, layers);
      for (let i = 0; i < size; i++) {
        const record = records.subarray((row + i) * floats, (row + i + 1) * floats);
        fillRecord(record, fields, waiting[i]!, tokens, i, encoder, model);
      }
      row += size;
      waiting = [];
    };
    for await (const sample of samples) {
      waiting.push(sample);
      if (waiting.length === batch) await flush();
    }
    await flush();
    return records;
  }

  const handles = new Map<string, Promise<FileHandle>>();
  const opened = (path: string, file: number) => {
    const known = handles.get(path);
    if (known) return known;
    const handle = openChecked(path, bytesOf(file));
    handles.set(path, handle);
    return handle;
  };
  return {
    fields,
    rows,
    views,
    computed,
    seconds: (performance.now() - start) / 1000,
    async read(row, view, field, target, offset) {
      const file = Math.floor(row / PER_FILE);
      const handle = await opened(pathOf(view, file), file);
      const bytes = new Uint8Array(target.buffer, target.byteOffset + offset * 4, field.length * 4);
      const position = ((row % PER_FILE) * floats + field.offset) * 4;
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, position);
      if (bytesRead !== bytes.length) throw damaged(pathOf(view, file));
    },
    async close() {
      for (const handle of handles.values()) await handle.then((file) => file.close()).catch(() => {});
    },
  };
}

/** Samples one behind the other; what lies behind the last one stays zero. */
function stack(samples: readonly { rgb?: Float32Array; semseg?: Int32Array }[], batch: number) {
  const input: { rgb?: Float32Array; semseg?: Int32Array } = {};
  const { rgb, semseg } = samples[0]!;
  if (rgb) {
    input.rgb = new Float32Array(batch * rgb.length);
    samples.forEach((sample, i) => {
      input.rgb!.set(sample.rgb!, i * rgb.length);
    });
  }
  if (semseg) {
    input.semseg = new Int32Array(batch * semseg.length);
    samples.forEach((sample, i) => {
      input.semseg!.set(sample.semseg!, i * semseg.length);
    });
  }
  return input;
}

function fillRecord(
  record: Float32Array,
  fields: readonly Field[],
  sample: { depth?: Float32Array; valid?: Float32Array },
  layers: readonly TokenBatch[],
  index: number,
  encoder: Encoder,
  { adapter, mainTasks }: ModelConfig,
): void {
  let layer = 0;
  for (const { name, offset, length } of fields) {
    const part = record.subarray(offset, offset + length);
    if (name === 'depth') part.set(sample.depth!);
    else if (name === 'valid') part.set(sample.valid!);
    else if (name === 'pooled') pool(part, layers[0]!, index, adapter.kind === 'linear' && adapter.pooling === 'last');
    else interleave(part, layers[layer++]!, index, encoder, mainTasks);
  }
}

/** Mean of all tokens, or the last one. */
function pool(target: Float32Array, { data, tokens, dim }: TokenBatch, index: number, last: boolean): void {
  const first = index * tokens;
  if (last) {
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

async function writeRecords(path: string, records: Float32Array): Promise<void> {
  const bytes = new Uint8Array(records.buffer, records.byteOffset, records.byteLength);
  await writeAtomically(path, async (file) => {
    await file.writeFile(bytes);
    await file.writeFile(createHash('sha256').update(bytes).digest());
  });
}

/** Opens a file of records and verifies its checksum, once. */
async function openChecked(path: string, size: number): Promise<FileHandle> {
  const file = await open(path);
  const hash = createHash('sha256');
  const block = Buffer.alloc(1 << 20);
  let position = 0;
  for (const end = size - CHECK_BYTES; position < end; ) {
    const { bytesRead } = await file.read(block, 0, Math.min(block.length, end - position), position);
    if (bytesRead === 0) break;
    hash.update(block.subarray(0, bytesRead));
    position += bytesRead;
  }
  const check = Buffer.alloc(CHECK_BYTES);
  await file.read(check, 0, CHECK_BYTES, position);
  if (hash.digest().equals(check)) return file;
  await file.close();
  throw damaged(path);
}

function damaged(path: string): DataError {
  return new DataError('ERR_CACHE_DAMAGED', `${path} is damaged. Remove it: it will be computed anew.`);
}
