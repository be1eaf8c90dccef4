import { fileURLToPath } from 'node:url';
import type { MultimaeConfig } from '#lib/models/config.js';

/** Path of a golden file of test/golden/models. */
export function golden(name: string): string {
  return fileURLToPath(new URL(`../golden/models/${name}`, import.meta.url));
}

/** What float32 can meet; see the README beside the golden files. */
export const TOLERANCE = 5e-5;

export const officialConfig: MultimaeConfig = {
  variant: 'official',
  dim: 64,
  depth: 4,
  heads: 4,
  patch: 16,
  image: 64,
  semsegClasses: 8,
  semsegStride: 4,
  semsegPadding: false,
  classEmbedding: 16,
  globalTokens: 1,
  modalities: ['rgb', 'semseg'],
};

export const paperConfig: MultimaeConfig = {
  ...officialConfig,
  variant: 'paper',
  dim: 32,
  semsegStride: 1,
  semsegPadding: true,
  classEmbedding: 4,
  modalities: ['semseg', 'rgb'],
};

/** Largest absolute difference; NaN anywhere counts as infinite. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return largest;
}
