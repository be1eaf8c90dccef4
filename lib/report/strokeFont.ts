/**
 * Lower-case letters and digits as strokes on a grid where capitals are 10 high and the baseline is y = 10. A picture
 * that is lettered with them looks the same on every machine; a server often has no fonts at all.
 */
const GLYPHS: Record<string, readonly [advance: number, path: string]> = {
  ' ': [4, ''],
  ',': [3, 'M.9 9.7L.2 11.8'],
  0: [8, 'M3 0C5 0 6 2 6 5S5 10 3 10S0 8 0 5S1 0 3 0Z'],
  1: [8, 'M1 1.9L3.6 0V10'],
  2: [8, 'M.4 2.7A2.7 2.7 0 1 1 5 4.7L.3 10H6'],
  3: [8, 'M.5 1.7A2.6 2.4 0 1 1 2.8 4.7A2.7 2.65 0 1 1 .2 8.2'],
  4: [8, 'M4.5 10V0L0 7.2H6.2'],
  5: [8, 'M5.4 0H1.1L.7 4.6A3.05 3.05 0 1 1 .2 8.6'],
  6: [8, 'M4.8 0C1.8 1.4 0 4 0 7a3 3 0 1 0 6 0a3 3 0 1 0-6 0'],
  7: [8, 'M0 0H6L2.2 10'],
  8: [8, 'M3 0a2.4 2.35 0 1 1 0 4.7a2.4 2.35 0 1 1 0-4.7M3 4.7a2.9 2.65 0 1 1 0 5.3a2.9 2.65 0 1 1 0-5.3'],
  9: [8, 'M1.2 10C4.2 8.6 6 6 6 3a3 3 0 1 0-6 0a3 3 0 1 0 6 0'],
  a: [8, 'M6 7a3 3 0 1 1-6 0a3 3 0 1 1 6 0M6 4V10'],
  b: [8, 'M0 0V10M0 7a3 3 0 1 1 6 0a3 3 0 1 1-6 0'],
  c: [7, 'M5.3 5A3 3 0 1 0 5.3 9'],
  d: [8, 'M6 0V10M6 7a3 3 0 1 1-6 0a3 3 0 1 1 6 0'],
  e: [8, 'M.1 7H6A3 3 0 1 0 5.3 9'],
  f: [5.2, 'M4.2.2A2.6 2.6 0 0 0 1.4 2.8V10M0 4H3.8'],
  g: [8, 'M6 7a3 3 0 1 1-6 0a3 3 0 1 1 6 0M6 4V10A3 3 0 0 1 .5 11.6'],
  h: [7.6, 'M0 0V10M0 7A2.8 3 0 0 1 5.6 7V10'],
  i: [2.2, 'M0 4V10M0 1.2V1.3'],
  k: [7, 'M0 0V10M5 4L0 7.6M1.9 6.3L5.2 10'],
  l: [2.2, 'M0 0V10'],
  m: [11, 'M0 4V10M0 6.5A2.25 2.5 0 0 1 4.5 6.5V10M4.5 6.5A2.25 2.5 0 0 1 9 6.5V10'],
  n: [7.6, 'M0 4V10M0 7A2.8 3 0 0 1 5.6 7V10'],
  o: [8, 'M6 7a3 3 0 1 1-6 0a3 3 0 1 1 6 0'],
  p: [8, 'M0 4V13M0 7a3 3 0 1 1 6 0a3 3 0 1 1-6 0'],
  r: [4.8, 'M0 4V10M0 7A3 3 0 0 1 3.4 4.1'],
  s: [
    6.4,
    'M4.4 5.2C4 4.3 3.2 4 2.3 4C1.1 4 .3 4.6 .3 5.5C.3 7.6 4.6 6.4 4.6 8.4C4.6 9.4 3.6 10 2.3 10C1.2 10 .3 9.6 0 8.7',
  ],
  t: [5.6, 'M1.5 1.5V8.2A1.8 1.8 0 0 0 4 9.8M0 4H3.8'],
  u: [7.6, 'M0 4V7A2.8 3 0 0 0 5.6 7M5.6 4V10'],
  v: [7, 'M0 4L2.7 10L5.4 4'],
  w: [10, 'M0 4L2 10L4 4L6 10L8 4'],
};

/** SVG of one line of text with its baseline at y; `size` is the height of a digit in pixels. Unknown characters are left out. */
export function strokeText(text: string, x: number, y: number, size: number, colour: string): string {
  let advance = 0;
  const glyphs = Array.from(text, (character) => {
    const [width, path] = GLYPHS[character] ?? [0, ''];
    const placed = `<path transform="translate(${advance.toFixed(1)})" d="${path}"/>`;
    advance += width;
    return path && placed;
  });
  const place = `translate(${x} ${y}) scale(${size / 10}) translate(0 -10)`;
  return `<g transform="${place}" fill="none" stroke="${colour}" stroke-width="1.15" stroke-linecap="round" stroke-linejoin="round">${glyphs.join('')}</g>`;
}
