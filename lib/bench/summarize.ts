/** From runs to the figures of the tables. */
import { groupBy } from './groupBy.js';
import type { Measurements, Runs } from './schedule.js';
import { exponentOf, spreadOf } from './statistics.js';
import type { Exponent, Machine, Result } from './types.js';

interface Context {
  readonly machine: Machine;
  /** m, the number of bins. */
  readonly bins: number;
  /** 4 for float32 input, 8 for float64. */
  readonly bytesPerValue: number;
}

/** Medians, ratios and shares of every contestant in every cell, in the order of measurement. */
export function summarize(all: Measurements['all'], context: Context): Result[] {
  const results = all.map((entry) => toResult(entry, context));
  return results.map((result) => {
    const sweep = results.find(
      (other) => other.name === 'sweep' && sameCell(other, result) && other.threads === result.threads,
    );
    if (!sweep) return result;
    return {
      ...result,
      speedup: sweep.seconds.median / result.seconds.median,
      speedupExtrapolated: sweep.extrapolated || result.extrapolated,
    };
  });
}

function toResult(entry: Runs, { machine, bins, bytesPerValue }: Context): Result {
  const { kind, cols, rows, name, threads, runs, agreesUpTo } = entry;
  const first = runs[0]!;
  const seconds = spreadOf(runs.map((run) => run.seconds));
  const inputBytes = rows * cols * bytesPerValue;
  const peakBytes = spreadOf(runs.map((run) => run.peakBytes)).max;
  const dotProducts = first.engine && spreadOf(runs.map((run) => run.engine!.dotProducts)).median;
  const bandwidth = machine.bandwidth.find((measured) => measured.threads === threads)!.bytesPerSecond;
  return {
    ...{ kind, cols, rows, name, threads },
    extrapolated: first.extrapolated !== undefined,
    seconds,
    cpuSeconds: spreadOf(runs.map((run) => run.cpuSeconds)),
    inputBytes,
    peakBytes,
    baselineBytes: spreadOf(runs.map((run) => run.baselineBytes)).median,
    peakOverInput: peakBytes / inputBytes,
    ...(dotProducts !== undefined && {
      dotProductsPerStep: dotProducts / (rows - (rows % bins)),
      rooflineShare: (dotProducts * cols * 4) / seconds.median / bandwidth,
    }),
    ...(agreesUpTo && { agreesUpTo }),
    runs,
  };
}

function sameCell(a: Result, b: Result): boolean {
  return a.kind === b.kind && a.cols === b.cols && a.rows === b.rows;
}

/** Growth over N of every contestant with at least two measured N of the same kind and d. */
export function exponents(results: readonly Result[]): Exponent[] {
  const measured = results.filter(({ extrapolated }) => !extrapolated);
  const series = groupBy(measured, ({ kind, cols, name, threads }) => [kind, cols, name, threads]);
  return series.flatMap((group) => {
    const { kind, cols, name, threads } = group[0]!;
    const time = exponentOf(group.map(({ rows, seconds }) => [rows, seconds.median]));
    if (time === undefined) return [];
    const counted = group.filter((result) => result.dotProductsPerStep !== undefined);
    const dotProducts = exponentOf(counted.map((result) => [result.rows, result.dotProductsPerStep! * result.rows]));
    return [
      { kind, cols, name, threads, points: group.length, time, ...(dotProducts !== undefined && { dotProducts }) },
    ];
  });
}
