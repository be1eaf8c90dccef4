/** Colour changes of the official recipe, as albumentations defines them, in float on the 0..255 scale. */
import type { Random } from '../data/random.js';

/** One change of interleaved RGB, 0..255, in place. */
type Change = (rgb: Float32Array) => void;

/**
 * `A.ColorJitter(brightness=0.1255, contrast=0.4, saturation=[0.5, 1.5], hue=[-0.2, 0.2], p=0.5)`, its four changes in
 * random order, then `A.ToGray(p=0.3)`: the numbers of the official NYU recipe. Albumentations rounds to 8 bits after
 * each change; here only the end of the range is kept.
 */
export function drawColour(rng: Random): Change | undefined {
  const changes: Change[] = [];
  if (rng.uniform(0, 1) < 0.5) {
    const jitter = [
      brightness(rng.uniform(1 - 0.1255, 1 + 0.1255)),
      contrast(rng.uniform(1 - 0.4, 1 + 0.4)),
      saturation(rng.uniform(0.5, 1.5)),
      hue(rng.uniform(-0.2, 0.2)),
    ];
    while (jitter.length > 0) changes.push(...jitter.splice(rng.integer(0, jitter.length - 1), 1));
  }
  if (rng.uniform(0, 1) < 0.3) changes.push(saturation(0));
  if (changes.length === 0) return undefined;
  return (rgb) => {
    for (const change of changes) change(rgb);
  };
}

/** ITU-R 601 luma. */
function grey(rgb: Float32Array, i: number): number {
  return 0.299 * rgb[i]! + 0.587 * rgb[i + 1]! + 0.114 * rgb[i + 2]!;
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, value));
}

export function brightness(factor: number): Change {
  return (rgb) => {
    for (let i = 0; i < rgb.length; i++) rgb[i] = clamp(rgb[i]! * factor);
  };
}

/** Away from or towards the mean grey of the whole image. */
export function contrast(factor: number): Change {
  return (rgb) => {
    let sum = 0;
    for (let i = 0; i < rgb.length; i += 3) sum += grey(rgb, i);
    const mean = sum / (rgb.length / 3);
    for (let i = 0; i < rgb.length; i++) rgb[i] = clamp(mean + (rgb[i]! - mean) * factor);
  };
}

/** Away from or towards the grey of the pixel; 0 makes the image grey. */
export function saturation(factor: number): Change {
  return (rgb) => {
    for (let i = 0; i < rgb.length; i += 3) {
      const middle = grey(rgb, i);
      for (let c = i; c < i + 3; c++) rgb[c] = clamp(middle + (rgb[c]! - middle) * factor);
    }
  };
}

/** Turns the hue of HSV by `turns` of the colour circle. */
export function hue(turns: number): Change {
  return (rgb) => {
    for (let i = 0; i < rgb.length; i += 3) {
      const [r, g, b] = [rgb[i]!, rgb[i + 1]!, rgb[i + 2]!];
      const value = Math.max(r, g, b);
      const chroma = value - Math.min(r, g, b);
      if (chroma === 0) continue;
      // In sixths of the circle.
      const angle = value === r ? (g - b) / chroma : value === g ? 2 + (b - r) / chroma : 4 + (r - g) / chroma;
      for (let c = 0; c < 3; c++) {
        const k = (((5 - 2 * c + angle + 6 * turns) % 6) + 6) % 6;
        rgb[i + c] = value - chroma * Math.max(0, Math.min(k, 4 - k, 1));
      }
    }
  };
}
