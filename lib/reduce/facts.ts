/** What a reduction was, for records: plain numbers and words. */
import type { PcaSummary } from './linearModel.js';
import type { ReduceResult } from './reduce.js';
import type { UmapModel } from './umap.js';

/** `undefined` where nothing was reduced. */
export function reductionFacts({ pca, layout }: ReduceResult): Record<string, unknown> | undefined {
  if (pca) return { method: 'pca', ...pcaFacts(pca) };
  return layout && { method: 'umap', ...umapFacts(layout) };
}

/** `explained` is the share of the variance that was kept. */
export function pcaFacts({ variance, totalVariance, rank, method, passes, device }: PcaSummary) {
  const kept = variance.reduce((sum, value) => sum + value, 0);
  return { explained: kept / totalVariance, rank, algorithm: method, passes, device };
}

export function umapFacts({ neighbours, neighbourSearch, recall, device, minDist, epochs, seed }: UmapModel) {
  return { neighbours, neighbourSearch, recall, device, minDist, epochs, seed };
}
