/** What one draw's embeddings say before anything is trained: a row of the report's table. */
import { type Consistency, consistency, type DiagnoseOptions, redundancy } from '../diagnose/diagnose.js';
import { splitModalities } from '../embed/aggregate.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { JobOptions } from '../progress.js';
import type { ExperimentConfig } from './config.js';
import { experimentArms } from './grid.js';
import type { Subsets } from './subsets.js';

/** Below this numbers over pairs mean little. */
const LEAST_ROWS = 20;

/**
 * Redundancy of the embedding that the first arm looks at, and agreement between the mean tokens of RGB and of the mask in the
 * encoder's last block. Nothing for pools of fewer than 20 samples.
 */
export async function diagnoseDraw(
  config: ExperimentConfig,
  draw: number,
  modalities: readonly string[],
  { embeddingsOf }: Pick<Subsets, 'embeddingsOf'>,
  { signal }: JobOptions,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  const options = { seed: config.seeds.first, threads: config.threads, signal };
  const arm = experimentArms(config).find(({ embedding }) => embedding !== undefined);
  const matrix = arm && (await embeddingsOf(arm.embedding!));
  if (matrix && matrix.rows < LEAST_ROWS) return undefined;
  const alone = matrix && (await redundancy(matrix, options));
  const both = ['rgb', 'semseg'].every((name) => modalities.includes(name));
  const together = both && consistencyRow(await agreement(embeddingsOf, options));
  return {
    draw,
    ...(alone && {
      embedding: arm.name,
      'nearest / median distance': alone.nearestOverMedian,
      'effective rows': Math.round(alone.effectiveRows),
      'coverage cost / random': alone.coverageOverRandom,
      expectation: alone.expectation,
    }),
    ...together,
  };
}

async function agreement(embeddingsOf: Subsets['embeddingsOf'], options: DiagnoseOptions): Promise<Consistency> {
  const modalities = ['rgb', 'semseg'] as const;
  const choice = { aggregation: 'concat-modalities', modalities, layer: 'last', reduction: 'none' } as const;
  const [rgb, semseg] = splitModalities(await embeddingsOf(choice), 2) as [EmbeddingMatrix, EmbeddingMatrix];
  return consistency(rgb, semseg, options);
}

function consistencyRow({ cka, cca, procrustes, distanceCorrelation, inconsistency }: Consistency) {
  return {
    CKA: cka.value,
    'CKA by chance': cka.chance,
    'mean CCA': cca.mean,
    'CCA by chance': cca.chance,
    'Procrustes cosine (median)': procrustes.median,
    'distance correlation': distanceCorrelation,
    'inconsistency (95 %)': inconsistency.q95,
  };
}
