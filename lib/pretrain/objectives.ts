/** What an encoder learns in pretraining: the model around it, its first weights and its data. */
import { integer, oneOf, outOfRange } from '../check.js';
import { adapterWeights, tokenGrid } from '../models/adapter.js';
import type { MultimaeConfig } from '../models/config.js';
import { initialWeight } from '../models/initialise.js';
import { initialAdapterWeight } from '../models/initialiseAdapter.js';
import { REBUILT, type Rebuilt } from '../models/spatialDecoder.js';
import { depthUnit } from '../train/depthTarget.js';
import { type MaskedConfig, patchCount } from '../train/maskedGraph.js';
import { maskedData } from '../train/masks.js';
import { ADAPTER_PREFIX, type ModelConfig, modelWeights, type TrainedModel } from '../train/trainingGraph.js';
import type { SampleSource, TrainingData } from '../train/types.js';

/**
 * - `depth`: depth in metres, with a DPT adapter, which the paper tunes for before it takes embeddings.
 * - `masked`: a few patches of all modalities are seen, the others and depth are rebuilt: MultiMAE's own (arXiv 2204.01678).
 */
export const PRETRAIN_OBJECTIVES = ['depth', 'masked'] as const;
export type PretrainObjective = (typeof PRETRAIN_OBJECTIVES)[number];

export interface Pretraining<Model extends TrainedModel = TrainedModel> {
  readonly model: Model;
  /** The highest one, where none is given. */
  readonly learningRate: number;
  /** Second of Adam's decay rates. */
  readonly beta2: number;
  /** First values of a weight of adapter or decoders, by its whole name. */
  first(name: string): Float32Array;
  /** What the training graph takes of data for training, and of data for validation. */
  trains(data: TrainingData): TrainingData;
  validates(data: TrainingData): TrainingData;
}

/** Encoder and DPT adapter end to end with the berHu loss; `images` say the unit of depth. */
export async function depthPretraining(
  config: MultimaeConfig,
  images: SampleSource,
  featureDim: number,
  seed: number,
): Promise<Pretraining<ModelConfig>> {
  const quarter = (k: number) => Math.ceil((k * config.depth) / 4) - 1;
  const model: ModelConfig = {
    encoder: config,
    adapter: {
      kind: 'dpt',
      variant: 'paper',
      hooks: [quarter(1), quarter(2), quarter(3), quarter(4)],
      layerDims: [featureDim, featureDim, 2 * featureDim, 2 * featureDim],
      featureDim,
    },
    mainTasks: config.modalities,
    training: 'end-to-end',
    loss: 'berhu',
    target: await depthUnit(images),
  };
  const shapes = adapterWeights(model.adapter, tokenGrid(config, model.mainTasks), config);
  return {
    model,
    learningRate: 5e-4,
    beta2: 0.999,
    first: (name) => initialAdapterWeight(model.adapter, shapes, name.slice(ADAPTER_PREFIX.length), seed),
    trains: (data) => data,
    validates: (data) => data,
  };
}

/**
 * What is rebuilt: what is asked for, or else all that the official recipe has, as far as encoder and data have it.
 * @throws {TypeError | RangeError} naming what is no modality of the encoder.
 */
export function rebuiltOf(
  wanted: readonly Rebuilt[] | undefined,
  { modalities }: MultimaeConfig,
  dataHasDepth: boolean,
): readonly Rebuilt[] {
  const possible = REBUILT.filter(
    (task) => task === 'depth' || modalities.includes(task === 'norm_rgb' ? 'rgb' : task),
  );
  if (wanted?.length === 0) throw outOfRange('rebuild', 'a list with at least one of them', 'empty');
  for (const task of wanted ?? []) oneOf('rebuild', task, possible);
  return possible.filter((task) => (wanted ? wanted.includes(task) : task !== 'depth' || dataHasDepth));
}

/**
 * Encoder on `visible` patches, a quarter of all if not given, and a decoder for each of `rebuilt`: 256 wide with 8 heads for encoders as wide as the official ones, else half as wide as the encoder.
 * Masks of validation are the same for every seed.
 */
export function maskedPretraining(
  config: MultimaeConfig,
  visible: number | undefined,
  rebuilt: readonly Rebuilt[],
  seed: number,
): Pretraining<MaskedConfig> {
  const patches = patchCount(config);
  // Heads of 32 channels, as upstream.
  const heads = Math.min(8, Math.ceil(config.dim / 64));
  const model: MaskedConfig = {
    encoder: config,
    decoder: { dim: 32 * heads, depth: 2, heads },
    rebuilt,
    visible: integer('visible', visible ?? Math.max(1, Math.round(patches / 4)), 1, patches - 1),
    training: 'end-to-end',
    loss: 'masked',
  };
  const shapes = modelWeights(model);
  return {
    model,
    learningRate: 1e-3,
    beta2: 0.95,
    first: (name) => initialWeight(config, name, shapes.get(name)!, seed),
    trains: (data) => maskedData(data, model, seed),
    validates: (data) => maskedData(data, model, 0),
  };
}
