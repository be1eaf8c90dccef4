import { type Html, html, jsonBlock } from './html.js';
import { formatCount } from './numbers.js';
import { binsPerColour } from './palette.js';
import { randomSubset } from './sample.js';
import type { Summary } from './summary.js';

/** Points in the page: what a canvas redraws without a pause and what keeps the file small. Half may be chosen ones. */
const MAX_POINTS = 20_000;

/** Ids are names to point at, not data: a long path is shortened in the middle. */
const MAX_ID_LENGTH = 60;

/** Steps of the picture's coordinates along its longer side. */
const RESOLUTION = 65_535;

interface Shown {
  /** Ascending within the points not chosen, then in selection order. */
  readonly rows: readonly number[];
  readonly note: string;
}

/** The rows that are drawn, the chosen ones last so that they lie on top. */
function shownRows({ rowCount, chosenCount, chosen, bins, leftOut }: Summary): Shown {
  const restCount = rowCount - chosen.reduce((sum, one) => sum + one, 0);
  const inOrder = [...bins, leftOut].flatMap((bin) => bin.drawn);
  const chosenShown = Math.min(chosenCount, Math.max(MAX_POINTS / 2, MAX_POINTS - restCount));
  const restShown = Math.min(restCount, MAX_POINTS - chosenShown);
  const places = randomSubset(inOrder.length, () => true, inOrder.length, chosenShown);
  const rest = randomSubset(rowCount, (row) => chosen[row] === 0, restCount, restShown);
  const all = chosenShown === chosenCount && restShown === restCount;
  return {
    rows: [...rest, ...places.map((i) => inOrder[i]!)],
    note: all
      ? 'Every sample is drawn.'
      : `A random part is drawn to keep this page quick: ${formatCount(chosenShown)} of ${formatCount(chosenCount)} chosen samples and ${formatCount(restShown)} of ${formatCount(restCount)} others.`,
  };
}

const base64 = (array: Uint8Array | Uint16Array | Int32Array): string =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64');

/** Points for the page's script: little-endian arrays, coordinates on one grid for both axes so that distances stay true. */
function encodePoints(rows: readonly number[], projection: Float32Array, binOf: Int32Array, summary: Summary): object {
  const low = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  const high = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const row of rows) {
    for (const axis of [0, 1]) {
      const value = projection[2 * row + axis]!;
      low[axis] = Math.min(low[axis]!, value);
      high[axis] = Math.max(high[axis]!, value);
    }
  }
  const extent = Math.max(high[0]! - low[0]!, high[1]! - low[1]!) || 1;
  const onGrid = (axis: 0 | 1) =>
    base64(Uint16Array.from(rows, (row) => ((projection[2 * row + axis]! - low[axis]!) / extent) * RESOLUTION));
  return {
    x: onGrid(0),
    y: onGrid(1),
    width: (high[0]! - low[0]!) / extent || 0,
    height: (high[1]! - low[1]!) / extent || 0,
    bin: base64(Int32Array.from(rows, (row) => binOf[row]!)),
    rank: base64(Int32Array.from(rows, (row) => summary.ranks[row]!)),
    row: base64(Int32Array.from(rows)),
    chosen: base64(Uint8Array.from(rows, (row) => summary.chosen[row]!)),
    ids: rows.map((row) => shortenId(summary.idOf(row))),
    binsPerColour: binsPerColour(summary.bins.length),
  };
}

function shortenId(id: string): string {
  if (id.length <= MAX_ID_LENGTH) return id;
  const half = MAX_ID_LENGTH / 2;
  return `${id.slice(0, half)}…${id.slice(-half)}`;
}

/** The map of all samples: a canvas, its legend, and the points for the script that draws them. */
export function scatterSection(
  projection: Float32Array,
  bins: Int32Array,
  summary: Summary,
  colour: (bin: number) => string,
): Html {
  const { rows, note } = shownRows(summary);
  return html`<section id="map">
<h2>Where the samples lie</h2>
<p class="lead">Each dot is a sample, placed by the first two principal components of its embedding: the two directions in which the samples differ most, out of many. Near dots are alike in these two; far dots differ. Chosen samples are larger and outlined. ${note}</p>
<div class="legend" role="group" aria-label="Show or hide samples">
<button type="button" data-show="chosen" aria-pressed="true"><i class="dot ring"></i>chosen</button>
<button type="button" data-show="rest" aria-pressed="true"><i class="dot"></i>not chosen</button>
<span class="divider"></span>
${legendOf(summary, colour)}
</div>
<div class="map"><canvas id="scatter" tabindex="0" role="img" aria-label="Scatter plot of ${formatCount(rows.length)} samples on two principal components, coloured by bin. Left and right arrow keys step through the chosen samples." aria-describedby="tip"></canvas>
<div id="tip" role="status" hidden></div>
<span class="axis x" aria-hidden="true">component 1 →</span><span class="axis y" aria-hidden="true">component 2 →</span>
<noscript>This picture is drawn by a script, and scripts are turned off.</noscript></div>
${jsonBlock('points', encodePoints(rows, projection, bins, summary))}
</section>`;
}

function legendOf({ bins, leftOut }: Summary, colour: (bin: number) => string): Html[] {
  const shared = binsPerColour(bins.length);
  const entry = (group: number, name: string, css: string) =>
    html`<button type="button" data-group="${group}" aria-pressed="true"><i class="swatch" style="background:${css}"></i>${name}</button>
`;
  const entries: Html[] = [];
  for (let first = 0; first < bins.length; first += shared) {
    const last = Math.min(first + shared, bins.length) - 1;
    entries.push(entry(first / shared, first === last ? `bin ${first}` : `bins ${first}–${last}`, colour(first)));
  }
  if (leftOut.size > 0) entries.push(entry(-1, 'in no bin', colour(-1)));
  return entries;
}
