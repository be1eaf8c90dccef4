import type { CurvePoint, RunResult } from '../../experiment/types.js';
import { type Html, html } from '../html.js';
import { formatValue } from '../numbers.js';
import { binsPerColour } from '../palette.js';
import { niceTicks, PLOT, plot } from '../plot.js';
import { percent } from './words.js';

/** Lines differ in their dashes too: colour alone is not for everybody. */
const DASHES = ['none', '7 5', '2 5', '12 4 2 4'];

type Axis = 'step' | 'epoch';
type Loss = 'trainLoss' | 'valLoss';

/** Loss against steps and epochs: a line per arm, the median of its runs, in a band from their least to their greatest. */
export function curveCharts(runs: readonly RunResult[], arms: readonly string[]): Html {
  const conditions = new Map<string, RunResult>();
  for (const run of runs) {
    if (run.arm !== 'full') conditions.set(JSON.stringify([run.task, run.protocol, run.budget]), run);
  }
  if (conditions.size === 0) for (const run of runs) conditions.set(run.task, run);
  return html`${[...conditions.values()].map(({ task, protocol, budget }) => {
    const shown = runs.filter(
      (run) => run.task === task && (run.arm === 'full' || (run.protocol === protocol && run.budget === budget)),
    );
    const chart = (axis: Axis, loss: Loss) => curveChart(shown, arms, axis, loss);
    return html`<h3>${task}, ${percent(budget)} of the data, ${protocol.replace('-', ' ')}</h3>
<div class="columns">${chart('step', 'trainLoss')}${chart('step', 'valLoss')}${chart('epoch', 'trainLoss')}${chart('epoch', 'valLoss')}</div>`;
  })}`;
}

/** The arms' colours and dashes. */
export function curveLegend(arms: readonly string[]): Html {
  return html`<p class="key">${arms.map((arm, i) => html`<span><svg width="34" height="8" aria-hidden="true"><line x1="0" x2="34" y1="4" y2="4" stroke-width="2.2" ${lineStyle(i, arms.length)}/></svg> ${arm}</span>`)}</p>`;
}

function lineStyle(arm: number, count: number): Html {
  return html`stroke="var(--b${Math.floor(arm / binsPerColour(count))})" stroke-dasharray="${DASHES[arm % DASHES.length]}"`;
}

function curveChart(runs: readonly RunResult[], arms: readonly string[], axis: Axis, loss: Loss): Html {
  const lines = arms.map((arm) =>
    spread(
      runs.filter((run) => run.arm === arm),
      axis,
      loss,
    ),
  );
  const points = lines.flat();
  const name = `${loss === 'trainLoss' ? 'training' : 'validation'} loss`;
  if (points.length === 0) return html`<p class="hint">No ${name} was measured.</p>`;
  const right = points.reduce((most, { x }) => Math.max(most, x), 0) || 1;
  const low = points.reduce((least, point) => Math.min(least, point.low), Number.POSITIVE_INFINITY);
  const most = points.reduce((greatest, point) => Math.max(greatest, point.high), Number.NEGATIVE_INFINITY);
  const high = most > low ? most : low + (Math.abs(low) || 1);
  const at = (x: number, y: number) =>
    `${((x / right) * PLOT.width).toFixed(1)},${(((high - y) / (high - low)) * PLOT.height).toFixed(1)}`;
  return plot({
    marks: html`<g class="curve">${lines.map((line, i) => {
      const band = [...line.map(({ x, high }) => at(x, high)), ...line.map(({ x, low }) => at(x, low)).reverse()];
      return html`<g><title>${arms[i]}</title><polygon points="${band.join(' ')}" fill="var(--b${Math.floor(i / binsPerColour(arms.length))})" opacity="0.12"/><polyline points="${line.map(({ x, middle }) => at(x, middle)).join(' ')}" ${lineStyle(i, arms.length)}/></g>`;
    })}</g>`,
    xTicks: niceTicks(0, right, 4).map((x) => ({ at: x / right, text: formatValue(x) })),
    yTicks: niceTicks(low, high, 4).map((y) => ({ at: (y - low) / (high - low), text: formatValue(y) })),
    xLabel: `${axis}s`,
    yLabel: name,
    description: `${name} against ${axis}s of ${arms.join(', ')}.`,
  });
}

function spread(runs: readonly RunResult[], axis: Axis, loss: Loss) {
  const byX = new Map<number, number[]>();
  for (const point of runs.flatMap(({ curve }): readonly CurvePoint[] => curve)) {
    if (Number.isFinite(point[loss])) byX.set(point[axis], [...(byX.get(point[axis]) ?? []), point[loss]]);
  }
  return [...byX]
    .sort(([a], [b]) => a - b)
    .map(([x, values]) => {
      const sorted = values.sort((a, b) => a - b);
      const middle = (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
      return { x, middle, low: sorted[0]!, high: sorted.at(-1)! };
    });
}
