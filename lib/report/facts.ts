import type { EngineReport } from '../select/types.js';
import { type Html, html } from './html.js';
import { formatCount, formatSeconds } from './numbers.js';
import type { RunFacts } from './types.js';

/** A report is a page to read; `run.json` has everything. */
const MAX_ROWS = 200;
const MAX_VALUE_LENGTH = 400;

/** Nested facts as `a.b.c` and text, in their own order. */
export function flattenFacts(value: unknown, path = ''): [path: string, text: string][] {
  if (value === undefined) return [];
  if (ArrayBuffer.isView(value)) return [[path, `${value.constructor.name} of ${formatCount(value.byteLength)} bytes`]];
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object' || item === null)) {
    return [[path, value.map(String).join(', ')]];
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    return Object.entries(value).flatMap(([key, item]) => flattenFacts(item, path === '' ? key : `${path}.${key}`));
  }
  return [[path, value instanceof Date ? value.toISOString() : String(value)]];
}

/** What ran, with which settings, how long it took. */
export function runSection(run: RunFacts, engine: EngineReport): Html {
  const { config, stages, ...others } = run;
  const total = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  return html`<section id="run">
<h2>How it was made</h2>
<div class="columns">
<div><h3>Time</h3><table class="numbers"><tbody>${stages.map(
    ({ name, seconds }) =>
      html`<tr><th scope="row">${name}</th><td>${formatSeconds(seconds)}</td><td class="muted">${(total > 0 ? (100 * seconds) / total : 0).toFixed(1)}%</td></tr>
`,
  )}<tr class="total"><th scope="row">total</th><td>${formatSeconds(total)}</td><td></td></tr></tbody></table></div>
<div><h3>Selection engine</h3>${factTable([
    ['engine', engine.name],
    ['why', engine.why],
    ['device', engine.device],
    ['instructions', engine.simd],
    ['threads', formatCount(engine.threads)],
    ['seconds', formatSeconds(engine.seconds)],
    ['dot products', formatCount(engine.dotProducts)],
    ['decided in float64', formatCount(engine.float64Decisions)],
    ['decided in exact integers', formatCount(engine.exactDecisions)],
  ])}</div>
</div>
<h3>Configuration</h3>${factTable(flattenFacts(config))}
${Object.keys(others).length > 0 ? html`<h3>Provenance</h3>${factTable(flattenFacts(others))}` : undefined}
</section>`;
}

function factTable(facts: readonly (readonly [string, string])[]): Html {
  const shorten = (text: string) => (text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text);
  const more = facts.length - MAX_ROWS;
  return html`<table class="facts"><tbody>${facts.slice(0, MAX_ROWS).map(
    ([name, text]) => html`<tr><th scope="row">${shorten(name)}</th><td>${shorten(text)}</td></tr>
`,
  )}${more > 0 ? html`<tr><th scope="row">…</th><td>and ${formatCount(more)} more in run.json</td></tr>` : undefined}</tbody></table>`;
}
