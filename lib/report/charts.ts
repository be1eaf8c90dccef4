import type { Gain, Partition } from '../select/types.js';
import { type Html, html } from './html.js';
import { formatCount, formatValue, plural } from './numbers.js';
import { niceTicks, PLOT, plot, type Tick } from './plot.js';
import type { Summary } from './summary.js';

/** About as many bins carry their number under the chart. */
const BIN_TICKS = 10;

/** A single bin is a bar, not a wall. */
const WIDEST_BAR = 160;

/** Beyond these bands would be finer than the eye; the line's colours still tell the bins apart. */
const MAX_BANDS = 100;

/** Stretches of the gain curve; each keeps its first, lowest, highest and last gain. */
const MAX_STRETCHES = 1500;

/** Bars: how many rows each bin has (pale) and how many were drawn from it (solid). */
export function binChart({ bins }: Summary, colour: (bin: number) => string): Html {
  const highest = Math.max(1, ...bins.map((bin) => bin.size));
  const step = PLOT.width / bins.length;
  const barWidth = bins.length > 100 ? step : Math.min(step - Math.min(0.22 * step, 14), WIDEST_BAR);
  const bar = (bin: number, count: number, opacity: string) => {
    const height = (count / highest) * PLOT.height;
    return html`<rect x="${((bin + 0.5) * step - barWidth / 2).toFixed(2)}" y="${(PLOT.height - height).toFixed(2)}" width="${barWidth.toFixed(2)}" height="${height.toFixed(2)}" fill="${colour(bin)}"${opacity === '' ? '' : html` opacity="${opacity}"`}/>`;
  };
  return plot({
    marks: html`${bins.map(
      ({ bin, size, drawn }) =>
        html`<g><title>Bin ${bin}: ${formatCount(drawn.length)} of ${formatCount(size)} drawn</title>${bar(bin, size, '0.3')}${bar(bin, drawn.length, '')}</g>
`,
    )}`,
    xTicks: niceTicks(0, bins.length - 1, BIN_TICKS)
      .filter(Number.isInteger)
      .map((bin) => ({ at: (bin + 0.5) / bins.length, text: String(bin) })),
    yTicks: niceTicks(0, highest, 4)
      .filter(Number.isInteger)
      .map((count) => ({ at: count / highest, text: formatCount(count) })),
    xLabel: 'bin',
    yLabel: 'samples',
    description: `Bar chart of the sizes of ${plural(bins.length, 'bin')} and of how many samples were drawn from each. The table below has the numbers.`,
  });
}

/** The same numbers for reading and copying. */
export function binTable({ bins, leftOut }: Summary, partition: Partition): Html {
  const ends = binRuns(partition);
  const gainOf = new Map(ends.map(({ bin, from, to }) => [bin, [partition.gains[from]!, partition.gains[to - 1]!]]));
  return html`<details><summary>The numbers as a table</summary><div class="scroll"><table class="numbers">
<thead><tr><th scope="col">bin</th><th scope="col">samples</th><th scope="col">drawn</th><th scope="col">first gain</th><th scope="col">last gain</th></tr></thead>
<tbody>${bins.map(({ bin, size, drawn }) => {
    const gains = gainOf.get(bin);
    return html`<tr><th scope="row">${bin}</th><td>${formatCount(size)}</td><td>${formatCount(drawn.length)}</td>${[0, 1].map((end) => html`<td>${gains ? formatValue(gains[end]!) : '–'}</td>`)}</tr>
`;
  })}${
    leftOut.size > 0
      ? html`<tr><th scope="row">none</th><td>${formatCount(leftOut.size)}</td><td>${formatCount(leftOut.drawn.length)}</td><td>–</td><td>–</td></tr>`
      : undefined
  }</tbody></table></div></details>`;
}

/** Runs of the selection order that stay in one bin. */
function binRuns({ bins, order }: Partition): { bin: number; from: number; to: number }[] {
  const runs: { bin: number; from: number; to: number }[] = [];
  order.forEach((row, i) => {
    const last = runs.at(-1);
    if (last?.bin === bins[row]) last!.to = i + 1;
    else runs.push({ bin: bins[row]!, from: i, to: i + 1 });
  });
  return runs;
}

