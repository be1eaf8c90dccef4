import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { NativeError } from './errors.js';

/** What the addon knows about this machine. */
export interface CpuReport {
  /** SIMD level in use: `amx` | `avx512vnni` | `avx512` | `avx2` | `neon` | `scalar`. */
  simd: string;
  /** Levels that this machine can run, best first. */
  available: string[];
  /** Hardware threads. */
  threads: number;
}

/** A device of `CudaReport`. */
export interface CudaDevice {
  name: string;
  memoryBytes: number;
  l2Bytes: number;
  /** Compute capability: `9.0` for an H100 or H200. */
  capability: string;
  multiprocessors: number;
  /** The newest CUDA that the driver knows: `13.0`. */
  driver: string;
}

/** What the addon's CUDA library finds; it is opened once, when first asked for. */
export interface CudaReport {
  available: boolean;
  /** Why it is not available, a clause; empty where it is. */
  reason: string;
  /** Of the library that was looked for. */
  path: string;
  /** At least one where it is available. */
  devices: CudaDevice[];
}

/** Arguments of `greedyBins`, already validated. See native/node/. */
export interface GreedyJob {
  /** Row-major [rows, cols]; must be on a SharedArrayBuffer, so that no transfer can free it while the job runs. */
  data: Float32Array | Float64Array;
  rows: number;
  cols: number;
  bins: number;
  gain: 'sqeuclidean' | 'cosine';
  remainder: 'spread' | 'drop';
  engine: 'auto' | 'lazy' | 'gram' | 'sweep';
  /** A CUDA device; -1 = the processor. */
  device: number;
  /** Whether the processor may take over where the device cannot: no memory for it, numbers too far apart. */
  fallback: boolean;
  /** 0 = all hardware threads. */
  threads: number;
  /** '' = best available. */
  simd: string;
  /** On a SharedArrayBuffer: [0] JavaScript sets to 1 to cancel, [1] native writes the number of points placed. */
  control: Int32Array;
}

export interface GreedyResult {
  order: Int32Array;
  bins: Int32Array;
  gains: Float64Array;
  name: 'lazy' | 'gram' | 'sweep';
  why: string;
  /** `cpu`, or `cuda:N` and the device's name. */
  device: string;
  simd: string;
  threads: number;
  seconds: number;
  dotProducts: number;
  float64Decisions: number;
  exactDecisions: number;
}

/** Arguments of `renderScenes`, already validated. */
export interface RenderJob {
  /** One array for each scene, as `packScene` of lib/data/scenes.ts makes it; copied before the call returns. */
  scenes: Float64Array[];
  /** Width and height of the images, pixels. */
  size: number;
  /** Leaves `rgb` empty: only labels are wanted. */
  labelsOnly: boolean;
  /** 0 = all hardware threads. */
  threads: number;
}

/** Row-major images of size x size, and what each object of the scene covers in them. */
export interface RenderedScene {
  /** sRGB, 3 bytes for each pixel. */
  rgb: Uint8Array;
  /** Class ids, 0 = background. */
  semseg: Uint8Array;
  /** 1 + index of the object, 0 = background. */
  instance: Uint8Array;
  /** Along the camera's axis, millimetres; 0 = nothing within 65.535 m. */
  depth: Uint16Array;
  /** `box` is left, top, right, bottom, half open. */
  objects: { pixels: number; box: [number, number, number, number] }[];
}

/** One objective of a `MaximizeJob`: `name` as in lib/select/objectives/types.ts, with the parameters that it has. */
export interface ObjectivePart {
  name: string;
  weight: number;
  similarity?: 'cosine' | 'rbf' | undefined;
  /** Absent = the default, which the engine takes from the data. */
  gamma?: number | undefined;
  lambda?: number | undefined;
  eta?: number | undefined;
  nu?: number | undefined;
  ridge?: number | undefined;
  alpha?: number | undefined;
  /** 0 = all. */
  neighbours?: number | undefined;
  concave?: 'sqrt' | 'log' | 'inverse' | undefined;
  /** Query or private set, of the type and width of `data`, on a SharedArrayBuffer. */
  examples?: Float32Array | Float64Array | undefined;
  exampleRows?: number | undefined;
  /** Sparse rows (CSR), and the weights of all columns. */
  offsets?: Int32Array | undefined;
  indices?: Int32Array | undefined;
  values?: Float64Array | undefined;
  weights?: Float64Array | undefined;
}

