/** The encoder that a configuration names. */
import { outOfRange } from '../check.js';
import { CoregainError, DataError, ModelError } from '../errors.js';
import type { Encoder } from '../models/encoder.js';
import { readModelConfig } from '../models/modelJson.js';
import { type EncoderOptions, openEncoder, openEncoderWeights } from '../models/openEncoder.js';
import { type ExperimentConfig, RANDOM_WEIGHTS } from './config.js';
import { experimentArms } from './grid.js';
import type { EmbeddingChoice } from './types.js';

/** The options of the encoder that a configuration names. */
export async function encoderOptionsOf({ encoder, threads }: ExperimentConfig): Promise<EncoderOptions> {
  const { model, ...named } = encoder;
  return { ...named, ...(model && { config: await readModelConfig(model) }), threads };
}

/** The encoder whose tokens the model is trained on. Close it when done. */
export async function openExperimentEncoder(config: ExperimentConfig): Promise<Encoder> {
  return openEncoder(await encoderOptionsOf(config));
}

/** The encoder that an arm looks at: `own`, the one of the experiment, or other weights in its place. Close it when done. */
export async function openArmEncoder(
  config: ExperimentConfig,
  own: Encoder,
  { modalities, weights }: Pick<EmbeddingChoice, 'modalities' | 'weights'>,
): Promise<Encoder> {
  const options = { ...(await encoderOptionsOf(config)), modalities: [...modalities] };
  if (weights === undefined) return openEncoder(options);
  const { image } = own.config;
  if (weights !== RANDOM_WEIGHTS) return openEncoder({ ...options, preset: undefined, image, weights });
  const { seed = 0 } = options;
  return openEncoder({ ...options, preset: undefined, weights: undefined, config: own.config, seed });
}

/**
 * Looks into the weight files that arms name, so that a wrong one is found before anything is rendered or trained.
 * @throws {ModelError} naming the arm and the file, with the code of what is wrong: `ERR_WEIGHTS_UNREADABLE` where it is missing.
 */
export async function checkArmWeights(config: ExperimentConfig): Promise<void> {
  const { preset: _, ...options } = await encoderOptionsOf(config);
  for (const { name, embedding } of experimentArms(config)) {
    const weights = embedding?.weights;
    if (weights === undefined || weights === RANDOM_WEIGHTS) continue;
    try {
      const source = await openEncoderWeights({ ...options, modalities: [...embedding!.modalities], weights });
      await source.close();
    } catch (cause) {
      if (!(cause instanceof CoregainError)) throw cause;
      throw new ModelError(cause.code, `The weights of arm "${name}": ${cause.message}`, { cause });
    }
  }
}

/** RangeError or DataError where the configuration asks the encoder for a block or a modality that it does not have. */
export function checkEncoder(config: ExperimentConfig, { config: { depth, modalities } }: Encoder): void {
  const wanted = new Set(config.adapter.mainTasks);
  for (const { embedding } of experimentArms(config)) {
    if (!embedding) continue;
    for (const modality of embedding.modalities) wanted.add(modality);
    const block = Number(/^layer\.(\d+)$/.exec(embedding.layer)?.[1] ?? 0);
    if (block >= depth) {
      throw outOfRange(config.arms ? 'arms.layer' : 'embeddings.layer', `an integer in 0..${depth - 1}`, block);
    }
  }
  for (const hook of config.adapter.hooks ?? []) {
    if (hook >= depth) throw outOfRange('adapter.hooks', `block numbers in 0..${depth - 1}`, hook);
  }
  for (const modality of wanted) {
    if (modalities.includes(modality)) continue;
    throw new DataError(
      'ERR_MODALITY_MISSING',
      `The experiment asks for ${modality}, but the encoder takes ${modalities.join(' + ')}. Take ${modality} out of \`adapter.mainTasks\` and \`${config.arms ? 'arms' : 'embeddings'}.modalities\`.`,
    );
  }
}
