/**
 * UMAP: uniform manifold approximation and projection (McInnes, Healy and Melville 2018, arXiv 1802.03426), in the native
 * engine. docs/reduction.md has the formulas.
 */
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { chooseDevice, type EngineDevice, onDevice } from '../device.js';
import { DataError } from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import { readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { native } from '../native.js';
import { runNative } from '../nativeJob.js';
import type { JobOptions } from '../progress.js';
import { sharedData } from '../sharedData.js';

/** Of a point, itself counted, where nothing else is asked for and there are as many. */
const NEIGHBOURS = 15;
const MAX_DIMS = 65536;
/** A placed point takes a fifth of the epochs: it starts near its place, and nothing else moves. */
const PLACING_SHARE = 5;

export const NEIGHBOUR_SEARCHES = ['auto', 'exact', 'nn-descent'] as const;
export type NeighbourSearch = (typeof NEIGHBOUR_SEARCHES)[number];

export interface UmapOptions extends JobOptions {
  /** Number of features of the result, 1..65536; may exceed those of the data. */
  dims: number;
  /** How many points the shape of the data is judged from at each point, itself counted: 2..N - 1; 15 if not given, or N - 1 where there are fewer. More keep the large shape, fewer the detail. */
  neighbours?: number | undefined;
  /**
   * `exact` compares all rows: time grows with N^2. `nn-descent` follows neighbours of neighbours and misses a few. `auto`, if
   * not given: NN-descent from 1,300 rows a neighbour on (19,500 for up to 15) where it finds at least 0.97 of them, else exact.
   * On a device `auto` is exact as long as that takes about a minute, and `nn-descent` stays on the processor.
   */
  neighbourSearch?: NeighbourSearch | undefined;
  /** How near to each other points may lie, 0..1; 0.1 if not given. The distance in the result at which neighbours stop attracting each other. */
  minDist?: number | undefined;
  /** Rounds of gradient descent; 500 up to 10,000 points, else 200, if not given. */
  epochs?: number | undefined;
  /** Of the start and of the points that repel; 0 if not given. */
  seed?: number | undefined;
  /** 0, the default, = all of the machine. The result does not depend on it. */
  threads?: number | undefined;
  /**
   * Where all rows are compared (docs/gpu.md); the layout is the same wherever that is. The rest is the processor's. `auto` if
   * not given.
   */
  device?: EngineDevice | undefined;
}

/** Below this many products of numbers `auto` does not wake a device. */
const WORTHWHILE = 1e11;

/** A fitted layout, as plain data. Arrays are on SharedArrayBuffers. */
export interface UmapModel {
  /** [N, d]: what was laid out; new points find their neighbours here. */
  readonly training: EmbeddingMatrix;
  /** float32 [N, k]: where it lies. */
  readonly points: EmbeddingMatrix;
  readonly neighbours: number;
  /** How the neighbours of the training points were found. */
  readonly neighbourSearch: Exclude<NeighbourSearch, 'auto'>;
  /** The share of them that was found, by a sample of 256 points; 1 where the search was exact. */
  readonly recall: number;
  /** Where they were found: `cpu` or `cuda:N`. */
  readonly device: string;
  readonly minDist: number;
  readonly epochs: number;
  readonly seed: number;
  /** The similarity in the result is 1 / (1 + a x^(2b)) at distance x. */
  readonly a: number;
  readonly b: number;
}

/**
 * Lays out embeddings so that near points stay near. The whole matrix is in memory; nothing of size N x N is. The same
 * bits for a seed, for every number of threads and every SIMD level.
 * @returns the model, and its `points`: float32 [N, dims] on a SharedArrayBuffer.
 * @throws {RangeError} for options; {DataError} `ERR_UMAP_TOO_FEW_ROWS` below 3 points, `ERR_NOT_FINITE` naming the row and
 * column, `ERR_RANGE`, or of the file; {NativeError} `ERR_DEVICE` or
 * `ERR_MEMORY` of a device; rejects with `signal.reason` when aborted.
 */
export async function fit(
  input: Embeddings,
  options: UmapOptions,
): Promise<{ model: UmapModel; matrix: EmbeddingMatrix }> {
  const dims = integer('dims', options.dims, 1, MAX_DIMS);
  const wanted = oneOf('neighbourSearch', options.neighbourSearch ?? 'auto', NEIGHBOUR_SEARCHES);
  const minDist = share('minDist', options.minDist ?? 0.1);
  const seed = integer('seed', options.seed ?? 0, 0);
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  options.signal?.throwIfAborted();
  const source = sourceOf(input);
  const training = await inMemory(input, options.signal);
  const { data, rows, cols } = training;
  if (rows < 3) {
    const points = rows === 1 ? 'one point' : `${rows} points`;
    throw new DataError(
      'ERR_UMAP_TOO_FEW_ROWS',
      `${source} has ${points}: UMAP needs at least three. Use method none, or give it more.`,
    );
  }
  const neighbours = integer('neighbours', options.neighbours ?? Math.min(NEIGHBOURS, rows - 1), 2, rows - 1);
  const epochs = integer('epochs', options.epochs ?? (rows <= 10_000 ? 500 : 200), 1, 1_000_000);

  const out = sharedFloats('float32', rows * dims, `The layout of ${source}`) as Float32Array;
  const shape = { data, rows, cols, dims, neighbours, minDist, epochs, seed, threads, simd: '', out };
  const where = await chooseDevice(options.device ?? 'auto', rows * rows * cols >= WORTHWHILE, options.signal);
  const { result, device: used } = await onDevice(where, (device) => {
    const job = { ...shape, neighbourSearch: wanted, device, control: new Int32Array(new SharedArrayBuffer(8)) };
    return runNative(native().umapFit, job, rows, options, source, 'reduce');
  });
  const { a, b, neighbourSearch, recall } = result;
  const device = result.onDevice ? used : 'cpu';
  const points = { data: out, rows, cols: dims };
  return {
    model: { training, points, neighbours, neighbourSearch, recall, device, minDist, epochs, seed, a, b },
    matrix: points,
  };
}

/**
 * Where new points belong in a fitted layout. Each starts at the mean of its nearest training points, weighted by
 * membership, and descends while these stay; it does not see the other new points.
 * @param input [M, d] of the model's d.
 * @returns float32 [M, dims] on a SharedArrayBuffer.
 * @throws as `fit`.
 */
export async function transform(
  model: UmapModel,
  input: Embeddings,
  options: JobOptions & { threads?: number | undefined; device?: EngineDevice | undefined } = {},
): Promise<EmbeddingMatrix> {
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  options.signal?.throwIfAborted();
  const source = sourceOf(input);
  const { data, rows, cols } = await inMemory(input, options.signal);
  const { training, points, neighbours, minDist, seed, a, b } = model;
  integer('number of features', cols, training.cols, training.cols);
  const dims = points.cols;
  const fitted = {
    fittedData: await sharedData(training, 'The training data of the model', options.signal),
    fittedPoints: await sharedData(points, 'The layout of the model', options.signal),
    fittedRows: training.rows,
  };
  const out = sharedFloats('float32', rows * dims, `The layout of ${source}`) as Float32Array;
  const epochs = Math.ceil(model.epochs / PLACING_SHARE);
  const shape = { data, rows, cols, dims, neighbours, minDist, epochs, seed, threads, simd: '', out, a, b };
  const worthwhile = rows * training.rows * cols >= WORTHWHILE;
  const where = await chooseDevice(options.device ?? 'auto', worthwhile, options.signal);
  await onDevice(where, (device) => {
    const job = { ...shape, ...fitted, device, control: new Int32Array(new SharedArrayBuffer(8)) };
    return runNative(native().umapPlace, job, rows, options, source, 'reduce');
  });
  return { data: out, rows, cols: dims };
}

async function inMemory(input: Embeddings, signal: AbortSignal | undefined): Promise<EmbeddingMatrix> {
  if (onDisk(input)) return readEmbeddings(input, { signal });
  const { rows, cols } = input;
  integer('rows', rows, 1);
  integer('cols', cols, 1);
  integer('data.length', input.data.length, rows * cols, rows * cols);
  return { data: await sharedData(input, 'The embedding matrix', signal), rows, cols };
}

function share(name: string, value: unknown): number {
  if (typeof value !== 'number') throw wrongType(name, 'a number in 0..1', value);
  if (!(value >= 0 && value <= 1)) throw outOfRange(name, 'a number in 0..1', value);
  return value;
}
