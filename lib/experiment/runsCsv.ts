/** Runs as a table for other programs. */
import { isHigherBetter } from './measures.js';
import type { RunResult } from './types.js';

/** A line a run, with the last and the best value of every loss and metric, each at its own best point: comma-separated, quoted as in RFC 4180. */
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
    'trainLoss.best',
    'valLoss',
    'valLoss.best',
    'subsetLoss',
    'poolLoss',
  ];
  const columns = [...head, ...names.flatMap((name) => [`${name}.last`, `${name}.best`])];
  const lines = runs.map((run) => {
    const last = run.curve.at(-1)!;
    const best = (name: string) => {
      const values = run.curve.map(({ metrics }) => metrics[name]!);
      return isHigherBetter(name) ? Math.max(...values) : Math.min(...values);
    };
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
      Math.min(...run.curve.map(({ trainLoss }) => trainLoss)),
      last.valLoss,
      Math.min(...run.curve.map(({ valLoss }) => valLoss)),
      run.subsetLoss,
      run.poolLoss,
    ];
    return [...values, ...names.flatMap((name) => [last.metrics[name], best(name)])].map(quoted).join(',');
  });
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

function quoted(value: unknown): string {
  const text = String(value ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
