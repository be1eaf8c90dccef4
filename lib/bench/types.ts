/** What `bench` measures and reports. The JSON file is a `BenchReport`; see docs/benchmark.md. */
import type { Engine } from '../select/bins.js';
import type { EngineReport, Gain } from '../select/types.js';

/** Synthetic embeddings; see `rowMaker` in kinds.ts. */
export type Kind = 'real' | 'iso' | 'mix' | 'sph';
export type BaselineName = 'numpy' | 'paper';

/** One input: every contestant partitions the same file. */
export interface Cell {
  /** A `Kind`, or the name of the user's file. */
  readonly kind: string;
  /** d, features. */
  readonly cols: number;
  /** N, points. */
  readonly rows: number;
}

/** Who runs, on how many threads. */
export interface Contestant {
  readonly name: Engine | BaselineName;
  readonly threads: number;
}

/** One process that did one partition. Times are of the partition alone, with the data in memory. */
export interface Run {
  /** Wall time. Where `extrapolated` is there, what the whole would have taken. */
  readonly seconds: number;
  /** User and system time of all threads; extrapolated together with `seconds`. */
  readonly cpuSeconds: number;
  /** Largest resident set of the process, its runtime and the input included. */
  readonly peakBytes: number;
  /** Resident set before the input was read: runtime and libraries. */
  readonly baselineBytes: number;
  /** The prefix that was timed instead of the whole run. */
  readonly extrapolated?: { readonly seconds: number; readonly steps: number };
  /** SHA-256 of the order as int64; absent where the run did not end. */
  readonly orderHash?: string;
  /** What the engine says of itself; absent for baselines and runs that did not end. */
  readonly engine?: EngineReport;
  /** Interpreter and libraries of a baseline. */
  readonly version?: string;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** All runs of a contestant in a cell, and what follows from them. Ratios are of medians. */
export interface Result extends Cell, Contestant {
  /** Whether the times are extrapolated from a timed prefix. Such a result enters no exponent. */
  readonly extrapolated: boolean;
  readonly seconds: Spread;
  readonly cpuSeconds: Spread;
  /** float32 [N, d] (or the file's type) in bytes. */
  readonly inputBytes: number;
  readonly peakBytes: number;
  readonly baselineBytes: number;
  readonly peakOverInput: number;
  /** Inner products for each point placed; absent where nothing counted them. */
  readonly dotProductsPerStep?: number;
  /** Time of the sweep on as many threads / this time. */
  readonly speedup?: number;
  /** Whether one of the two times of `speedup` is extrapolated. */
  readonly speedupExtrapolated?: boolean;
  /** dotProducts * d * 4 bytes / seconds / measured bandwidth: an upper estimate, see docs/benchmark.md. */
  readonly rooflineShare?: number;
  /** Baselines: leading steps that agree with the engines' order, of all steps. */
  readonly agreesUpTo?: { readonly step: number; readonly steps: number };
  readonly runs: readonly Run[];
}

/** Slope of log(y) over log(N) by least squares, over measured results only. */
export interface Exponent extends Contestant {
  readonly kind: string;
  readonly cols: number;
  readonly points: number;
  readonly time: number;
  /** Of all inner products of a run; absent for baselines. */
  readonly dotProducts?: number;
}

export interface Machine {
  readonly platform: string;
  readonly processor: string;
  /** Hardware threads that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly simd: string;
  readonly node: string;
  /** 1, 5 and 15 minutes, before the first run. */
  readonly load: readonly number[];
  /** Streaming reads with each number of threads of the run. */
  readonly bandwidth: readonly { readonly threads: number; readonly bytesPerSecond: number }[];
}

export interface BenchReport {
  readonly format: 'coregain-bench';
  /** Raised when a reader of the file would have to change. */
  readonly formatVersion: 1;
  readonly date: string;
  readonly version: string;
  /** Of coregain's own working tree, where it is one; `changed` if sources differ from that commit. */
  readonly commit?: string;
  readonly changed?: boolean;
  readonly machine: Machine;
  readonly settings: {
    readonly embeddings?: string;
    readonly bins: number;
    readonly gain: Gain;
    readonly repeats: number;
    readonly limitSeconds: number;
    readonly seed: number;
  };
  readonly results: readonly Result[];
  readonly exponents: readonly Exponent[];
  /** What was not run on purpose, and why. */
  readonly notes: readonly string[];
  /** What was to run and failed. */
  readonly failures: readonly string[];
}
