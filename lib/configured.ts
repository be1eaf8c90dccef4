/** The data set and the encoder that a configuration names. */
import { outOfRange } from './check.js';
import type { RunConfig } from './config.js';
import type { Dataset } from './data/dataset.js';
import { openDataset } from './data/open.js';
import type { Encoder } from './models/encoder.js';
import { readModelConfig } from './models/modelJson.js';
import { openEncoder } from './models/openEncoder.js';

/** Opens the data set at `path`, all of it or one split. Close it when done. */
export function openConfiguredData(path: string, split: string): Promise<Dataset> {
  return openDataset(path, split === 'all' ? {} : { split });
}

/** Opens the encoder, no more of it than the wanted layer needs. Close it when done. */
export async function openConfiguredEncoder(config: RunConfig): Promise<Encoder> {
  const { model, ...named } = config.encoder;
  const { modalities, layer } = config.embed;
  const opening = openEncoder({
    ...named,
    ...(model && { config: await readModelConfig(model) }),
    modalities,
    blocks: layer === undefined ? undefined : layer + 1,
    threads: config.threads,
  });
  return opening.catch((error: Error) => {
    // Only the encoder knows how many blocks there are, and nobody wrote `blocks`.
    const depth = /^`blocks` must be an integer in 1\.\.(\d+)/.exec(error.message)?.[1];
    throw depth === undefined ? error : outOfRange('layer', `an integer in 0..${Number(depth) - 1}`, layer);
  });
}
