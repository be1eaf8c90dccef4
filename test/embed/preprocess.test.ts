import { describe, expect, test } from 'vitest';
import { NORMALISATION, writeLabels, writeRgb } from '#lib/embed/preprocess.js';
import { config } from './fakes.js';

const rgb = (width: number, height: number, pixel: (x: number, y: number, c: number) => number) => ({
  width,
  height,
  channels: 3,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) =>
    pixel(Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3),
  ),
});

describe('writeRgb', () => {
  test.each(['paper', 'official'] as const)(
    '%s: equal sizes are copied and normalised, planes in R, G, B order',
    (variant) => {
      const image = rgb(8, 8, (x, y, c) => x * 20 + y * 10 + c);
      const out = new Float32Array(3 * 64);
      writeRgb(image, { ...config, variant }, out, 'x');
      const { mean, std } = NORMALISATION[variant];
      for (let c = 0; c < 3; c++) {
        for (let y = 0; y < 8; y++) {
          for (let x = 0; x < 8; x++) {
            const expected = ((x * 20 + y * 10 + c) / 255 - mean[c]!) / std[c]!;
            expect(out[c * 64 + y * 8 + x]).toBeCloseTo(expected, 5);
          }
        }
      }
    },
  );

  test('bilinear, half-pixel centres, no antialias, edges clamped', () => {
    // Down by 2 from 16 columns: the mean of two neighbours, rows squeezed from 4 up to 8.
    const image = rgb(16, 4, (x, y) => x * 10 + y * 20);
    const out = new Float32Array(3 * 64);
    writeRgb(image, config, out, 'x');
    const { mean, std } = NORMALISATION.paper;
    const value = (x: number, y: number) => (out[y * 8 + x]! * std[0] + mean[0]) * 255;
    for (let x = 0; x < 8; x++) {
      // Source rows of outputs 0..7 are -0.25 (clamped to 0), 0.25, 0.75, 1.25, ..., 3.25 (clamped to 3).
      for (const [y, row] of [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3].entries()) {
        expect(value(x, y)).toBeCloseTo((2 * x + 0.5) * 10 + row * 20, 3);
      }
    }
    // Down by 4: only the two middle pixels of four count (an antialiased filter would take all).
    const wide = rgb(32, 8, (x) => (x % 4 === 0 || x % 4 === 3 ? 255 : 100));
    writeRgb(wide, config, out, 'x');
    expect(value(3, 3)).toBeCloseTo(100, 3);
  });

  test('anything but 8-bit RGB is refused', () => {
    const grey = { width: 8, height: 8, channels: 1, data: new Uint8Array(64) };
    expect(() => writeRgb(grey, config, new Float32Array(192), 'rgb of sample "a" (a.png)')).toThrow(
      /^rgb of sample "a" \(a\.png\) has 1 channel/,
    );
  });
});

describe('writeLabels', () => {
  const labels = (width: number, height: number, data: Uint8Array | Uint16Array) => ({
    width,
    height,
    channels: 1,
    data,
  });

  test('nearest: floor(i * in / out), at image / stride', () => {
    const out = new Int32Array(4);
    const data = Uint8Array.from({ length: 64 }, (_, i) => (i % 8 === 4 ? 3 : 0) + (i >= 32 ? 1 : 0));
    writeLabels(labels(8, 8, data), { ...config, semsegStride: 4 }, out, 'x');
    expect([...out]).toEqual([0, 3, 1, 4]);
  });

  test('the scale is float32, as in torch', () => {
    // In exact arithmetic 41 * 50 / 41 rounds can differ; torch 2: F.interpolate(arange(in), size=out, mode="nearest").
    for (const [from, to] of [
      [480, 56],
      [7, 3],
      [100, 8],
    ] as const) {
      const data = Uint16Array.from({ length: from * from }, (_, i) => i % from);
      const out = new Int32Array(to * to);
      writeLabels(labels(from, from, data), { ...config, image: to, semsegClasses: 1000 }, out, 'x');
      const scale = Math.fround(from / to);
      for (let i = 0; i < to; i++) expect(out[i]).toBe(Math.min(from - 1, Math.floor(Math.fround(i * scale))));
    }
  });

  test('an id without a class is refused, naming sample, pixel and cure; the padding id is one more', () => {
    const data = new Uint8Array(64);
    data[2 * 8 + 6] = 5;
    const write = (padding: boolean) =>
      writeLabels(
        labels(8, 8, data),
        { ...config, semsegPadding: padding },
        new Int32Array(64),
        'semseg of sample "q"',
      );
    expect(() => write(false)).toThrow(
      /semseg of sample "q" has label 5 at x 6, y 2.*classes 0\.\.4\. .*semsegClasses >= 6/,
    );
    expect(() => write(true)).not.toThrow();
    data[2 * 8 + 6] = 6;
    expect(() => write(true)).toThrow(/padding id 5/);
  });
});
