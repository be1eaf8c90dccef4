/** What to measure: options -> cells and contestants. */
import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { ConfigError } from '../errors.js';
import { openNpy } from '../formats/npy.js';
import type { JobOptions } from '../progress.js';
import { ENGINES, type Engine, GAINS } from '../select/bins.js';
import type { Gain } from '../select/types.js';
import { KINDS } from './kinds.js';
import type { BaselineName, Cell, Contestant, Kind } from './types.js';

export const BASELINES = ['numpy', 'paper'] as const satisfies readonly BaselineName[];

/** The paper's algorithm holds N x N float32 and more: beyond this it is the machine's memory that is measured. */
export const PAPER_MAX_ROWS = 8192;

export interface BenchOptions extends JobOptions {
  /** An .npy file to measure with; without it, synthetic embeddings. */
  embeddings?: string | undefined;
  /** Synthetic kinds; all if not given. */
  kinds?: readonly Kind[] | undefined;
  /** N; 1000, 2000, 5000, or a quarter, half and all of the rows of `embeddings`. */
  rows?: readonly number[] | undefined;
  /** d of synthetic embeddings; 64, 768. */
  dims?: readonly number[] | undefined;
  /** m; 10. */
  bins?: number | undefined;
  /** `cosine`: the only gain that every contestant knows. */
  gain?: Gain | undefined;
  /** All if not given. */
  engines?: readonly Engine[] | undefined;
  /** Both if not given; an empty list for none. */
  baselines?: readonly BaselineName[] | undefined;
  /** 1 and all of the machine. The paper's algorithm runs on the largest only. */
  threads?: readonly number[] | undefined;
  /** Processes for each contestant and cell; 3. */
  repeats?: number | undefined;
  /** Sweep and numpy are extrapolated where they would take longer; 60 s. */
  limitSeconds?: number | undefined;
  /** Of the synthetic embeddings; 0. */
  seed?: number | undefined;
  /** Interpreter for the baselines; `python3`. */
  python?: string | undefined;
}

export interface Plan {
  readonly cells: readonly Cell[];
  readonly contestants: readonly Contestant[];
  readonly bins: number;
  readonly gain: Gain;
  readonly repeats: number;
  readonly limitSeconds: number;
  readonly seed: number;
  readonly embeddings: string | undefined;
  readonly python: string;
}

/**
 * Checks the options and lists what is to be measured.
 * @throws {ConfigError}, {TypeError} or {RangeError} for bad options; {DataError} for a bad file.
 */
export async function planBench(options: BenchOptions): Promise<Plan> {
  const { embeddings } = options;
  const names = <T extends string>(name: string, given: readonly T[] | undefined, all: readonly T[]) =>
    list(name, given ?? all, (value) => oneOf(name, value, all));
  const counts = (name: string, given: readonly number[], max?: number) =>
    list(name, given, (value) => integer(name, value, 1, max)).sort((a, b) => a - b);

  const threads = counts('threads', options.threads ?? [1, availableParallelism()], 1024);
  const baselines = names('baselines', options.baselines, BASELINES);
  const contestants = [
    ...names('engines', options.engines, ENGINES).flatMap((name) => threads.map((count) => ({ name, threads: count }))),
    // BLAS may be faster on one thread than on two. The paper's algorithm is hardly threaded, and slow enough.
    ...baselines.flatMap((name) =>
      (name === 'paper' ? threads.slice(-1) : threads).map((count) => ({ name, threads: count })),
    ),
  ];
  if (contestants.length === 0) throw outOfRange('engines', 'at least one engine or baseline', 'empty');

  let cells: Cell[];
  if (embeddings === undefined) {
    const rows = counts('rows', options.rows ?? [1000, 2000, 5000], 2 ** 31 - 1);
    const dims = counts('dims', options.dims ?? [64, 768], 2 ** 31 - 1);
    const kinds = names('kinds', options.kinds, KINDS);
    cells = kinds.flatMap((kind) => dims.flatMap((cols) => rows.map((count) => ({ kind, cols, rows: count }))));
  } else {
    if (options.kinds || options.dims) {
      throw new ConfigError(
        'ERR_FLAG_CONFLICT',
        '`--kinds` and `--dims` are for synthetic embeddings, and `--embeddings` takes their place. Leave one of them out.',
      );
    }
    const npy = await openNpy({ path: embeddings });
    await npy.close();
    const fractions = [npy.rows / 4, npy.rows / 2, npy.rows].map(Math.floor).filter((count) => count > 0);
    for (const count of options.rows ?? []) {
      if (count > npy.rows) throw outOfRange('rows', `at most ${npy.rows}, what ${embeddings} has`, count);
    }
    const rows = counts('rows', options.rows ?? fractions, npy.rows);
    cells = rows.map((count) => ({ kind: basename(embeddings), cols: npy.cols, rows: count }));
  }
  if (cells.length === 0) throw outOfRange('kinds, dims and rows', 'at least one each', 'none');

  const limitSeconds = options.limitSeconds ?? 60;
  if (typeof limitSeconds !== 'number') throw wrongType('limitSeconds', 'a number of seconds > 0', limitSeconds);
  if (!(limitSeconds > 0)) throw outOfRange('limitSeconds', 'a number of seconds > 0', limitSeconds);
  return {
    cells,
    contestants,
    bins: integer('bins', options.bins ?? 10, 1, Math.min(...cells.map(({ rows }) => rows))),
    gain: oneOf('gain', options.gain ?? 'cosine', GAINS),
    repeats: integer('repeats', options.repeats ?? 3, 1, 1000),
    limitSeconds,
    seed: integer('seed', options.seed ?? 0, 0),
    embeddings,
    python: options.python ?? 'python3',
  };
}

/** A checked list without doubles. */
function list<T>(name: string, values: readonly T[], check: (value: T) => T): T[] {
  if (!Array.isArray(values)) throw wrongType(name, 'a list', values);
  return [...new Set(values.map(check))];
}
