/** Every kind of graph that we give to ONNX Runtime, small. */
import { encoderGraph } from '#lib/models/multimae.js';
import type { Graph } from '#lib/onnx/graph.js';
import type { MaskedConfig } from '#lib/train/maskedGraph.js';
import { type Optimizer, weightOptions } from '#lib/train/optimizer.js';
import { scanGraph } from '#lib/train/scanGraph.js';
import { featureGraph, type ModelConfig, type TrainedModel, trainingGraph } from '#lib/train/trainingGraph.js';
import { officialConfig, paperConfig } from '../models/golden.js';

const official = { ...officialConfig, depth: 2, dim: 32, heads: 2 };
const paper = { ...paperConfig, depth: 2, heads: 2 };
const adamw: Optimizer = {
  kind: 'adamw',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.05,
  layerDecay: 0.75,
};
const adam: Optimizer = { ...adamw, kind: 'adam' };

const dpt = { kind: 'dpt', hooks: [0, 0, 1, 1], layerDims: [8, 8, 8, 8], featureDim: 8 } as const;
const convNext = { embedDim: 64, subPatches: 16, blocks: 1 } as const;
const depthModel: ModelConfig = {
  encoder: official,
  adapter: { ...dpt, variant: 'official' },
  mainTasks: ['rgb', 'semseg'],
  training: 'end-to-end',
  loss: 'berhu',
  target: { shift: 3, scale: 2 },
};
const four = { ...dpt, hooks: [0, 1, 2, 3] } as const;
const frozen: ModelConfig = {
  ...depthModel,
  encoder: { ...official, depth: 4 },
  adapter: { ...four, variant: 'paper' },
  mainTasks: ['rgb'],
  training: 'frozen',
};
const masked: MaskedConfig = {
  encoder: official,
  decoder: { dim: 16, depth: 1, heads: 2 },
  rebuilt: ['rgb', 'semseg', 'depth', 'norm_rgb'],
  visible: 8,
  training: 'end-to-end',
  loss: 'masked',
};

const models: Readonly<Record<string, TrainedModel>> = {
  'DPT, official, end to end, berHu': depthModel,
  'DPT, paper, end to end, L1': {
    ...depthModel,
    encoder: paper,
    adapter: { ...dpt, variant: 'paper' },
    loss: 'l1',
  },
  'DPT, frozen, mean square': { ...frozen, loss: 'mse' },
  'ConvNeXt, end to end': { ...depthModel, adapter: { kind: 'convnext', ...convNext } },
  'ConvNeXt, frozen': { ...frozen, adapter: { kind: 'convnext', ...convNext } },
  'linear, last token, end to end': { ...depthModel, adapter: { kind: 'linear', pooling: 'last', hidden: [8, 8] } },
  'linear, mean token, frozen': { ...frozen, adapter: { kind: 'linear', pooling: 'mean', hidden: [8] } },
  'classes, end to end': { ...depthModel, adapter: { kind: 'classifier', classes: 3 }, loss: 'cross-entropy' },
  'classes, frozen': { ...frozen, adapter: { kind: 'classifier', classes: 3 }, loss: 'cross-entropy' },
  'classes by ConvNeXt, frozen': {
    ...frozen,
    adapter: { kind: 'convnext-classifier', classes: 3, ...convNext },
    loss: 'cross-entropy',
  },
  'masked pretraining': masked,
  'masked pretraining of the paper': { ...masked, encoder: paper, rebuilt: ['rgb', 'semseg'] },
};

export interface NamedGraph {
  readonly name: string;
  readonly graph: Graph;
  /** Sizes that the graph knows by name. */
  readonly sizes: Readonly<Record<string, number>>;
}

const patches = (officialConfig.image / officialConfig.patch) ** 2;
const image = { batch: 2, height: 64, width: 64, rows: 2 };

export const graphs: readonly NamedGraph[] = [
  {
    name: 'encoder, official',
    graph: encoderGraph(official, 2),
    sizes: { ...image, labelHeight: 16, labelWidth: 16, tokens: 2 * patches + 1 },
  },
  {
    name: 'encoder, paper',
    graph: encoderGraph(paper, 2),
    sizes: { ...image, labelHeight: 64, labelWidth: 64, tokens: 2 * patches + 1 },
  },
  {
    name: 'encoder, one modality, no global token',
    graph: encoderGraph({ ...official, modalities: ['rgb'], globalTokens: 0 }, 1),
    sizes: { ...image, tokens: patches },
  },
  { name: 'features, end to end', graph: featureGraph(depthModel, { ...dpt, variant: 'official' }, 1, 2), sizes: {} },
  {
    name: 'features, frozen',
    graph: featureGraph(frozen, { ...four, variant: 'paper' }, 4, 2),
    sizes: {},
  },
  ...Object.entries(models).flatMap(([name, model], i): NamedGraph[] => {
    const training = trainingGraph(model, 2, true);
    const optimizer = i % 2 ? adam : adamw;
    const each = training.trained.map((weight) => weightOptions(optimizer, model.encoder, weight.name, weight.shape));
    return [
      { name: `${name}: validation`, graph: trainingGraph(model, 2, false).graph, sizes: {} },
      { name: `${name}: gradients`, graph: training.graph, sizes: {} },
      { name: `${name}: steps`, graph: scanGraph(training, optimizer, each), sizes: { steps: 2 } },
    ];
  }),
];
