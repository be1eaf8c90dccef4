/** The figures of a bench as text: the words of a row serve the terminal and the page. */
import { formatCount, formatSeconds } from '../report/numbers.js';
import { groupBy } from './groupBy.js';
import type { BenchReport, Exponent, Result } from './types.js';

export const COLUMNS = [
  'contestant',
  'N',
  'wall',
  'min..max',
  'CPU',
  'vs sweep',
  'dots/step',
  'peak RSS',
  'runtime + input',
  '/ input',
  'roofline',
  'order',
] as const;

/** Said wherever a time is marked with it. */
export const EXTRAPOLATED = '~ extrapolated from a timed prefix, not measured';

const NONE = '–';

/** One row, in the order of COLUMNS. Extrapolated figures begin with `~`. */
export function cellsOf(result: Result): string[] {
  const mark = result.extrapolated ? '~' : '';
  const { seconds, cpuSeconds, speedup, dotProductsPerStep, rooflineShare } = result;
  return [
    contestant(result),
    formatCount(result.rows),
    mark + duration(seconds.median),
    `${mark}${duration(seconds.min)}..${mark}${duration(seconds.max)}`,
    mark + duration(cpuSeconds.median),
    speedup === undefined ? NONE : `${result.speedupExtrapolated ? '~' : ''}${digits(speedup)}x`,
    dotProductsPerStep === undefined ? NONE : formatCount(Math.round(dotProductsPerStep)),
    `${mebibytes(result.peakBytes)} MiB`,
    `${mebibytes(result.baselineBytes)} + ${mebibytes(result.inputBytes)}`,
    digits(result.peakOverInput),
    rooflineShare === undefined ? NONE : `${digits(100 * rooflineShare)}%`,
    orderOf(result),
  ];
}

/** `lazy, 2 threads`; for `auto` also what it chose. */
export function contestant({ name, threads, ...rest }: Pick<Result, 'name' | 'threads'> & Partial<Result>): string {
  const ran = name === 'auto' ? rest.runs?.[0]?.engine?.name : undefined;
  return `${name}${ran && ran !== name ? ` (${ran})` : ''}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
}

/** `time N^1.42, dot products N^1.31`. */
export function growth({ time, dotProducts }: Exponent): string {
  return `time N^${time.toFixed(2)}${dotProducts === undefined ? '' : `, dot products N^${dotProducts.toFixed(2)}`}`;
}

/** The results of each kind and d, in the order of measurement. */
export function blocks(report: BenchReport): { kind: string; cols: number; results: Result[]; growths: Exponent[] }[] {
  return groupBy(report.results, ({ kind, cols }) => [kind, cols]).map((results) => {
    const { kind, cols } = results[0]!;
    return {
      ...{ kind, cols, results },
      growths: report.exponents.filter((exponent) => exponent.kind === kind && exponent.cols === cols),
    };
  });
}

/** Everything for a terminal. */
export function benchLines(report: BenchReport): string[] {
  const { machine, settings } = report;
  const lines = [
    `Partition into ${formatCount(settings.bins)} bins, gain ${settings.gain}; median of ${settings.repeats}`,
    `  ${machine.processor}, ${machine.cores} threads, ${machine.simd}; reads ${machine.bandwidth
      .map(({ threads, bytesPerSecond }) => `${digits(bytesPerSecond / 1e9)} GB/s on ${threads}`)
      .join(', ')}`,
  ];
  for (const { kind, cols, results, growths } of blocks(report)) {
    const rows = [[...COLUMNS], ...results.map(cellsOf)];
    const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
    const left = (i: number) => i === 0 || i === COLUMNS.length - 1;
    const line = (row: string[]) =>
      `  ${row.map((text, i) => (left(i) ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  ')}`.trimEnd();
    lines.push('', `${kind}, d = ${formatCount(cols)}`, ...rows.map(line));
    lines.push(...growths.map((exponent) => `  ${contestant(exponent)}: ${growth(exponent)}`));
  }
  if (report.results.some(({ extrapolated }) => extrapolated)) lines.push('', EXTRAPOLATED);
  const remarks = [...report.notes.map((note) => `note: ${note}`), ...report.failures.map((text) => `failed: ${text}`)];
  if (remarks.length > 0) lines.push('', ...remarks);
  return lines;
}

function orderOf({ runs, agreesUpTo }: Result): string {
  if (agreesUpTo) {
    const { step, steps } = agreesUpTo;
    return step === steps ? 'same' : `same up to step ${formatCount(step)} of ${formatCount(steps)}`;
  }
  return runs[0]?.engine ? runs[0].orderHash!.slice(0, 8) : NONE;
}

/** Times in benches go down to milliseconds. */
export function duration(seconds: number): string {
  if (seconds < 0.9995) return `${digits(seconds * 1000)} ms`;
  return formatSeconds(seconds);
}

function mebibytes(bytes: number): string {
  return digits(bytes / 2 ** 20);
}

function digits(value: number): string {
  return value >= 100 ? formatCount(Math.round(value)) : value.toPrecision(value >= 10 ? 3 : 2);
}
