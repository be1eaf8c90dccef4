/** What a data set says before anything is trained: its embeddings are made, or taken from the cache, and diagnosed. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { splitModalities } from '../embed/aggregate.js';
import { type EmbedOptions, embed } from '../embed/embed.js';
import { readEmbeddings } from '../formats/open.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { Encoder } from '../models/encoder.js';
import { type Consistency, consistency, type DiagnoseOptions, type Redundancy, redundancy } from './diagnose.js';

export interface DiagnoseDatasetOptions extends DiagnoseOptions, Pick<EmbedOptions, 'layer' | 'batch'> {
  /** Of the embeddings whose redundancy is measured; `concat-modalities` if not given. */
  aggregation?: EmbedOptions['aggregation'] | undefined;
  /** Folder of the embedding cache, as `embed` has it; several data sets and configurations can share one. */
  cache: string;
}

export interface DatasetDiagnosis {
  readonly redundancy: Redundancy;
  /** Of the mean tokens of RGB and of the mask; only where the encoder takes both. */
  readonly consistency?: Consistency;
  /** Samples that went through the encoder; the others were in the cache. */
  readonly encoded: number;
}

/**
 * Embeds a data set and says how redundant it is and how far RGB and mask agree. Each modality is represented by the mean
 * of its tokens in a block of the encoder, where they have attended to each other's: what the encoder makes of both, not
 * what each says alone. Row i of the result is sample i.
 *
 * @throws as `embed`, `redundancy` and `consistency`; rejects with `signal.reason` when aborted.
 */
export async function diagnose(
  dataset: Dataset,
  encoder: Encoder,
  options: DiagnoseDatasetOptions,
): Promise<DatasetDiagnosis> {
  const { layer, batch, cache, aggregation = 'concat-modalities', ...rest } = options;
  let encoded = 0;
  const embedded = async (how: EmbedOptions['aggregation']): Promise<EmbeddingMatrix> => {
    await mkdir(cache, { recursive: true });
    const out = await mkdtemp(join(cache, 'diagnose-'));
    try {
      const result = await embed(dataset, encoder, { aggregation: how, layer, batch, cache, out, ...rest });
      encoded += result.encoded;
      return await readEmbeddings(result.path, rest);
    } finally {
      await rm(out, { recursive: true, force: true });
    }
  };
  const matrix = await embedded(aggregation);
  const found = await redundancy(matrix, rest);
  if (encoder.config.modalities.length < 2) return { redundancy: found, encoded };
  const tokens = aggregation === 'concat-modalities' ? matrix : await embedded('concat-modalities');
  const [first, second] = splitModalities(tokens, 2) as [EmbeddingMatrix, EmbeddingMatrix];
  return { redundancy: found, consistency: await consistency(first, second, rest), encoded };
}
