import { type Html, html } from './html.js';

/** A tick or label at a fraction 0..1 of an axis. */
export interface Tick {
  readonly at: number;
  readonly text: string;
}

/** The drawing area of a plot, in the units of its SVG. It is stretched to the page; lettering is laid over it in HTML. */
export const PLOT = { width: 1000, height: 300 } as const;

/** Round numbers that split [low, high] into about `count` steps (1, 2 or 5 times a power of ten). */
export function niceTicks(low: number, high: number, count: number): number[] {
  const raw = (high - low) / count;
  if (!(raw > 0) || !Number.isFinite(raw)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step + 0); // + 0: no negative zero
}

/**
 * A plot that keeps its letters legible at every width. `marks` is SVG on a PLOT.width x PLOT.height canvas, y
 * downwards; ticks count from the left and from the bottom.
 */
export function plot(options: {
  marks: Html;
  xTicks: readonly Tick[];
  yTicks: readonly Tick[];
  xLabel: string;
  yLabel: string;
  /** What the plot says, for those who cannot see it. */
  description: string;
}): Html {
  const { width, height } = PLOT;
  const percent = (fraction: number) => `${(100 * fraction).toFixed(3)}%`;
  return html`<figure class="chart"><figcaption class="ylabel">${options.yLabel}</figcaption>
<div class="plot">
<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${options.description}">
${options.yTicks.map(({ at }) => html`<line class="gridline" x1="0" x2="${width}" y1="${((1 - at) * height).toFixed(2)}" y2="${((1 - at) * height).toFixed(2)}"/>`)}
${options.marks}
</svg>
<div class="yticks" aria-hidden="true">${options.yTicks.map(({ at, text }) => html`<span style="bottom:${percent(at)}">${text}</span>`)}</div>
<div class="xticks" aria-hidden="true">${options.xTicks.map(({ at, text }) => html`<span style="left:${percent(at)}">${text}</span>`)}</div>
</div>
<p class="xlabel">${options.xLabel}</p></figure>`;
}
