/**
 * The pairwise kernels that selection is made of, for use by themselves: on the processor or on a CUDA device, in the
 * precision that is asked for, each with a bound on its error that is known before the first product (docs/kernels.md).
 */
import { isFloat32Array } from 'node:util/types';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { chooseDevice, type EngineDevice, onDevice } from '../device.js';
import { NativeError } from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { type KernelsHandle, type KernelsRowSum, native } from '../native.js';
import { runNative } from '../nativeJob.js';
import type { JobOptions } from '../progress.js';
import { checkMatrix } from '../select/bins.js';
import type { Gain } from '../select/types.js';
import { sharedData } from '../sharedData.js';

export const PRECISIONS = ['fp32', 'tf32', 'bf16', 'int8'] as const;
/** How rows are rounded before they are multiplied. The processor has `fp32` and `int8`. */
export type Precision = (typeof PRECISIONS)[number];

export interface KernelsOptions extends JobOptions {
  /** `fp32` if not given. Fewer bits are faster on a device, and the bounds grow with what rounding loses. */
  precision?: Precision | undefined;
  /** Divides each row by its length first, and rounds it to the type of the matrix; a zero row stays. Cosine gains and facility location need it. */
  normalize?: boolean | undefined;
  /** `auto`, the default, takes the first CUDA device for a matrix of some size, if it passed its trial (docs/gpu.md). */
  device?: EngineDevice | undefined;
  /** 0, the default, = all of the machine. No result depends on it. */
  threads?: number | undefined;
}

/** Rows by number; absent = all. */
export type RowList = Int32Array | readonly number[];

/** A set of rows and its sum, made by `Kernels.sum` and good for those kernels only. */
export interface RowSum {
  /** How many rows it is of. */
  readonly count: number;
}

/** Rows made ready. Calls are queued, one at a time; close them when done. */
export interface Kernels extends AsyncDisposable {
  readonly precision: Precision;
  /** `cpu`, or `cuda:N`. */
  readonly device: string;
  readonly rows: number;
  readonly cols: number;
  /**
   * Squared Euclidean distances of all pairs, float32 [queries, rows] on a SharedArrayBuffer; `bound[q]` is the most that
   * one in row q is off by.
   */
  distances(
    options?: JobOptions & { queries?: RowList | undefined; rows?: RowList | undefined },
  ): Promise<{ squares: Float32Array; bound: Float64Array }>;
  /**
   * The k nearest other rows of each row, nearest first, of equal ones the lower row first: [N, k]. Exact whatever the
   * precision: float64 distances decide, and the bound proves that none is missing.
   */
  nearest(options: JobOptions & { k: number }): Promise<{ rows: Int32Array; distances: Float64Array }>;
  /**
   * The sum of `rows` (absent: all), and of those in `onto`, for `gains` to take instead of a list: a loop that adds one
   * row at a time then reads that row, not all that it has.
   */
  sum(options?: JobOptions & { rows?: RowList | undefined; onto?: RowSum | undefined }): Promise<RowSum>;
  /**
   * The gain of every row (docs/gain.md) where `chosen` of the rows `members` (absent: all, whose sum is kept) are in the
   * bin already. `gain` is `sqeuclidean` if not given. `bound[x]` is the most that `gains[x]` is off by.
   */
  gains(
    options: JobOptions & {
      chosen: RowList | RowSum;
      members?: RowList | RowSum | undefined;
      gain?: Gain | undefined;
    },
  ): Promise<{ gains: Float64Array; bound: Float64Array }>;
  /**
   * Facility-location gains: for each candidate c the sum over all rows v of max(0, s(v, c) - reached[v]), s = 1/2 + cos / 2.
   * `reached` is [N]; absent: 0.
   */
  facilityLocationGains(
    options?: JobOptions & { candidates?: RowList | undefined; reached?: Float32Array | undefined },
  ): Promise<{ gains: Float64Array; bound: Float64Array }>;
  /**
   * Squared distance of each row to its nearest centre, old or new: float32 [N]. `nearest` are those to the old ones; absent:
   * there are none. `farthest` is the row that is farthest from all, the lowest of equal ones: the next centre of k-center.
   * `bound[x]` is the most that a distance of x to one of `centres` is off by; to an older one, what the call with that one said.
   */
  kCenterUpdate(
    options: JobOptions & { centres: RowList; nearest?: Float32Array | undefined },
  ): Promise<{ nearest: Float32Array; bound: Float64Array; farthest: number }>;
  /** Lets queued calls end, then frees the rows. */
  close(): Promise<void>;
}