/** Arguments of `maximize`, already validated. */
export interface MaximizeJob {
  /** Row-major [rows, cols] on a SharedArrayBuffer; absent where every objective has sparse rows. */
  data?: Float32Array | Float64Array | undefined;
  rows: number;
  cols: number;
  parts: ObjectivePart[];
  /** uint8 [rows]: 1 = may be chosen. */
  allowed: Uint8Array;
  /** Chosen first, in this order. */
  initial: Int32Array;
  optimizer: 'naive' | 'lazy' | 'stochastic' | 'bidirectional';
  /** Rows in all. */
  budget: number;
  /** float64 [rows]; then `maxCost` takes the place of `budget`. */
  costs?: Float64Array | undefined;
  maxCost: number;
  seed: number;
  epsilon: number;
  threads: number;
  simd: string;
  /** As in `GreedyJob`; [1] counts chosen rows. */
  control: Int32Array;
}

export interface MaximizeResult {
  rows: Int32Array;
  gains: Float64Array;
  value: number;
  evaluations: number;
  threads: number;
  seconds: number;
  simd: string;
}

/** Arguments of `sieveOpen`, already validated. */
export interface SieveJob {
  objective: 'facility-location' | 'log-determinant';
  similarity: 'cosine' | 'rbf';
  /** Absent = taken from the reference. */
  gamma?: number | undefined;
  ridge: number;
  budget: number;
  epsilon: number;
  threads: number;
  cols: number;
  isDouble: boolean;
  /** Copied; on a SharedArrayBuffer. */
  reference?: Float32Array | Float64Array | undefined;
  referenceRows?: number | undefined;
}

/** A stream in the addon; freed with the value. */
export type SieveHandle = { readonly __sieve: unique symbol };

/** What the strategies of lib/select/strategies/ ask; already validated. */
export interface StrategyJob {
  /** Row-major [rows, cols], on a SharedArrayBuffer. */
  data: Float32Array | Float64Array;
  rows: number;
  cols: number;
  /** 0 = all hardware threads. */
  threads: number;
  /** '' = best available. */
  simd: string;
  /** As for `greedyBins`. */
  control: Int32Array;
}

/** What `umapFit` and `umapPlace` ask; already validated. */
interface UmapShape extends StrategyJob {
  /** float32 [rows, dims], on a SharedArrayBuffer: receives the result. */
  out: Float32Array;
  dims: number;
  neighbours: number;
  minDist: number;
  epochs: number;
  seed: number;
  /** A CUDA device that finds neighbours; -1 = the processor. */
  device: number;
}

export interface UmapJob extends UmapShape {
  neighbourSearch: 'auto' | 'exact' | 'nn-descent';
}

export interface UmapFit {
  a: number;
  b: number;
  neighbourSearch: 'exact' | 'nn-descent';
  recall: number;
  /** Whether the neighbours were found there. */
  onDevice: boolean;
}

/** Rows to place in a layout that was fitted to others. */
export interface UmapPlaceJob extends UmapShape {
  /** Training rows and where they lie, on SharedArrayBuffers. */
  fittedData: Float32Array | Float64Array;
  fittedPoints: Float32Array | Float64Array;
  fittedRows: number;
  a: number;
  b: number;
}

/** What `pcaOpen` asks; already validated. See native/reduce/pca.h. */
export interface PcaFitTask {
  method: 'covariance' | 'gram' | 'krylov';
  rows: number;
  cols: number;
  dims: number;
  seed: number;
  /** Takes the mean to be 0. */
  aboutZero: boolean;
  components: boolean;
  scores: boolean;
  blockColumns: number;
  residentRows: number;
  /** Of `gram`: `pcaFeedColumns` feeds it. */
  byColumns: boolean;
  /** Of `krylov`: the first pass may leave in its rows what they are without the mean of the first ones. */
  overwrite: boolean;
  threads: number;
  simd: string;
  /** A CUDA device for the products; -1 = the processor. */
  device: number;
}

/** A fit in the addon; freed with the value. One call at a time. */
export type PcaHandle = { readonly __pca: unique symbol };

/** Rows first .. of the matrix, float32 or float64 [rows, cols] on a SharedArrayBuffer. */
export interface PcaBlock {
  data: Float32Array | Float64Array;
  rows: number;
  cols: number;
  first: number;
  /** Float32 [dims, cols] on a SharedArrayBuffer: the components come there, where it is given to all jobs. */
  components: Float32Array | undefined;
  /** As for `greedyBins`; [1] counts rows of the block. */
  control: Int32Array;
}

