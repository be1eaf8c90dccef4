import type { MeasureRow } from '../../experiment/types.js';
import { type Html, html } from '../html.js';
import { formatValue } from '../numbers.js';
import { conditions, groups, interval } from './words.js';

/** Value and retention of everything that no verdict is about: for each condition a folded table, arms by measures. */
export function measureTables(measures: readonly MeasureRow[]): Html {
  return html`${groups(measures).map((group) => {
    const names = [...new Set(group.map(({ measure }) => measure))];
    const arms = [...new Set(group.map(({ arm }) => arm))];
    const cell = (arm: string, measure: string) => {
      const row = group.find((found) => found.arm === arm && found.measure === measure);
      return row ? html`<td>${formatValue(row.value)}<br>${interval(row.retention)}</td>` : html`<td>–</td>`;
    };
    return html`<details><summary>${conditions(group[0]!)}</summary><div class="scroll"><table>
<thead><tr>${['arm', ...names].map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${arms.map((arm) => html`<tr><th scope="row">${arm}</th>${names.map((name) => cell(arm, name))}</tr>`)}</tbody></table></div></details>`;
  })}`;
}
