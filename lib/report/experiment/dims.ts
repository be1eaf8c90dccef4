import type { DimsChoice } from '../../experiment/types.js';
import { type Html, html } from '../html.js';
import { percent } from './words.js';

/** Which number of dimensions each half of the validation images chose, and what the choice keeps on the other half. */
export function dimsTable(choices: readonly DimsChoice[]): Html {
  const names = ['arms', 'condition', 'chosen', 'retention', 'change vs random', 'the same, chosen on all images'];
  return html`<h3>Number of dimensions</h3>
<p class="hint">Chosen on each half of the validation images, measured on the other half; mean of both.</p>
<div class="scroll"><table><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${choices.map((row) => {
    const { family, task, budget, protocol, retention, change, changeOfBest } = row;
    const condition = `${task}, ${percent(budget)} of the data, ${protocol.replace('-', ' ')}`;
    const chosen = [...new Set(row.chosen)].map((arm) => arm.slice(family.length + 1)).join(' and ');
    return html`<tr><th scope="row">${family}</th><td>${condition}</td><td>${chosen}</td><td>${percent(retention)}</td><td>${percent(change)}</td><td>${percent(changeOfBest)}</td></tr>`;
  })}</tbody></table></div>`;
}
