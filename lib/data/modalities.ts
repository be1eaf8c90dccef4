import type { Modality, Sample } from './dataset.js';

/** Every modality, in the order in which they are listed. */
export const MODALITIES = ['rgb', 'semseg', 'depth', 'instance'] as const satisfies readonly Modality[];

/** The modalities that each of `samples` has a file of. */
export function commonModalities(samples: readonly Sample[]): Modality[] {
  return MODALITIES.filter((modality) => samples.every(({ paths }) => paths[modality] !== undefined));
}
