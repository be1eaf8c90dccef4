import { createHash } from 'node:crypto';
import { binChart, binTable, gainChart, gainHint } from './charts.js';
import { runSection } from './facts.js';
import { gallerySection, type Shelf } from './gallery.js';
import { type Html, html, trusted } from './html.js';
import { formatCount, formatSeconds, formatShare, plural } from './numbers.js';
import { binsPerColour } from './palette.js';
import { scatterSection } from './scatter.js';
import { SCATTER_SCRIPT } from './scatterScript.js';
import { styleSheet } from './style.js';
import type { Summary } from './summary.js';
import type { Tile } from './thumbnails.js';
import type { ReportInput } from './types.js';

// Nothing may be fetched, and no script may run but the one whose hash is here, whatever slipped past the escaping.
const POLICY = `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-${createHash('sha256').update(SCATTER_SCRIPT).digest('base64')}'`;

/** The whole report as one HTML document. `pictures` is absent where there is nothing to show. */
export function reportPage(
  input: ReportInput,
  summary: Summary,
  pictures: { shelves: readonly Shelf[]; tiles: ReadonlyMap<number, Tile> } | undefined,
): string {
  const { partition } = input.selection;
  const shared = binsPerColour(summary.bins.length);
  const colour = (bin: number) => (bin < 0 ? 'var(--none)' : `var(--b${Math.floor(bin / shared)})`);
  const byGain = sortedByGain(input);
  // The one bin of a strategy that chose the rows itself says nothing.
  const hasBins = byGain || summary.bins.length > 1;
  const parts = [
    ...(hasBins ? [['bins', 'Bins']] : []),
    ...(byGain ? [['gain', 'Gain']] : []),
    ['map', 'Map'],
    ['run', 'How it was made'],
  ];
  if (pictures) parts.unshift(['pictures', 'Pictures']);
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${input.title}: coreset of ${formatCount(summary.chosenCount)}</title>
<link rel="icon" href="data:,">
<style>${trusted(styleSheet(summary.bins.length))}</style>
</head>
<body>
${header(input, summary)}
<nav aria-label="Parts of this report"><ul>${parts.map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
<main>
${pictures ? gallerySection(pictures.shelves, pictures.tiles, summary, colour) : undefined}
${
  hasBins
    ? html`<section id="bins">
<h2>Bins, and what was drawn from them</h2>
<p class="lead">The pale bar is the bin, the solid part is what was drawn from it.${leftOutSentence(summary)}</p>
${binChart(summary, colour)}
${binTable(summary, partition)}
</section>`
    : undefined
}
${
  byGain
    ? html`<section id="gain">
<h2>Gain along the selection order</h2>
<p class="lead">Samples were put into bins one by one, always the one with the highest gain of those left.</p>
${gainChart(partition, colour)}
<p class="hint">${gainHint(input.gain)}</p>
</section>`
    : undefined
}
${scatterSection(input.projection, partition.bins, summary, colour)}
${runSection(input.run, partition.engine)}
</main>
<footer>Made by coregain. This file is complete in itself and fetches nothing.</footer>
<script>${trusted(SCATTER_SCRIPT)}</script>
</body>
</html>
`.text;
}

function header(input: ReportInput, summary: Summary): Html {
  const { rowCount, chosenCount, bins } = summary;
  const seconds = input.run.stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const stats: [string, string][] = [
    ['samples', formatCount(rowCount)],
    ['chosen', formatCount(chosenCount)],
    ['share', formatShare(chosenCount, rowCount)],
    ['bins', formatCount(bins.length)],
    sortedByGain(input)
      ? ['gain', input.gain === 'cosine' ? 'cosine' : 'squared distance']
      : ['strategy', input.selection.partition.engine.name],
    ['seed', String(input.selection.seed)],
    ['time', formatSeconds(seconds)],
  ];
  return html`<header>
<p class="kicker">Coreset report</p>
<h1>${input.title}</h1>
<p class="lead">A coreset is a small part of a data set that is meant to stand in for all of it. This one keeps ${formatCount(chosenCount)} of ${plural(rowCount, 'sample')}. ${howDrawn(summary, input)}</p>
<p class="lead small">${input.encoder ? `${input.encoder.trim()} ` : undefined}Whether training on the coreset does as well as training on everything is not measured here.</p>
<dl class="stats">${stats.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</header>`;
}

/** Whether the rows were put into bins by their gain; another strategy has strata of its own, or only rows that it chose. */
function sortedByGain({ selection }: ReportInput): boolean {
  return ['lazy', 'gram', 'sweep', 'naive'].includes(selection.partition.engine.name);
}

function howDrawn({ bins }: Summary, input: ReportInput): string {
  const { name } = input.selection.partition.engine;
  if (name === 'random') return 'They were drawn at random.';
  if (name === 'kmeans') return `They were drawn from ${plural(bins.length, 'cluster')} in proportion to their sizes.`;
  if (name === 'round-robin') return `They were drawn from ${plural(bins.length, 'group')} in turns.`;
  if (!sortedByGain(input)) return `The strategy ${name} chose them.`;
  const counts = bins.map((bin) => bin.drawn.length);
  const fewest = counts.reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY);
  const most = counts.reduce((greatest, count) => Math.max(greatest, count), 0);
  const drawn = fewest === most ? formatCount(most) : `between ${formatCount(fewest)} and ${formatCount(most)}`;
  if (bins.length === 1) return 'There was a single bin to draw from.';
  return `All samples were sorted into ${plural(bins.length, 'bin')}, roughly from the most ordinary to the most unusual, and ${drawn} were drawn from each, so that the coreset holds the common and the rare alike.`;
}

function leftOutSentence({ leftOut }: Summary): string {
  if (leftOut.size === 0) return '';
  const verb = leftOut.size === 1 ? 'is' : 'are';
  return ` ${plural(leftOut.size, 'sample')} ${verb} in no bin: what was left after dividing the samples evenly was dropped, as configured.`;
}
