/**
 * The augmentations of the two training recipes. A view of a sample is a window of its images, mirrored and turned, and a
 * change of colours; all modalities go through the same geometry in one sampling step, so they stay aligned.
 */
import { below, type Words } from '../select/random.js';

/**
 * - `none`: the images squeezed to the square.
 * - `official` (MultiMAE on NYU): a random square as high as the image's shorter side, mirrored half of the time; half of
 *   the time colours jitter (brightness 1 +- 0.1255, contrast 1 +- 0.4, saturation 0.5..1.5, hue +- 0.2 turns; BYOL's), and
 *   three in ten images become grey.
 * - `paper` (CLEVR): squeezed to the square, mirrored along each axis half of the time, turned by 0..90 degrees; what comes
 *   in at the corners is 0, has no valid depth, and the padding label where there is one, else label 0.
 */
export const AUGMENTATIONS = ['none', 'official', 'paper'] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

/** Where an output pixel comes from: its centre (x, y) in 0..1 goes to origin + x right + y down, in source pixels. */
export interface Geometry {
  readonly origin: readonly [number, number];
  readonly right: readonly [number, number];
  readonly down: readonly [number, number];
}

/** One change of colours after the other, on RGB in 0..1. */
export type ColourChange =
  | { readonly kind: 'brightness'; readonly factor: number }
  | { readonly kind: 'contrast'; readonly factor: number }
  | { readonly kind: 'saturation'; readonly factor: number }
  | { readonly kind: 'hue'; readonly turns: number }
  | { readonly kind: 'grey' };

export interface View {
  readonly geometry: Geometry;
  readonly colours: readonly ColourChange[];
}

/** The view that `random` draws of an image of this size. */
export function drawView(recipe: Augmentation, width: number, height: number, random: Words): View {
  const unit = () => random() * 2 ** -32;
  const chance = (probability: number) => unit() < probability;
  const between = (low: number, high: number) => low + (high - low) * unit();
  if (recipe === 'none') return { geometry: window(0, 0, width, height), colours: [] };
  if (recipe === 'paper') {
    let geometry = window(0, 0, width, height);
    if (chance(0.5)) geometry = mirrored(geometry, 'right');
    if (chance(0.5)) geometry = mirrored(geometry, 'down');
    return { geometry: turned(geometry, (between(0, 90) * Math.PI) / 180), colours: [] };
  }
  const side = Math.min(width, height);
  const flip = chance(0.5);
  const jitter = chance(0.5);
  const colours: ColourChange[] = jitter
    ? shuffled(
        [
          { kind: 'brightness', factor: between(1 - 0.1255, 1 + 0.1255) },
          { kind: 'contrast', factor: between(0.6, 1.4) },
          { kind: 'saturation', factor: between(0.5, 1.5) },
          { kind: 'hue', turns: between(-0.2, 0.2) },
        ],
        random,
      )
    : [];
  if (chance(0.3)) colours.push({ kind: 'grey' });
  const left = below(random, width - side + 1);
  const square = window(left, below(random, height - side + 1), side, side);
  return { geometry: flip ? mirrored(square, 'right') : square, colours };
}

function window(left: number, top: number, width: number, height: number): Geometry {
  return { origin: [left, top], right: [width, 0], down: [0, height] };
}

function mirrored({ origin, right, down }: Geometry, axis: 'right' | 'down'): Geometry {
  const along = axis === 'right' ? right : down;
  const back = [-along[0], -along[1]] as const;
  const start = [origin[0] + along[0], origin[1] + along[1]] as const;
  return axis === 'right' ? { origin: start, right: back, down } : { origin: start, right, down: back };
}

/** Turns the output about its centre, counter-clockwise. */
function turned({ origin, right, down }: Geometry, angle: number): Geometry {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const mix = (a: readonly [number, number], b: readonly [number, number], x: number, y: number) =>
    [a[0] * x + b[0] * y, a[1] * x + b[1] * y] as const;
  const across = mix(right, down, c, s);
  const along = mix(right, down, -s, c);
  const centre = [origin[0] + (right[0] + down[0]) / 2, origin[1] + (right[1] + down[1]) / 2] as const;
  return {
    origin: [centre[0] - (across[0] + along[0]) / 2, centre[1] - (across[1] + along[1]) / 2],
    right: across,
    down: along,
  };
}

