/** A bench as one HTML page that fetches nothing. */
import { type Html, html, trusted } from '../report/html.js';
import { formatCount } from '../report/numbers.js';
import { styleSheet } from '../report/style.js';
import { timeChart } from './chart.js';
import { blocks, COLUMNS, cellsOf, EXTRAPOLATED } from './table.js';
import type { BenchReport, Result } from './types.js';

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const RULES = `
.series polyline{fill:none;stroke-linecap:round;vector-effect:non-scaling-stroke}
.series .line{stroke-width:2.2}.series .line.thin{stroke-width:1}
.series .guess{stroke-dasharray:2 6}
.series .spread{stroke-width:5;stroke-opacity:.28;stroke-linecap:butt}
.series .point{stroke-width:8}.series .hole{stroke:var(--page);stroke-width:4}
.series-key{list-style:none;margin:0 0 8px 62px;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(390px,1fr));gap:2px 24px;font-size:13.5px}
.series-key b{font-weight:620}.series-key span{color:var(--muted)}
.stroke{display:inline-block;width:20px;height:3px;border-radius:2px;margin-right:8px;vertical-align:3px;print-color-adjust:exact}
.stroke.thin{height:1px;vertical-align:4px}
main,header,footer{max-width:1240px}
.scroll{max-height:none}
.numbers td,.numbers th{white-space:nowrap;overflow-wrap:normal;padding-right:18px}
.numbers td:last-child,.numbers thead th:last-child{text-align:left}
.numbers .guess td{color:var(--muted)}
@media (max-width:680px){.series-key{margin-left:0;grid-template-columns:1fr}}
`;

export function benchPage(report: BenchReport): string {
  const { settings, machine, version, commit, changed, date } = report;
  const facts: [string, string][] = [
    ['processor', `${machine.processor}, ${machine.cores} threads, ${machine.simd}`],
    ['memory', `${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB`],
    ...machine.bandwidth.map(({ threads, bytesPerSecond }): [string, string] => [
      `streaming read, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      `${(bytesPerSecond / 1e9).toFixed(1)} GB/s`,
    ]),
    ['load before (1, 5, 15 min)', machine.load.map((load) => load.toFixed(2)).join(', ')],
    ['coregain', `${version}${commit ? `, commit ${commit.slice(0, 12)}${changed ? ' with changes' : ''}` : ''}`],
    ['Node', `${machine.node}, ${machine.platform}`],
    ['baselines', report.results.find((result) => result.runs[0]?.version)?.runs[0]?.version ?? 'none'],
    ['limit', `${settings.limitSeconds} s: beyond it sweep and numpy are extrapolated`],
    ['data', settings.embeddings ?? `synthetic, seed ${settings.seed}`],
  ];
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>coregain bench</title>
<link rel="icon" href="data:,">
<style>${trusted(styleSheet(1) + RULES)}</style>
</head>
<body>
<header>
<p class="kicker">Benchmark, ${date.slice(0, 16).replace('T', ' ')} UTC</p>
<h1>Time for a full partition into ${formatCount(settings.bins)} bins</h1>
<p class="lead">Gain ${settings.gain}. Every run is a process of its own, contestants take turns, and every time is the median of ${formatCount(settings.repeats)}. All engine runs on the same data that ended gave the same order. A hollow point with a dashed line, and ~ in the tables, is extrapolated from a timed prefix, not measured.</p>
</header>
<main>
${blocks(report).map(
  ({ kind, cols, results, growths }) => html`<section><h2>${kind}, d = ${formatCount(cols)}</h2>
${timeChart(results, growths)}
${table(results)}
</section>
`,
)}
${remarks('Not run', report.notes)}
${remarks('Failed', report.failures)}
<section><h2>Where it was measured</h2>
<table class="facts"><tbody>${facts.map(([name, text]) => html`<tr><th scope="row">${name}</th><td>${text}</td></tr>`)}</tbody></table>
<p class="hint">Roofline: the share of the streaming bandwidth that would be needed if every inner product read its row as float32 from memory. It is an upper estimate: int8 rows are a quarter of that and cached rows are not read at all, so it may pass 100%. Peak RSS counts the runtime and the input. Order: the first digits of the hash of the order, or how far a baseline in float32 agrees with it.</p>
</section>
</main>
<footer>Made by coregain. This file is complete in itself and fetches nothing.</footer>
</body>
</html>
`.text;
}

function table(results: readonly Result[]): Html {
  const guess = results.some(({ extrapolated }) => extrapolated);
  return html`<div class="scroll"><table class="numbers">
<thead><tr>${COLUMNS.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${results.map((result) => {
    const [name, ...cells] = cellsOf(result);
    return html`<tr${result.extrapolated ? html` class="guess"` : undefined}><th scope="row">${name}</th>${cells.map((text) => html`<td>${text}</td>`)}</tr>
`;
  })}</tbody></table></div>${guess ? html`<p class="hint">${EXTRAPOLATED}</p>` : undefined}`;
}

function remarks(title: string, lines: readonly string[]): Html | undefined {
  if (lines.length === 0) return undefined;
  return html`<section><h2>${title}</h2><ul>${lines.map((line) => html`<li>${line}</li>`)}</ul></section>`;
}
