/** Rates of the pairwise kernels, beside numpy and PyTorch where Python has them (docs/benchmark.md). */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { integer, oneOf } from '../check.js';
import type { EngineDevice } from '../device.js';
import { CoregainError } from '../errors.js';
import { writeNpy } from '../formats/npy.js';
import { type Kernels, openKernels, PRECISIONS, type Precision, type RowSum } from '../kernels/kernels.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { native } from '../native.js';
import type { JobOptions } from '../progress.js';
import { version } from '../version.js';
import { runChild } from './child.js';
import { rowMaker } from './kinds.js';
import { describeCommit, describeMachine } from './machine.js';
import { spreadOf } from './statistics.js';
import type { Machine, Spread } from './types.js';

export const KERNELS = ['distances', 'nearest', 'gains', 'facilityLocationGains', 'kCenterUpdate'] as const;
export type KernelName = (typeof KERNELS)[number];

export interface KernelBenchOptions extends JobOptions {
  /** N; 20,000. */
  rows?: number | undefined;
  /** d; 768. */
  dims?: number | undefined;
  /** Queries of `distances`, candidates of facility location; 1,024, or N where there are fewer. */
  queries?: number | undefined;
  /** Of `nearest`; 15. */
  k?: number | undefined;
  /** All that the device has if not given. */
  precisions?: readonly Precision[] | undefined;
  /** `cpu` if not given. */
  devices?: readonly EngineDevice[] | undefined;
  /** All if not given. */
  kernels?: readonly KernelName[] | undefined;
  /** Timed calls after one that is not; 5. */
  repeats?: number | undefined;
  /** All of the machine if not given. */
  threads?: number | undefined;
  /** Of the embeddings, of kind `real`; 0. */
  seed?: number | undefined;
  /** Interpreter for the baselines, `python3` if not given; false = none. */
  python?: string | false | undefined;
}

/** One kernel of one contestant. Rates are of the median. */
export interface KernelResult {
  readonly kernel: KernelName;
  /** `coregain`, `numpy` or `torch`. */
  readonly name: string;
  readonly precision: string;
  /** `cpu`, `cuda:N`, `cuda`. */
  readonly device: string;
  readonly seconds: Spread;
  /** Multiplications and additions of inner products, two for each element, / second / 1e9. */
  readonly gigaflops: number;
  /** Rounded rows that are read and results that are written, each once, / second / 1e9: what no kernel can avoid. */
  readonly gigabytes: number;
  /** `gigabytes` / what copying memory of that device moves. May exceed 1: caches hold some rows, and reading is cheaper. */
  readonly copyShare?: number;
}

/** Bytes a second that copies of memory read and write, both counted; the best of several rounds. */
export interface CopyRate {
  /** `cpu`, `cuda:N`. */
  readonly device: string;
  readonly bytesPerSecond: number;
}

export interface KernelBenchReport {
  readonly format: 'coregain-kernel-bench';
  readonly formatVersion: 1;
  readonly date: string;
  readonly version: string;
  readonly commit?: string;
  readonly changed?: boolean;
  readonly machine: Machine;
  readonly settings: {
    readonly rows: number;
    readonly dims: number;
    readonly queries: number;
    readonly k: number;
    readonly repeats: number;
    readonly threads: number;
    readonly seed: number;
  };
  readonly copyRates: readonly CopyRate[];
  readonly results: readonly KernelResult[];
  /** What was not run, and why. */
  readonly notes: readonly string[];
}

/** Centres that `kCenterUpdate` takes at a time. */
const CENTRES = 64;
const ELEMENT_BYTES: Record<string, number> = { fp32: 4, tf32: 4, bf16: 2, int8: 1 };
const BASELINES_PY = fileURLToPath(new URL('../../bench/kernel_baselines.py', import.meta.url));

/**
 * Times every kernel on rows that are ready (uploading and rounding are not part of a rate; results coming back are).
 *
 * @throws {TypeError} or {RangeError} for options; rejects with `signal.reason` when aborted.
 */
