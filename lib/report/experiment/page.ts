import { median } from '../../diagnose/quantiles.js';
import type { Comparison, ExperimentSummary } from '../../experiment/types.js';
import { type Html, html, trusted } from '../html.js';
import { formatCount, formatSeconds, formatValue, plural } from '../numbers.js';
import { binsPerColour } from '../palette.js';
import { styleSheet } from '../style.js';
import { curveCharts, curveLegend } from './curves.js';
import { dimsTable } from './dims.js';
import { measureTables } from './measures.js';
import { coresetPictures, depthExamples } from './pictures.js';
import type { ExperimentReportInput } from './types.js';
import { conditions, groups, interval, percent, verdictSentence } from './words.js';

/** The whole page of an experiment as one HTML document that fetches nothing. */
export function experimentPage({ summary, examples, coresets }: ExperimentReportInput): string {
  const arms = summary.arms.map(({ name }) => name);
  const colourCount = Math.ceil(Math.max(1, arms.length) / binsPerColour(Math.max(1, arms.length)));
  const compared = groups(summary.comparisons);
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${summary.title}</title>
<style>${trusted(styleSheet(colourCount))}.whisker{stroke:var(--ink)}.zero{stroke:var(--muted);stroke-dasharray:2 2}td,th{overflow-wrap:normal}#retention td,#retention thead th,#measures td{white-space:nowrap}#retention th{padding-right:18px}#retention th[scope=row]{white-space:normal}#retention td{padding-right:18px}#retention thead th{vertical-align:bottom}</style></head>
<body><header><p class="kicker">Experiment report</p><h1>${summary.title}</h1>
${compared.length === 0 ? html`<p class="lead">Nothing was compared.</p>` : compared.map((group) => html`<p class="lead">${verdictSentence(group)}</p>`)}</header>
<main>
<section id="retention"><h2>Retention</h2>
<p class="lead">Retention is metric(full) / metric(subset). Change is against random, paired by draw and training seed; negative is better. Intervals are 95 %.</p>
${compared.map(retentionTable)}</section>
<section id="measures"><h2>Other measures</h2>
<p class="lead">Mean value, and below it retention with its 95 % interval: full / subset, of delta1 to delta3 subset / full. Best is each measure's own best of a run. A subset that is learnt by heart has a low subsetLoss and a high poolLoss. No verdicts: there are too many to test.</p>
${summary.measures.length > 0 ? measureTables(summary.measures) : html`<p class="hint">Nothing else was measured.</p>`}</section>
<section id="curves"><h2>Loss curves</h2>
<p class="lead">Median of an arm's runs; the band goes from the least to the greatest.</p>
${summary.runs.length > 0 ? html`${curveLegend(arms)}${curveCharts(summary.runs, arms)}` : html`<p class="hint">There are no runs.</p>`}</section>
<section id="examples"><h2>Depth predictions</h2>${examples.length > 0 ? depthExamples(examples) : html`<p class="hint">No depth predictions were given.</p>`}</section>
<section id="coresets"><h2>Where coresets and random differ</h2>${coresets.length > 0 ? coresetPictures(coresets) : html`<p class="hint">No pictures of coresets were given.</p>`}</section>
<section id="diagnostics"><h2>Diagnostics</h2>${diagnosticsTable(summary)}${summary.dimsChoices.length > 0 ? dimsTable(summary.dimsChoices) : undefined}</section>
<section id="runs"><h2>Notes and runs</h2>${summary.notes.map((note) => html`<p class="hint">${note}</p>`)}
<p class="hint">${plural(summary.runs.length, 'run')} in ${formatSeconds(summary.seconds)} on ${summary.machine}, ${summary.started} to ${summary.finished}; ${Object.entries(
    summary.versions,
  )
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.</p>
<details><summary>Every run</summary>${runTable(summary)}</details>
<details><summary>Configuration</summary><div class="scroll"><pre>${JSON.stringify(summary.config, null, 2)}</pre></div></details></section>
</main><footer>Made by coregain. This file is complete in itself and fetches nothing.</footer></body></html>
`.text;
}

function headings(names: readonly string[]): Html {
  return html`<thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>`;
}

function retentionTable(group: readonly Comparison[]): Html {
  const bounds = group.flatMap(({ change }) => [change.low, change.high, change.mean]).filter(Number.isFinite);
  const reach = bounds.reduce((most, bound) => Math.max(most, Math.abs(bound)), 0) || 1;
  const p = ({ pHolm }: Comparison) => (Number.isFinite(pHolm) ? pHolm.toFixed(3) : '–');
  return html`<h3>${conditions(group[0]!)}</h3>
${table(group, {
  verdict: ({ verdict }) => verdict,
  retention: ({ retention }) => interval(retention),
  'change vs random': ({ change }) => interval(change),
  '': (row) => whisker(row, reach),
  'p (Holm)': p,
  detectable: ({ detectable }) => percent(detectable),
})}
<details><summary>${group[0]!.metric}, change over images, gap closure</summary>
${table(group, {
  [group[0]!.metric]: ({ value }) => interval(value, formatValue),
  'change over images': ({ changeOverImages }) => interval(changeOverImages),
  'gap closure': ({ gapClosure }) => interval(gapClosure),
})}</details>`;
}

/** One row an arm; few enough columns to be seen without scrolling on a page of 1,200 pixels. */
function table(
  group: readonly Comparison[],
  columns: Readonly<Record<string, (row: Comparison) => string | Html | undefined>>,
): Html {
  return html`<div class="wide"><table>${headings(['arm', ...Object.keys(columns)])}
<tbody>${group.map(
    (
      row,
    ) => html`<tr><th scope="row">${row.arm}</th>${Object.values(columns).map((cell) => html`<td>${cell(row)}</td>`)}</tr>
`,
  )}</tbody></table></div>`;
}

function whisker({ change }: Comparison, reach: number): Html | undefined {
  if (![change.low, change.mean, change.high].every(Number.isFinite)) return undefined;
  const x = (value: number) => (50 + (value / reach) * 46).toFixed(1);
  return html`<svg width="100" height="18" role="img" aria-label="${interval(change)}"><line class="zero" x1="50" x2="50" y1="0" y2="18"/><line class="whisker" x1="${x(change.low)}" x2="${x(change.high)}" y1="9" y2="9"/><circle cx="${x(change.mean)}" cy="9" r="3.5" fill="var(--ink)"/></svg>`;
}

function diagnosticsTable({ diagnostics }: ExperimentSummary): Html {
  if (diagnostics.length === 0) return html`<p class="hint">Nothing was diagnosed.</p>`;
  const names = [...new Set(diagnostics.flatMap((row) => Object.keys(row)))];
  const cell = (value: unknown) =>
    value === undefined
      ? '–'
      : typeof value === 'number'
        ? formatValue(value)
        : typeof value === 'string'
          ? value
          : JSON.stringify(value);
  const middle = (name: string) => {
    const values = diagnostics.map((row) => row[name]).filter((value) => typeof value === 'number');
    return values.length === 0 ? undefined : formatValue(median(values));
  };
  const medians = html`<tfoot><tr>${names.map((name) => html`<td>${name === 'draw' ? 'median' : middle(name)}</td>`)}</tr></tfoot>`;
  return html`<div class="scroll"><table>${headings(names)}<tbody>${diagnostics.map((row) => html`<tr>${names.map((name) => html`<td>${cell(row[name])}</td>`)}</tr>`)}</tbody>${diagnostics.length > 1 ? medians : undefined}</table></div>`;
}

function runTable({ runs }: ExperimentSummary): Html {
  const names = [
    'arm',
    'task',
    'budget',
    'protocol',
    'draw',
    'select seed',
    'train seed',
    'samples',
    'steps',
    'time',
    'best val loss',
    'last val loss',
  ];
  const loss = (value: number | undefined) => (value === undefined ? '–' : formatValue(value));
  return html`<div class="scroll"><table>${headings(names)}<tbody>${runs.map((run) => {
    const cells = [
      run.arm,
      run.task,
      percent(run.budget),
      run.protocol,
      run.draw,
      run.selectSeed,
      run.trainSeed,
      formatCount(run.samples),
      formatCount(run.steps),
      formatSeconds(run.seconds),
      loss(run.curve[run.best]?.valLoss),
      loss(run.curve.at(-1)?.valLoss),
    ];
    return html`<tr>${cells.map((cell) => html`<td>${cell}</td>`)}</tr>`;
  })}</tbody></table></div>`;
}
