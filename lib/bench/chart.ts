/** Seconds over N on two logarithmic axes: a power of N is a straight line, and its slope the exponent. */
import { type Html, html } from '../report/html.js';
import { formatCount, formatValue } from '../report/numbers.js';
import { hex, labelColour } from '../report/palette.js';
import { PLOT, plot, type Tick } from '../report/plot.js';
import type { Engine } from '../select/bins.js';
import { groupBy } from './groupBy.js';
import { contestant, duration, growth } from './table.js';
import type { BaselineName, Exponent, Result } from './types.js';

/** Entries of the colour-blind-safe list of the reports; yellow is lost on white. */
const COLOURS: Record<Engine | BaselineName, string> = Object.fromEntries(
  Object.entries({ auto: 7, lazy: 5, gram: 3, sweep: 1, numpy: 2, paper: 6 }).map(([name, at]) => [
    name,
    hex(labelColour(at)),
  ]),
) as Record<Engine | BaselineName, string>;

/** Space around the outermost points, as a share of the axis. */
const AIR = 0.06;
/** Labels nearer than this share of the axis would overlap. */
const LABEL_GAP = 0.07;

/** A chart of one kind and d, with a key that names the exponents. */
export function timeChart(results: readonly Result[], growths: readonly Exponent[]): Html {
  const x = logAxis(results.map(({ rows }) => rows));
  const y = logAxis(results.flatMap(({ seconds }) => [seconds.min, seconds.max]));
  const series = groupBy(results, ({ name, threads }) => [name, threads]).map((points) =>
    points.toSorted((a, b) => a.rows - b.rows),
  );
  const most = Math.max(...results.map(({ threads }) => threads));
  const at = ({ rows, seconds }: Result, value = seconds.median) =>
    `${(x.at(rows) * PLOT.width).toFixed(1)},${((1 - y.at(value)) * PLOT.height).toFixed(1)}`;

  const lines = series.map((points) => {
    const { name, threads } = points[0]!;
    const thin = threads < most ? ' thin' : '';
    const segments = points.slice(1).map((point, i) => {
      const before = points[i]!;
      const guess = point.extrapolated || before.extrapolated ? ' guess' : '';
      return html`<polyline class="line${thin}${guess}" points="${at(before)} ${at(point)}"/>`;
    });
    const marks = points.map((point) => {
      const { min, max, median } = point.seconds;
      // A stroke of no length with round ends is a dot, whatever the page does to the plot.
      const dot = `${at(point)} ${at(point)}`;
      return html`<g><title>${contestant(point)}, N = ${formatCount(point.rows)}: ${point.extrapolated ? 'extrapolated ' : ''}${duration(median)} (${duration(min)} to ${duration(max)})</title><polyline class="spread" points="${at(point, min)} ${at(point, max)}"/><polyline class="point" points="${dot}"/>${point.extrapolated ? html`<polyline class="hole" points="${dot}"/>` : undefined}</g>
`;
    });
    return html`<g class="series" stroke="${COLOURS[name]}">${segments}${marks}</g>
`;
  });
  const key = series.map((points) => {
    const first = points[0]!;
    const exponent = growths.find(({ name, threads }) => name === first.name && threads === first.threads);
    const shown = exponent ? growth(exponent) : 'no exponent: fewer than two measured N';
    return html`<li><i class="stroke${first.threads < most ? ' thin' : ''}" style="background:${COLOURS[first.name]}"></i><b>${contestant(first)}</b> <span>${shown}</span></li>`;
  });

  return html`${plot({
    marks: html`${lines}`,
    xTicks: sparse(
      [...new Set(results.map(({ rows }) => rows))]
        .sort((a, b) => a - b)
        .map((rows) => ({ at: x.at(rows), text: formatCount(rows) })),
    ),
    yTicks: y.decades.map((value) => ({ at: y.at(value), text: `${formatValue(value)} s` })),
    xLabel: 'N, logarithmic',
    yLabel: 'seconds for the whole partition, logarithmic',
    description:
      'Line chart of time over the number of points for each contestant, both logarithmic. The table below has the numbers.',
  })}
<ul class="series-key">${key}</ul>`;
}

interface LogAxis {
  /** Fraction 0..1 of a positive value. */
  at(value: number): number;
  readonly decades: readonly number[];
}

function logAxis(values: readonly number[]): LogAxis {
  const logs = values.map(Math.log10);
  let [low, high] = [Math.min(...logs), Math.max(...logs)];
  if (high - low < 0.02) [low, high] = [low - 0.5, high + 0.5];
  const air = AIR * (high - low);
  [low, high] = [low - air, high + air];
  const first = Math.ceil(low);
  const whole = Array.from({ length: Math.max(0, Math.floor(high) - first + 1) }, (_, i) => 10 ** (first + i));
  // Less than two decades: 1, 2 and 5 of each, so that an axis never stands without a scale.
  const fine = [Math.floor(low), Math.floor(low) + 1, Math.floor(low) + 2].flatMap((power) =>
    [1, 2, 5].map((digit) => digit * 10 ** power),
  );
  const decades =
    whole.length >= 2 ? whole : fine.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return { at: (value) => (Math.log10(value) - low) / (high - low), decades };
}

function sparse(ticks: readonly Tick[]): Tick[] {
  const kept: Tick[] = [];
  for (const tick of ticks) if (kept.length === 0 || tick.at - kept.at(-1)!.at >= LABEL_GAP) kept.push(tick);
  return kept;
}
