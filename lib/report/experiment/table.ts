import type { ExperimentSummary } from '../../experiment/types.js';
import { formatValue } from '../numbers.js';
import { groups, interval, percent, verdictSentence } from './words.js';

const COLUMNS = ['arm', 'metric', 'retention', 'change vs random (95 %)', 'p (Holm)', 'detectable', 'verdict'] as const;

/** The comparisons of an experiment for a terminal: a verdict in words and a table for each task, protocol and budget. */
export function experimentTable({ title, comparisons, notes }: ExperimentSummary): string[] {
  const lines = [title];
  for (const group of groups(comparisons)) {
    const rows = [
      [...COLUMNS],
      ...group.map((row) => [
        row.arm,
        `${row.metric} ${formatValue(row.value.mean)}`,
        percent(row.retention.mean),
        interval(row.change),
        Number.isFinite(row.pHolm) ? row.pHolm.toFixed(3) : '–',
        percent(row.detectable),
        row.verdict,
      ]),
    ];
    const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
    const left = (i: number) => i === 0 || i === COLUMNS.length - 1;
    const line = (row: string[]) =>
      `  ${row.map((text, i) => (left(i) ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('  ')}`.trimEnd();
    lines.push('', verdictSentence(group), ...rows.map(line));
  }
  if (comparisons.length === 0) lines.push('', 'Nothing was compared.');
  if (notes.length > 0) lines.push('', ...notes.map((note) => `note: ${note}`));
  return lines;
}
