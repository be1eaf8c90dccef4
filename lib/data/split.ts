import { integer, wrongType } from '../check.js';
import { DataError } from '../errors.js';
import type { Dataset } from './dataset.js';
import { MODALITIES } from './modalities.js';

/**
 * The samples of one split, in the same order. Closing it closes `dataset`.
 * @throws {DataError} `ERR_NO_SPLIT` naming the splits that there are.
 */
export function selectSplit(dataset: Dataset, split: string): Dataset {
  if (typeof split !== 'string') throw wrongType('split', 'the name of a split', split);
  const counts = new Map<string, number>();
  const rows: number[] = [];
  for (const [row, sample] of dataset.samples.entries()) {
    counts.set(sample.split, (counts.get(sample.split) ?? 0) + 1);
    if (sample.split === split) rows.push(row);
  }
  if (rows.length === 0) {
    const list = [...counts].map(([name, count]) => `${name} (${count})`).join(', ');
    throw new DataError('ERR_NO_SPLIT', `${dataset.root} has no split ${JSON.stringify(split)}. It has ${list}.`);
  }
  const samples = rows.map((row) => dataset.samples[row]!);
  return {
    root: dataset.root,
    samples,
    modalities: MODALITIES.filter(
      (modality) => dataset.modalities.includes(modality) || samples.every(({ paths }) => paths[modality]),
    ),
    async read(index, modality) {
      return dataset.read(rows[integer('index', index, 0, rows.length - 1)]!, modality);
    },
    close: () => dataset.close(),
  };
}
