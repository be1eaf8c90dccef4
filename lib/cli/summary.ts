import { relative } from 'node:path';
import { formatCount, formatShare, plural } from '../report/numbers.js';
import type { ResultFiles } from '../results.js';
import type { Selection } from '../select/types.js';

const WIDTH = 32;
/** More bins than fit on a screen are counted, not drawn. */
const MAX_BINS = 24;

/** Engines of the strategy `bins`. */
const STEPWISE = ['lazy', 'gram', 'sweep'];

/** Size of each bin and how many of its rows were drawn. */
export function binCounts({ partition, rows }: Selection): { size: number; drawn: number }[] {
  const counts = Array.from({ length: partition.binCount }, () => ({ size: 0, drawn: 0 }));
  for (const bin of partition.bins) if (bin >= 0) counts[bin]!.size++;
  for (const row of rows) {
    const bin = partition.bins[row]!;
    if (bin >= 0) counts[bin]!.drawn++;
  }
  return counts;
}

/** What was selected, as a sentence and a bar for each bin: its length is the size, the solid part what was drawn. */
export function describeSelection(selection: Selection, unit: string): string[] {
  const { partition, rows } = selection;
  const chosen = `${formatCount(rows.length)} of ${plural(partition.bins.length, unit)} (${formatShare(rows.length, partition.bins.length)})`;
  const { name, why } = partition.engine;
  // The one bin of a strategy that chose the rows itself says nothing.
  if (partition.binCount === 1 && !STEPWISE.includes(name)) return [`${chosen}, chosen by ${name}: ${why}`];
  const counts = binCounts(selection);
  const largest = Math.max(...counts.map(({ size }) => size));
  const bars = counts.slice(0, MAX_BINS).map(({ size, drawn }, bin) => {
    const length = Math.round((size / largest) * WIDTH);
    const solid = Math.round((drawn / Math.max(size, 1)) * length);
    const bar = `${'█'.repeat(solid)}${'░'.repeat(length - solid)}`.padEnd(WIDTH);
    return `  bin ${String(bin).padEnd(3)} ${bar}  ${formatCount(drawn)} of ${formatCount(size)}`;
  });
  const hidden = counts.length - MAX_BINS;
  return [
    `${chosen} from ${plural(partition.binCount, 'bin')}`,
    '',
    ...bars,
    ...(hidden > 0 ? [`  and ${plural(hidden, 'bin')} more`] : []),
  ];
}

/** Paths as short as they can be from here. */
export function shortPath(path: string): string {
  const near = relative('.', path);
  return near.startsWith('..') ? path : near;
}

/** Where to look. */
export function describeFiles({ coreset, report, picture }: ResultFiles): string[] {
  const rows: [string, string | undefined][] = [
    ['coreset', coreset],
    ['report', report],
    ['picture', picture],
  ];
  return rows.flatMap(([name, path]) => (path ? [`  ${name.padEnd(8)} ${shortPath(path)}`] : []));
}
