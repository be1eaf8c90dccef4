import { integer } from '../check.js';
import type { Dataset } from './dataset.js';

/** The samples `rows` of a data set, in that order. Closing it closes `dataset`. */
export function subset(dataset: Dataset, rows: ArrayLike<number>): Dataset {
  const samples = Array.from(rows, (row) => dataset.samples[integer('row', row, 0, dataset.samples.length - 1)]!);
  return {
    root: dataset.root,
    samples,
    modalities: dataset.modalities,
    async read(index, modality) {
      return dataset.read(rows[integer('index', index, 0, samples.length - 1)]!, modality);
    },
    close: () => dataset.close(),
  };
}