/** Below this many values `auto` does not wake a device. */
const WORTHWHILE = 4_000_000;

/**
 * Makes rows ready for the kernels: moves them to their mean (unless normalized), rounds them, and puts them on the device.
 *
 * @throws {TypeError} or {RangeError} for options; {DataError} `ERR_NOT_FINITE` or `ERR_RANGE` naming the row; {NativeError}
 * `ERR_PRECISION`, `ERR_DEVICE`, `ERR_MEMORY`; rejects with `signal.reason` when aborted.
 */
export async function openKernels(matrix: EmbeddingMatrix, options: KernelsOptions = {}): Promise<Kernels> {
  checkMatrix(matrix);
  const precision = oneOf('precision', options.precision ?? 'fp32', PRECISIONS);
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  const normalize = options.normalize ?? false;
  const { rows, cols } = matrix;
  options.signal?.throwIfAborted();
  const source = 'The embedding matrix';
  const data = await sharedData(matrix, source, options.signal);
  const chosen = await chooseDevice(options.device ?? 'auto', rows * cols >= WORTHWHILE, options.signal);
  const base = { data, rows, cols, simd: '', threads, normalize, precision };
  const open = (on: number) =>
    runNative(native().kernelsOpen, { ...base, device: on, control: controlWords() }, rows, options, source);
  const opened = await onDevice(chosen, open);
  let handle: KernelsHandle | undefined = opened.result;

  let queue: Promise<unknown> = Promise.resolve();
  /** Runs one call after those before it, whether they succeed or not. */
  const call = <Job extends object, Result>(
    kernel: (
      points: KernelsHandle,
      job: Job & { data: Float32Array | Float64Array; cols: number; control: Int32Array },
    ) => Promise<Result>,
    job: Job,
    total: number,
    jobOptions: JobOptions,
  ): Promise<Result> => {
    const points = handle;
    if (!points) return Promise.reject(closed());
    const run = () => {
      jobOptions.signal?.throwIfAborted();
      const whole = { ...job, data, cols, control: controlWords() };
      return runNative((asked: typeof whole) => kernel(points, asked), whole, total, jobOptions, source);
    };
    const result = queue.then(run, run);
    queue = result.catch(() => {});
    return result;
  };
  const needUnit = (kernel: string) => {
    if (!normalize) throw outOfRange(`normalize (of openKernels, for ${kernel})`, 'true', false);
  };

  /** The rows of each sum, one byte a row, and what the addon makes of them. */
  const sums = new WeakMap<RowSum, { has: Uint8Array; sum: KernelsRowSum }>();
  const partsOf = (name: string, of: RowSum) => {
    const parts = sums.get(of);
    if (!parts) throw wrongType(name, 'a list of rows, or a sum made by these kernels', of);
    return parts;
  };
  const sumOf = async (
    name: string,
    list: RowList | undefined,
    onto: RowSum | undefined,
    asked: JobOptions,
  ): Promise<RowSum> => {
    const added = rowList(name, list, rows);
    const before = onto && partsOf('onto', onto);
    const has = before ? before.has.slice() : new Uint8Array(rows);
    for (const row of added ?? has.keys()) {
      if (has[row] === 1) throw outOfRange(name, 'a list that names each row once', `${row} twice`);
      has[row] = 1;
    }
    const sum = await call(native().kernelsSum, { rows: added, onto: before?.sum }, added?.length ?? rows, asked);
    const made: RowSum = Object.freeze({ count: sum.count });
    sums.set(made, { has, sum });
    return made;
  };
  const sumFor = async (name: string, of: RowList | RowSum, asked: JobOptions) =>
    Array.isArray(of) || of instanceof Int32Array ? sumOf(name, of, undefined, asked) : (of as RowSum);
  let all: RowSum | undefined;

  const close = async () => {
    const points = handle;
    handle = undefined;
    await queue;
    if (points) native().kernelsClose(points);
  };
  return {
    precision,
    device: opened.device,
    rows,
    cols,
    async distances(asked = {}) {
      const queries = rowList('queries', asked.queries, rows);
      const others = rowList('rows', asked.rows, rows);
      const count = queries?.length ?? rows;
      const squares = sharedFloats('float32', count * (others?.length ?? rows), 'The distances') as Float32Array;
      if (squares.length === 0) return { squares, bound: new Float64Array(count) };
      const bound = await call(native().kernelsDistances, { queries, rows: others, out: squares }, count, asked);
      return { squares, bound };
    },
    async nearest(asked) {
      const k = integer('k', asked.k, 1, rows - 1);
      return call(native().kernelsNearest, { k }, rows, asked);
    },
    sum: async (asked = {}) => sumOf('rows', asked.rows, asked.onto, asked),
    async gains(asked) {
      const gain = oneOf('gain', asked.gain ?? 'sqeuclidean', ['sqeuclidean', 'cosine'] as const);
      if (gain === 'cosine') needUnit('the cosine gain');
      const { signal } = asked;
      const chosen = partsOf('chosen', await sumFor('chosen', asked.chosen ?? [], { signal }));
      if (!asked.members) all ??= await sumOf('members', undefined, undefined, { signal });
      const members = partsOf('members', await sumFor('members', asked.members ?? all!, { signal }));
      if (asked.members)
        for (let row = 0; row < rows; row++)
          if (chosen.has[row]! > members.has[row]!) throw outOfRange('chosen', 'a list of members', row);
      return call(native().kernelsGains, { chosen: chosen.sum, members: members.sum, gain }, rows, asked);
    },
    async facilityLocationGains(asked = {}) {
      needUnit('facility location');
      const candidates = rowList('candidates', asked.candidates, rows);
      const reached = floats('reached', asked.reached ?? new Float32Array(rows), rows);
      return call(native().kernelsCoverage, { candidates, reached }, candidates?.length ?? rows, asked);
    },
    async kCenterUpdate(asked) {
      const centres = rowList('centres', asked.centres, rows) ?? new Int32Array();
      const nearest = floats('nearest', asked.nearest ?? new Float32Array(rows).fill(Infinity), rows);
      return call(native().kernelsCentres, { centres, nearest }, rows, asked);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function controlWords(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(8));
}

function closed(): NativeError {
  return new NativeError('ERR_KERNELS_CLOSED', 'These kernels are closed. Open them again with openKernels.');
}

function rowList(name: string, list: RowList | undefined, rows: number): Int32Array | undefined {
  if (list === undefined) return undefined;
  if (!Array.isArray(list) && !(list instanceof Int32Array)) throw wrongType(name, 'a list of rows', list);
  const out = new Int32Array(list.length);
  for (let i = 0; i < list.length; i++) out[i] = integer(`${name}[${i}]`, list[i], 0, rows - 1);
  return out;
}

function floats(name: string, values: unknown, rows: number): Float32Array {
  if (!isFloat32Array(values)) throw wrongType(name, `a Float32Array of ${rows} numbers`, values);
  integer(`${name}.length`, values.length, rows, rows);
  if (values.some(Number.isNaN)) throw outOfRange(name, 'free of NaN', 'not');
  return values;
}
