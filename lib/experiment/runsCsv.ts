/** Runs as a table for other programs. */
import type { RunResult } from './types.js';

/** A line a run, with the last and the best value of every metric: comma-separated, quoted as in RFC 4180. */
export function runsCsv(runs: readonly RunResult[]): string {
  const names = [...new Set(runs.flatMap(({ curve }) => Object.keys(curve[0]!.metrics)))];
  const head = [
    'key',
    'task',
    'arm',
    'budget',
    'protocol',
    'draw',
    'selectSeed',
    'trainSeed',
    'samples',
    'steps',
    'seconds',
    'trainLoss',
    'valLoss',
  ];
  const columns = [...head, ...names.flatMap((name) => [`${name}.last`, `${name}.best`])];
  const lines = runs.map((run) => {
    const last = run.curve.at(-1)!;
    const best = run.curve[run.best]!;
    const values = [
      run.key,
      run.task,
      run.arm,
      run.budget,
      run.protocol,
      run.draw,
      run.selectSeed,
      run.trainSeed,
      run.samples,
      run.steps,
      run.seconds,
      last.trainLoss,
      last.valLoss,
    ];
    return [...values, ...names.flatMap((name) => [last.metrics[name], best.metrics[name]])].map(quoted).join(',');
  });
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

function quoted(value: unknown): string {
  const text = String(value ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
