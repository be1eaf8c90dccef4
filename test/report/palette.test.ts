import { expect, it } from 'vitest';
import { binColours, binsPerColour, hex, labelColour, type Rgb } from '#lib/report/palette.js';

/** Relative luminance (WCAG 2, definition). */
function luminance(colour: Rgb): number {
  const [r, g, b] = colour.map((c) => (c <= 10 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

it('gives ordered bins ever lighter colours, so that they keep their order without hue', () => {
  for (const theme of ['light', 'dark'] as const) {
    for (const binCount of [2, 10, 20, 21, 1000]) {
      const values = binColours(binCount, theme).map(luminance);
      expect([...values].sort((a, b) => a - b)).toEqual(values);
      expect(new Set(values).size).toBe(values.length);
    }
  }
});

it('has a colour for the last bin, whatever the number of bins', () => {
  for (const binCount of [1, 2, 19, 20, 21, 50, 999, 1000]) {
    const last = Math.floor((binCount - 1) / binsPerColour(binCount));
    expect(binColours(binCount, 'light')).toHaveLength(last + 1);
    expect(last).toBeLessThan(20);
  }
});

it('gives every label id of a byte and of a word a valid colour, and neighbours different ones', () => {
  for (let label = 0; label < 1000; label++) {
    expect(hex(labelColour(label))).toMatch(/^#[0-9a-f]{6}$/);
    expect(labelColour(label)).not.toEqual(labelColour(label + 1));
  }
  expect(hex(labelColour(65_535))).toMatch(/^#[0-9a-f]{6}$/);
});