/** Columns from .. from + count of float32 or float64 [N, cols] on a SharedArrayBuffer: columns firstColumn .. of the matrix. */
export interface PcaColumns {
  data: Float32Array | Float64Array;
  cols: number;
  from: number;
  count: number;
  firstColumn: number;
  components: Float32Array | undefined;
  /** [1] counts columns. */
  control: Int32Array;
}

/** Arguments of `pcaTransform`, already validated; all arrays on SharedArrayBuffers. */
export interface PcaTransformJob {
  data: Float32Array | Float64Array;
  rows: number;
  cols: number;
  first: number;
  outputs: number;
  mean: Float64Array;
  /** [outputs, cols]. */
  components: Float32Array;
  /** [outputs]: what each column is multiplied by. */
  scale?: Float64Array | undefined;
  /** [rows, outputs]. */
  out: Float32Array | Float64Array;
  threads: number;
  simd: string;
  /** As of `PcaFitTask`. */
  device: number;
  control: Int32Array;
}

/** What `kernelsOpen` asks; already validated. See native/pairwise/points.h. */
export interface KernelsTask extends StrategyJob {
  normalize: boolean;
  precision: 'fp32' | 'tf32' | 'bf16' | 'int8';
  /** A CUDA device; -1 = the processor. */
  device: number;
}

/** Rounded rows in the addon; freed with the value. One call at a time, with the `data` that it was opened with. */
export type KernelsHandle = { readonly __kernels: unique symbol };

/** What every kernel is given; lists that are absent are all rows. */
interface KernelJob {
  data: Float32Array | Float64Array;
  cols: number;
  control: Int32Array;
}

/** Sums of y, |y|² and |y| over some rows, `y` [cols]. */
export interface KernelsRowSum {
  readonly y: Float64Array;
  readonly square: number;
  readonly radius: number;
  readonly count: number;
}

/** Arguments of `adamStep`, already validated: parameters and moments are changed in place. */
export interface AdamJob {
  /** One entry for each parameter; the four lists are as long as each other, and so are the arrays of a parameter. */
  values: readonly Float32Array[];
  gradients: readonly Float32Array[];
  first: readonly Float32Array[];
  second: readonly Float32Array[];
  /** Learning rate and weight decay of each parameter. */
  rates: Float64Array;
  decays: Float64Array;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** AdamW instead of Adam with an L2 penalty. */
  decoupled: boolean;
  /** 1, 2, ... */
  step: number;
  /** 0 = all hardware threads. */
  threads: number;
}

