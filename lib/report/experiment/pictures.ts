import { encode } from 'fast-png';
import { type Html, html } from '../html.js';
import { formatValue } from '../numbers.js';
import { plasma } from '../palette.js';
import type { CoresetPicture, DepthExample, Thumbnail } from './types.js';
import { percent } from './words.js';

const NO_TRUTH = [128, 128, 128] as const;

/** Each example as a row: image, truth, prediction and error; truth and prediction share one scale. */
export function depthExamples(examples: readonly DepthExample[]): Html {
  return html`${examples.map((example) => {
    const { side, truth, prediction, valid } = example;
    let [low, high, worst] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
    const error = truth.map((value, i) => Math.abs(value - prediction[i]!));
    for (let i = 0; i < truth.length; i++) {
      if (!valid[i]) continue;
      low = Math.min(low, truth[i]!, prediction[i]!);
      high = Math.max(high, truth[i]!, prediction[i]!);
      worst = Math.max(worst, error[i]!);
    }
    const map = (values: Float32Array, from: number, to: number) => colours(values, valid, from, to);
    const shown: [string, Uint8Array][] = [
      ['image', example.rgb],
      ['truth', map(truth, low, high)],
      ['prediction', map(prediction, low, high)],
      [`error, 0 to ${formatValue(worst)}`, map(error, 0, worst)],
    ];
    return html`<h3>${example.rank}: ${example.id} <small>${example.arm}, ${percent(example.budget)}, ${example.protocol.replace('-', ' ')}; RMSE ${formatValue(example.rmse)}; depth from ${formatValue(low)} (dark) to ${formatValue(high)} (light), grey without truth</small></h3>
<div class="tiles">${shown.map(([name, rgb]) => picture({ id: name, rgb, width: side, height: side }))}</div>`;
  })}`;
}

/** What an arm chose and random did not, and the reverse. */
export function coresetPictures(coresets: readonly CoresetPicture[]): Html {
  return html`${coresets.map(
    ({
      arm,
      budget,
      draw,
      onlyHere,
      onlyRandom,
    }) => html`<h3>Only ${arm} <small>${percent(budget)}, draw ${draw}</small></h3>
<div class="tiles">${onlyHere.map(picture)}</div>
<h3>Only random <small>${percent(budget)}, draw ${draw}</small></h3>
<div class="tiles">${onlyRandom.map(picture)}</div>`,
  )}`;
}

function picture({ id, rgb, width, height }: Thumbnail): Html {
  const png = Buffer.from(encode({ width, height, data: rgb, channels: 3 })).toString('base64');
  return html`<figure><div class="pair"><img src="data:image/png;base64,${png}" alt="${id}" width="${width}" height="${height}"></div><figcaption><span class="id" title="${id}">${id}</span></figcaption></figure>`;
}

function colours(values: Float32Array, valid: Uint8Array, low: number, high: number): Uint8Array {
  const rgb = new Uint8Array(3 * values.length);
  values.forEach((value, i) => {
    const t = high > low ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0;
    rgb.set(valid[i] && Number.isFinite(t) ? plasma(t) : NO_TRUTH, 3 * i);
  });
  return rgb;
}