export async function benchKernels(options: KernelBenchOptions = {}): Promise<KernelBenchReport> {
  const { signal, onProgress } = options;
  const rows = integer('rows', options.rows ?? 20_000, 2, 2 ** 31 - 1);
  const settings = {
    rows,
    dims: integer('dims', options.dims ?? 768, 1),
    queries: integer('queries', options.queries ?? Math.min(1024, rows), 1, rows),
    k: integer('k', options.k ?? Math.min(15, rows - 1), 1, rows - 1),
    repeats: integer('repeats', options.repeats ?? 5, 1),
    threads: integer('threads', options.threads ?? availableParallelism(), 1, 1024),
    seed: integer('seed', options.seed ?? 0, 0),
  };
  const kernels = (options.kernels ?? KERNELS).map((name) => oneOf('kernels', name, KERNELS));
  const precisions = (options.precisions ?? PRECISIONS).map((name) => oneOf('precisions', name, PRECISIONS));
  const devices = options.devices ?? ['cpu'];
  const date = new Date().toISOString();
  const machine = await describeMachine([settings.threads], signal);
  const copyRates: CopyRate[] = [];
  const matrix = embeddings(settings);
  const results: KernelResult[] = [];
  const notes: string[] = [];
  const total = devices.length * precisions.length;
  let done = 0;
  for (const device of devices) {
    for (const precision of precisions) {
      signal?.throwIfAborted();
      try {
        const opened = await openKernels(matrix, {
          ...{ precision, device, threads: settings.threads, normalize: true, signal },
        });
        try {
          if (!copyRates.some((rate) => rate.device === opened.device))
            copyRates.push(await copyRate(opened.device, settings.threads));
          const chosen = await opened.sum({ rows: first(rows >> 2, rows), signal });
          for (const kernel of kernels) {
            const seconds = await timed(() => call(opened, kernel, settings, chosen, signal), settings.repeats);
            const result = { kernel, name: 'coregain', precision, device: opened.device, seconds };
            results.push(rated(result, settings, copyRates));
          }
        } finally {
          await opened.close();
        }
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof CoregainError)) throw error;
        notes.push(`Not run: ${precision} on ${device}: ${error.message}`);
      }
      onProgress?.({ stage: 'bench', done: ++done, total, unit: 'precisions' });
    }
  }
  if (options.python !== false) {
    const folder = await mkdtemp(join(tmpdir(), 'coregain-kernels-'));
    try {
      const input = join(folder, 'X.npy');
      await writeNpy(input, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
      const asked = { ...settings, input, kernels, centres: CENTRES };
      const python = options.python ?? 'python3';
      type Measured = { results: (Omit<KernelResult, 'seconds'> & { seconds: number[] })[]; notes: string[] };
      const found = await runChild<Measured>(python, [BASELINES_PY, JSON.stringify(asked)], { signal });
      for (const { seconds, ...one } of found.results)
        results.push(rated({ ...one, seconds: spreadOf(seconds) }, settings, copyRates));
      notes.push(...found.notes);
    } catch (error) {
      signal?.throwIfAborted();
      notes.push(`Not run: numpy and torch: ${(error as Error).message}`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return {
    ...{ format: 'coregain-kernel-bench', formatVersion: 1, date, version },
    ...(await describeCommit()),
    ...{ machine, settings, copyRates, results, notes },
  };
}

type Settings = KernelBenchReport['settings'];

function embeddings({ rows, dims, seed }: Settings): EmbeddingMatrix {
  const data = new Float32Array(new SharedArrayBuffer(rows * dims * 4));
  const next = rowMaker('real', dims, seed);
  for (let i = 0; i < rows; i++) next(data.subarray(i * dims, (i + 1) * dims));
  return { data, rows, cols: dims };
}

const first = (count: number, rows: number) => Int32Array.from({ length: Math.min(count, rows) }, (_, i) => i);

/** `chosen` is the sum of the first quarter of the rows: `gains` is one product of all rows with a vector. */
function call(
  kernels: Kernels,
  name: KernelName,
  { rows, queries, k }: Settings,
  chosen: RowSum,
  signal: AbortSignal | undefined,
) {
  switch (name) {
    case 'distances':
      return kernels.distances({ queries: first(queries, rows), signal });
    case 'nearest':
      return kernels.nearest({ k, signal });
    case 'gains':
      return kernels.gains({ chosen, signal });
    case 'facilityLocationGains':
      return kernels.facilityLocationGains({ candidates: first(queries, rows), signal });
    case 'kCenterUpdate':
      return kernels.kCenterUpdate({ centres: first(CENTRES, rows), signal });
  }
}

async function copyRate(device: string, threads: number): Promise<CopyRate> {
  const control = new Int32Array(new SharedArrayBuffer(8));
  const index = device === 'cpu' ? -1 : Number(device.slice('cuda:'.length));
  return { device, bytesPerSecond: await native().copyRate({ threads, device: index, control }) };
}

async function timed(work: () => Promise<unknown>, repeats: number): Promise<Spread> {
  await work();
  const seconds: number[] = [];
  for (let round = 0; round < repeats; round++) {
    const start = performance.now();
    await work();
    seconds.push((performance.now() - start) / 1000);
  }
  return spreadOf(seconds);
}

/** Work and traffic of one call; see `KernelResult`. */
export function workOf(kernel: KernelName, precision: string, { rows, dims, queries, k }: Settings) {
  const matrixBytes = rows * dims * (ELEMENT_BYTES[precision] ?? 4);
  const pairs = { distances: queries * rows, nearest: rows * rows, facilityLocationGains: queries * rows };
  const centres = Math.min(CENTRES, rows) * rows;
  const products = { ...pairs, gains: rows, kCenterUpdate: centres }[kernel];
  const written = {
    distances: queries * rows * 4,
    nearest: rows * k * 12,
    gains: rows * 8,
    facilityLocationGains: queries * 8,
    kCenterUpdate: rows * 4,
  }[kernel];
  return { flops: 2 * products * dims, bytes: matrixBytes + written };
}

function rated(
  result: Omit<KernelResult, 'gigaflops' | 'gigabytes'>,
  settings: Settings,
  copyRates: readonly CopyRate[],
): KernelResult {
  const { flops, bytes } = workOf(result.kernel, result.precision, settings);
  const perSecond = bytes / result.seconds.median;
  // PyTorch's device is the first one
  const device = result.device === 'cuda' ? 'cuda:0' : result.device;
  const copied = copyRates.find((rate) => rate.device === device);
  return {
    ...result,
    gigaflops: flops / result.seconds.median / 1e9,
    gigabytes: perSecond / 1e9,
    ...(copied && { copyShare: perSecond / copied.bytesPerSecond }),
  };
}