/** The functions of the C++ addon. Promises reject with `code` `ERR_CANCELLED` when cancelled. */
export interface NativeAddon {
  cpu(): CpuReport;
  /** Takes some tenths of a second the first time on a machine with an NVIDIA driver. */
  cuda(): CudaReport;
  /** Asks the system for large pages under an array that nothing has been written to yet. */
  useLargePages(array: NodeJS.TypedArray): void;
  /**
   * Reads `count` pieces of a file, each `stride` bytes after the one before, one behind the other into `target`. Gives the bytes
   * that there were, fewer where the file ends before. On POSIX systems.
   */
  readPieces(job: {
    file: number;
    offset: number;
    stride: number;
    count: number;
    target: NodeJS.TypedArray;
  }): Promise<number>;
  greedyBins(job: GreedyJob): Promise<GreedyResult>;
  maximize(job: MaximizeJob): Promise<MaximizeResult>;
  sieveOpen(job: SieveJob): SieveHandle;
  /** One at a time; `control` as in `GreedyJob`. */
  sieveFit(
    handle: SieveHandle,
    batch: { data: Float32Array | Float64Array; rows: number; cols: number; control: Int32Array },
  ): Promise<void>;
  sieveBest(handle: SieveHandle): { rows: Float64Array; gains: Float64Array; value: number; sieves: number };
  /** Clusters 0..clusters - 1 and squared distances to their centres. */
  kMeans(
    job: StrategyJob & { clusters: number; maxRounds: number; seed: number },
  ): Promise<{ clusters: Int32Array; distances: Float64Array; rounds: number; converged: boolean }>;
  /** `allowed` is uint8 [rows]; `initial` rows come first. */
  herding(
    job: StrategyJob & { budget: number; allowed: Uint8Array; initial: Int32Array },
  ): Promise<{ rows: Int32Array; scores: Float64Array }>;
  /** Rows within the radius of each row, itself included, and an order in which neighbours are near. */
  density(
    job: StrategyJob & { fraction: number; seed: number },
  ): Promise<{ radiusSquared: number; neighbours: Int32Array; order: Int32Array }>;
  /** Writes a layout of the rows into `out`; gives the parameters of its similarity. */
  umapFit(job: UmapJob): Promise<UmapFit>;
  /** Writes where the rows belong in a fitted layout into `out`. */
  umapPlace(job: UmapPlaceJob): Promise<void>;
  pcaOpen(task: PcaFitTask): PcaHandle;
  /** Where the pass that is due begins; `rows` where none is. */
  pcaFirstRow(handle: PcaHandle): number;
  pcaFeed(handle: PcaHandle, block: PcaBlock): Promise<void>;
  /** All columns in their order, whole 192 at a time but for the last. */
  pcaFeedColumns(handle: PcaHandle, block: PcaColumns): Promise<void>;
  pcaEndPass(handle: PcaHandle, job: { components: Float32Array | undefined; control: Int32Array }): Promise<void>;
  /** After the last pass. */
  pcaFound(handle: PcaHandle): {
    mean: Float64Array;
    variance: Float64Array;
    totalVariance: number;
    rank: number;
    passes: number;
    hasScores: boolean;
  };
  /** Fills scores, if given: float32 or float64 [rows, k] on a SharedArrayBuffer. The fit is gone then. */
  pcaTake(
    handle: PcaHandle,
    job: {
      scores: Float32Array | Float64Array | undefined;
      whiten: boolean;
      control: Int32Array;
    },
  ): Promise<void>;
  pcaTransform(job: PcaTransformJob): Promise<void>;
  /** One step of Adam (arXiv 1412.6980) or AdamW (arXiv 1711.05101); works on the calling thread and returns when done. */
  adamStep(job: AdamJob): void;
  kernelsOpen(task: KernelsTask): Promise<KernelsHandle>;
  /** Frees the rows. */
  kernelsClose(handle: KernelsHandle): void;
  /** Writes float32 [queries, rows] to `out`, on a SharedArrayBuffer; gives the bound of each query. */
  kernelsDistances(
    handle: KernelsHandle,
    job: KernelJob & { queries?: Int32Array | undefined; rows?: Int32Array | undefined; out: Float32Array },
  ): Promise<Float64Array>;
  kernelsNearest(
    handle: KernelsHandle,
    job: KernelJob & { k: number },
  ): Promise<{ rows: Int32Array; distances: Float64Array }>;
  /** Of `rows`, and of what `onto` is the sum of. */
  kernelsSum(
    handle: KernelsHandle,
    job: KernelJob & { rows?: Int32Array | undefined; onto?: KernelsRowSum | undefined },
  ): Promise<KernelsRowSum>;
  kernelsGains(
    handle: KernelsHandle,
    job: KernelJob & { chosen: KernelsRowSum; members: KernelsRowSum; gain: 'sqeuclidean' | 'cosine' },
  ): Promise<{ gains: Float64Array; bound: Float64Array }>;
  /** `reached` is float32 [rows]; copied. */
  kernelsCoverage(
    handle: KernelsHandle,
    job: KernelJob & { candidates?: Int32Array | undefined; reached: Float32Array },
  ): Promise<{ gains: Float64Array; bound: Float64Array }>;
  /** `nearest` is float32 [rows]; copied. */
  kernelsCentres(
    handle: KernelsHandle,
    job: KernelJob & { centres: Int32Array; nearest: Float32Array },
  ): Promise<{ nearest: Float32Array; bound: Float64Array; farthest: number }>;
  /** Bytes a second that copying memory reads and writes, both counted: of the processor where `device` is -1. */
  copyRate(job: { threads: number; device: number; control: Int32Array }): Promise<number>;
  renderScenes(job: RenderJob): Promise<RenderedScene[]>;
}

let loaded: NativeAddon | undefined;

/** Loads the addon once: a prebuilt binary for this platform, else the locally compiled one. */
export function native(): NativeAddon {
  if (loaded) return loaded;
  const require = createRequire(import.meta.url);
  try {
    loaded = require('node-gyp-build')(fileURLToPath(new URL('..', import.meta.url))) as NativeAddon;
  } catch (cause) {
    throw new NativeError(
      'ERR_ADDON_MISSING',
      'The native addon of coregain is not there for this platform. Run `npm rebuild coregain` (needs g++ and cmake).',
      { cause },
    );
  }
  return loaded;
}
