import sharp from 'sharp';
import type { Shelf } from './gallery.js';
import { formatCount, plural } from './numbers.js';
import { binColours, binsPerColour, hex } from './palette.js';
import { strokeText } from './strokeFont.js';
import type { Summary } from './summary.js';
import type { Tile } from './thumbnails.js';

const MARGIN = 28;
const HEADER = 44;
const LABELS = 132;
const GAP = 6;
const INK = '#1b1d22';
const MUTED = '#656a73';

/** PNG bytes: a row of pictures for each bin, with the bin's number and how many of how many were drawn. */
export function contactSheet(
  shelves: readonly Shelf[],
  tiles: ReadonlyMap<number, Tile>,
  summary: Summary,
): Promise<Uint8Array> {
  const pictures = [...tiles.values()].map((tile) => tile.picture);
  const cellWidth = Math.max(...pictures.map((picture) => picture.width)) + GAP;
  const cellHeight = Math.max(...pictures.map((picture) => picture.height)) + GAP;
  const columns = Math.max(...shelves.map((shelf) => shelf.rows.length));
  const title = `${formatCount(summary.chosenCount)} of ${formatCount(summary.rowCount)} chosen, ${plural(summary.bins.length, 'bin')}`;
  // A coreset of one still needs room for its title.
  const width = Math.max(2 * MARGIN + LABELS + columns * cellWidth - GAP, 2 * MARGIN + title.length * 13);
  const height = 2 * MARGIN + HEADER + shelves.length * cellHeight - GAP;

  const page = new Uint8Array(width * height * 3).fill(255);
  const marks = [strokeText(title, MARGIN, MARGIN + 16, 16, INK)];
  const colours = binColours(summary.bins.length, 'light');
  shelves.forEach(({ bin, rows }, line) => {
    const top = MARGIN + HEADER + line * cellHeight;
    const middle = top + (cellHeight - GAP) / 2;
    const colour = bin.bin < 0 ? MUTED : hex(colours[Math.floor(bin.bin / binsPerColour(summary.bins.length))]!);
    marks.push(
      `<rect x="${MARGIN}" y="${top}" width="5" height="${cellHeight - GAP}" rx="2.5" fill="${colour}"/>`,
      strokeText(bin.bin < 0 ? 'no bin' : `bin ${bin.bin}`, MARGIN + 18, middle - 3, 14, INK),
      strokeText(`${formatCount(bin.drawn.length)} of ${formatCount(bin.size)}`, MARGIN + 18, middle + 17, 10, MUTED),
    );
    rows.forEach((row, column) => {
      const { picture } = tiles.get(row)!;
      const left = MARGIN + LABELS + column * cellWidth;
      for (let y = 0; y < picture.height; y++) {
        const pixels = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
        page.set(pixels, ((top + y) * width + left) * 3);
      }
    });
  });
  const lettering = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${marks.join('')}</svg>`;
  return sharp(page, { raw: { width, height, channels: 3 } })
    .composite([{ input: Buffer.from(lettering) }])
    .removeAlpha()
    .png({ compressionLevel: 9 })
    .toBuffer();
}
