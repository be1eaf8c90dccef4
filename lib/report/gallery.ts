import { type Html, type HtmlValue, html } from './html.js';
import { formatCount, plural } from './numbers.js';
import { hex, labelColour } from './palette.js';
import { spread } from './sample.js';
import type { BinSummary, Summary } from './summary.js';
import type { Tile } from './thumbnails.js';

/** Pictures in a report: enough to see what each bin holds, few enough for a file that can be mailed. */
const MAX_TILES = 240;
const MAX_BINS = 40;
const MAX_TILES_PER_BIN = 12;

/** The samples of one bin that are pictured. */
export interface Shelf {
  readonly bin: BinSummary;
  readonly rows: readonly number[];
}

/**
 * Which chosen rows are pictured: up to 40 bins that something was drawn from and up to 12 rows of each, spread evenly
 * over the bins and over the order within a bin, so that the pictures are not only the first of everything.
 */
export function planShelves(summary: Summary): Shelf[] {
  const filled = [...summary.bins, summary.leftOut].filter((bin) => bin.drawn.length > 0);
  const bins = spread(filled.length, MAX_BINS).map((i) => filled[i]!);
  const perBin = Math.min(MAX_TILES_PER_BIN, Math.floor(MAX_TILES / Math.max(1, bins.length)));
  return bins.map((bin) => ({ bin, rows: spread(bin.drawn.length, perBin).map((i) => bin.drawn[i]!) }));
}

/** The pictures, a shelf for each bin, and the key to the colours of the masks. `colour` is the CSS colour of a bin. */
export function gallerySection(
  shelves: readonly Shelf[],
  tiles: ReadonlyMap<number, Tile>,
  summary: Summary,
  colour: (bin: number) => string,
): Html {
  const filled = summary.bins.filter((bin) => bin.drawn.length > 0).length + (summary.leftOut.drawn.length > 0 ? 1 : 0);
  const labels = [...new Set([...tiles.values()].flatMap((tile) => tile.labels))].sort((a, b) => a - b);
  const withMasks = labels.length > 0;
  return html`<section id="pictures">
<h2>What was chosen</h2>
<p class="lead">Chosen samples of each bin in the order in which they were put there; #n is the place in the bin, counted from 0.${
    withMasks ? ' To the right of each picture is its label mask.' : ''
  } ${shelves.length < filled ? `${plural(shelves.length, 'bin')} of ${formatCount(filled)} shown, evenly spaced.` : ''}</p>
${withMasks ? labelKey(labels) : undefined}
${shelves.map((shelf) => shelfOf(shelf, tiles, summary, colour(shelf.bin.bin)))}
</section>`;
}

function shelfOf({ bin, rows }: Shelf, tiles: ReadonlyMap<number, Tile>, summary: Summary, colour: string): Html {
  const name = bin.bin < 0 ? 'In no bin' : `Bin ${formatCount(bin.bin)}`;
  const shown =
    rows.length < bin.drawn.length ? `${rows.length} of ${formatCount(bin.drawn.length)} shown` : 'all shown';
  return html`<section class="shelf" aria-label="${name}">
<h3><i class="swatch" style="background:${colour}"></i>${name} <small>${formatCount(bin.drawn.length)} drawn of ${formatCount(bin.size)} · ${shown}</small></h3>
<div class="tiles">${rows.map((row) => figureOf(tiles.get(row)!, summary))}</div>
</section>`;
}

function figureOf(tile: Tile, { idOf, ranks }: Summary): Html {
  const id = idOf(tile.row);
  const rank = ranks[tile.row]!;
  return html`<figure data-row="${tile.row}"><div class="pair">${image(tile.rgb, `Image of ${id}`, tile)}${image(
    tile.mask,
    `Label mask of ${id}`,
    tile,
  )}</div><figcaption><span class="id" title="${id}">${id}</span>${
    rank < 0 ? undefined : html`<span class="rank" title="Place in its bin, from 0">#${formatCount(rank)}</span>`
  }</figcaption></figure>
`;
}

function image(webp: Uint8Array | undefined, alt: string, { picture }: Tile): HtmlValue {
  if (!webp) return undefined;
  const source = `data:image/webp;base64,${Buffer.from(webp).toString('base64')}`;
  return html`<img src="${source}" alt="${alt}" width="${picture.width}" height="${picture.height}">`;
}

function labelKey(labels: readonly number[]): Html {
  const shown = labels.slice(0, 40);
  const more = labels.length - shown.length;
  return html`<p class="key"><span>Label</span>${shown.map(
    (label) => html`<span><i class="swatch" style="background:${hex(labelColour(label))}"></i>${label}</span>`,
  )}${more > 0 ? html`<span>and ${more} more</span>` : undefined}</p>`;
}
