/** The model that a configuration describes. */
import type { AdapterConfig } from '../models/adapter.js';
import { adapterWeights, tokenGrid } from '../models/adapter.js';
import type { MultimaeConfig } from '../models/config.js';
import { initialAdapterWeight } from '../models/initialiseAdapter.js';
import { ADAPTER_PREFIX, type ModelConfig } from '../train/trainingGraph.js';
import type { ExperimentConfig } from './config.js';

/** `classes` of a classifier, `target` of a depth adapter. */
export function modelOf(
  config: ExperimentConfig,
  encoder: MultimaeConfig,
  { classes, target }: { classes?: number; target?: { shift: number; scale: number } },
): ModelConfig {
  const { adapter, training, task } = config;
  return {
    encoder,
    adapter: task === 'depth' ? depthAdapter(adapter, encoder.depth) : classifierOf(adapter, classes!),
    mainTasks: adapter.mainTasks,
    training: training.encoder,
    loss: task === 'depth' ? training.loss : 'cross-entropy',
    target,
  };
}

function depthAdapter(adapter: ExperimentConfig['adapter'], depth: number): AdapterConfig {
  const { kind, variant, layerDims, featureDim, embedDim, subPatches, blocks, hidden } = adapter;
  // [2, 5, 8, 11] of 12 blocks.
  const hooks =
    adapter.hooks ?? ([1, 2, 3, 4].map((k) => Math.ceil((k * depth) / 4) - 1) as [number, number, number, number]);
  if (kind === 'dpt') return { kind, variant, hooks, layerDims, featureDim };
  return kind === 'convnext' ? { kind, embedDim, subPatches, blocks } : { kind, pooling: 'mean', hidden };
}

function classifierOf(
  { kind, embedDim, subPatches, blocks }: ExperimentConfig['adapter'],
  classes: number,
): AdapterConfig {
  if (kind !== 'convnext') return { kind: 'classifier', classes };
  return { kind: 'convnext-classifier', embedDim, subPatches, blocks, classes };
}

/** First values of the weights: the adapter's from the seed, the encoder's from where it has them. */
export function firstWeights(
  model: ModelConfig,
  seed: number,
  encoderWeight: (name: string) => Promise<Float32Array>,
): (name: string) => Promise<Float32Array> {
  const shapes = adapterWeights(model.adapter, tokenGrid(model.encoder, model.mainTasks), model.encoder);
  return async (name) =>
    name.startsWith(ADAPTER_PREFIX)
      ? initialAdapterWeight(model.adapter, shapes, name.slice(ADAPTER_PREFIX.length), seed)
      : encoderWeight(name);
}