function shuffled<T>(items: T[], random: Words): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = below(random, i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}

interface Plane {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/**
 * Samples one channel of interleaved `channels` into `out` [side, side]: bilinear with half-pixel centres, the border
 * repeated; `outside` where the centre falls off the image.
 */
export function sampleBilinear(
  { width, height, data }: Plane,
  geometry: Geometry,
  channels: number,
  channel: number,
  side: number,
  outside: number,
  out: Float32Array,
): void {
  eachPixel(geometry, side, (x, y, o) => {
    if (x < 0 || y < 0 || x >= width || y >= height) {
      out[o] = outside;
      return;
    }
    const px = Math.min(Math.max(x - 0.5, 0), width - 1);
    const py = Math.min(Math.max(y - 0.5, 0), height - 1);
    const [x0, y0] = [Math.floor(px), Math.floor(py)];
    const [x1, y1] = [Math.min(x0 + 1, width - 1), Math.min(y0 + 1, height - 1)];
    const at = (u: number, v: number) => data[(v * width + u) * channels + channel]!;
    const upper = at(x0, y0) * (1 - (px - x0)) + at(x1, y0) * (px - x0);
    const lower = at(x0, y1) * (1 - (px - x0)) + at(x1, y1) * (px - x0);
    out[o] = upper * (1 - (py - y0)) + lower * (py - y0);
  });
}

/** The pixel that each centre falls on, `outside` where it falls on none. */
export function sampleNearest(
  { width, height, data }: Plane,
  geometry: Geometry,
  side: number,
  outside: number,
  out: Float32Array | Int32Array,
): void {
  eachPixel(geometry, side, (x, y, o) => {
    const [px, py] = [Math.floor(x), Math.floor(y)];
    out[o] = px < 0 || py < 0 || px >= width || py >= height ? outside : data[py * width + px]!;
  });
}

function eachPixel({ origin, right, down }: Geometry, side: number, visit: (x: number, y: number, o: number) => void) {
  let o = 0;
  for (let row = 0; row < side; row++) {
    const v = (row + 0.5) / side;
    for (let col = 0; col < side; col++) {
      const u = (col + 0.5) / side;
      visit(origin[0] + u * right[0] + v * down[0], origin[1] + u * right[1] + v * down[1], o++);
    }
  }
}

/** Changes the colours of `rgb`, float32 [3, pixels] in 0..1, in place. Luma weights are those of ITU-R BT.601. */
export function changeColours(rgb: Float32Array, changes: readonly ColourChange[]): void {
  const pixels = rgb.length / 3;
  const luma = (i: number) => 0.299 * rgb[i]! + 0.587 * rgb[pixels + i]! + 0.114 * rgb[2 * pixels + i]!;
  const blend = (i: number, with_: number, factor: number) => {
    for (let c = 0; c < 3; c++) {
      const k = c * pixels + i;
      rgb[k] = Math.min(Math.max(factor * rgb[k]! + (1 - factor) * with_, 0), 1);
    }
  };
  for (const change of changes) {
    let mean = 0;
    if (change.kind === 'contrast') for (let i = 0; i < pixels; i++) mean += luma(i) / pixels;
    for (let i = 0; i < pixels; i++) {
      if (change.kind === 'brightness') blend(i, 0, change.factor);
      else if (change.kind === 'contrast') blend(i, mean, change.factor);
      else if (change.kind === 'saturation') blend(i, luma(i), change.factor);
      else if (change.kind === 'grey') blend(i, luma(i), 0);
      else turnHue(rgb, pixels, i, change.turns);
    }
  }
}

/** Turns the hue of one pixel by a fraction of the circle, in HSV. */
function turnHue(rgb: Float32Array, pixels: number, i: number, turns: number): void {
  const [r, g, b] = [rgb[i]!, rgb[pixels + i]!, rgb[2 * pixels + i]!];
  const high = Math.max(r, g, b);
  const chroma = high - Math.min(r, g, b);
  if (chroma === 0) return;
  const sextant = high === r ? (g - b) / chroma : high === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
  const hue = sextant + 6 * turns;
  [5, 3, 1].forEach((offset, c) => {
    const k = (((offset + hue) % 6) + 6) % 6;
    rgb[c * pixels + i] = high - chroma * Math.max(0, Math.min(k, 4 - k, 1));
  });
}
