/** An sRGB colour, 0..255 a channel. */
export type Rgb = readonly [red: number, green: number, blue: number];

/** matplotlib's `plasma` at 0, 0.1, ..., 1: perceptually ordered, also for colour-blind readers. */
const PLASMA: readonly Rgb[] = [
  [13, 8, 135],
  [65, 4, 157],
  [106, 0, 168],
  [143, 13, 164],
  [177, 42, 144],
  [204, 71, 120],
  [225, 100, 98],
  [242, 132, 75],
  [252, 166, 54],
  [252, 206, 37],
  [240, 249, 33],
];

/** The part of the scale that stands out from the page: its yellow end is lost on white, its blue end on black. */
const VISIBLE = { light: [0, 0.76], dark: [0.34, 1] } as const;

/** As many legend entries and colours as one can still tell apart; beyond it neighbouring bins share one. */
const MAX_COLOURS = 20;

/** plasma at `t` in 0..1. */
export function plasma(t: number): Rgb {
  const position = t * (PLASMA.length - 1);
  const low = Math.min(Math.floor(position), PLASMA.length - 2);
  const mix = (channel: 0 | 1 | 2) =>
    Math.round(PLASMA[low]![channel] * (low + 1 - position) + PLASMA[low + 1]![channel] * (position - low));
  return [mix(0), mix(1), mix(2)];
}

/** How many consecutive bins share a colour (1 up to 20 bins). */
export function binsPerColour(binCount: number): number {
  return Math.max(1, Math.ceil(binCount / MAX_COLOURS));
}

/** The colours of a report in the order of the bins: bin b has colour `floor(b / binsPerColour)`. */
export function binColours(binCount: number, theme: 'light' | 'dark'): Rgb[] {
  const count = Math.ceil(binCount / binsPerColour(binCount));
  const [from, to] = VISIBLE[theme];
  return Array.from({ length: count }, (_, i) => plasma(from + (to - from) * (count > 1 ? i / (count - 1) : 0.4)));
}

/** Okabe and Ito's colour-blind-safe categories, behind a dark background for label 0. */
const LABELS: readonly Rgb[] = [
  [44, 49, 58],
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];

/** Label that many data sets use for pixels without a class. */
const VOID_LABEL = 255;

/** The colour of a label id in every mask of every report: listed ones first, then hues a golden angle apart. */
export function labelColour(label: number): Rgb {
  if (label === VOID_LABEL) return [128, 132, 140];
  return LABELS[label] ?? hue((label * 137.508) % 360, 0.35 + 0.25 * (label % 3));
}

/** HSL with saturation 0.6 to sRGB. */
function hue(degrees: number, lightness: number): Rgb {
  const amplitude = 0.6 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const k = (offset + degrees / 30) % 12;
    return Math.round(255 * (lightness - amplitude * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** `#rrggbb`. */
export function hex(colour: Rgb): string {
  return `#${colour.map((channel) => channel.toString(16).padStart(2, '0')).join('')}`;
}