/** The gain of each point at the step that chose it, a line for each bin. */
export function gainChart(partition: Partition, colour: (bin: number) => string): Html {
  const { gains, order } = partition;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const gain of gains) {
    low = Math.min(low, gain);
    high = Math.max(high, gain);
  }
  const air = high > low ? 0.04 * (high - low) : Math.abs(gains[0] ?? 0) + 1;
  [low, high] = gains.length > 0 ? [low - air, high + air] : [-1, 1];
  const xOf = (i: number) => ((i + 0.5) / order.length) * PLOT.width;
  const yOf = (gain: number) => (1 - (gain - low) / (high - low)) * PLOT.height;
  const runs = binRuns(partition);
  const stretch = Math.max(1, Math.ceil(order.length / MAX_STRETCHES));
  const marks = runs.map(({ bin, from, to }, i) => {
    const points = outline(gains, from, to, stretch).map((k) => `${xOf(k).toFixed(2)},${yOf(gains[k]!).toFixed(2)}`);
    // A bin of one point has no line to draw: a stroke of no length with round ends is a dot.
    if (points.length === 1) points.push(points[0]!);
    const left = (from / order.length) * PLOT.width;
    const band = { x: left.toFixed(2), width: (((to - from) / order.length) * PLOT.width).toFixed(2) };
    return html`<g><title>Bin ${bin}: ${plural(to - from, 'point')}, gain ${formatValue(gains[from]!)} at first, ${formatValue(gains[to - 1]!)} at last</title><rect class="${i % 2 && runs.length <= MAX_BANDS ? 'band odd' : 'band'}" x="${band.x}" y="0" width="${band.width}" height="${PLOT.height}"/><polyline${points[0] === points[1] ? html` class="dot"` : undefined} points="${points.join(' ')}" stroke="${colour(bin)}"/></g>
`;
  });
  const xTicks: Tick[] = niceTicks(0, order.length, 5)
    .filter(Number.isInteger)
    .map((i) => ({ at: i / Math.max(1, order.length), text: formatCount(i) }));
  return plot({
    marks: html`<g class="curve">${marks}</g>`,
    xTicks,
    yTicks: niceTicks(low, high, 5).map((gain) => ({ at: (gain - low) / (high - low), text: formatValue(gain) })),
    xLabel:
      runs.length > 1 && runs.length <= MAX_BANDS
        ? 'place in the selection order; every other bin is shaded'
        : 'place in the selection order',
    yLabel: 'gain',
    description: `Line chart of the gain over the selection order of ${plural(order.length, 'point')}, one line for each of ${plural(runs.length, 'bin')}. The table of bins has each bin's first and last gain.`,
  });
}

/** Indices that keep the shape of gains[from..to): the ends and extremes of each stretch, ascending. */
function outline(gains: Float64Array, from: number, to: number, stretch: number): number[] {
  const kept = new Set<number>();
  for (let start = from; start < to; start += stretch) {
    const end = Math.min(start + stretch, to);
    let lowest = start;
    let highest = start;
    for (let i = start; i < end; i++) {
      if (gains[i]! < gains[lowest]!) lowest = i;
      if (gains[i]! > gains[highest]!) highest = i;
    }
    for (const i of [start, lowest, highest, end - 1]) kept.add(i);
  }
  return [...kept].sort((a, b) => a - b);
}

/** How to read the gain curve, for each gain. */
export function gainHint(gain: Gain): string {
  const inside =
    gain === 'sqeuclidean'
      ? 'The gain of a point is its summed squared distance to the points already in the bin, minus that to the points not yet taken. Inside a bin it tends to rise, because every step moves a point from the second sum to the first.'
      : 'The gain of a point is its summed similarity to the points not yet taken at the start of the bin, minus twice that to the points already in the bin. Inside a bin it tends to fall, because every step adds to what is subtracted.';
  return `${inside} Each bin starts over with nothing in it and fewer points to compare with, so the curve jumps between bins and its heights are not comparable from bin to bin. It tells how the bins were built, not how useful a sample is for training.`;
}
