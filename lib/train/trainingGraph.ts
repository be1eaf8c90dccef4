/** The graphs of a model that is trained: forward, loss and backward in one, and forward with loss for validation. */
import {
  type AdapterConfig,
  type AdapterInputs,
  adapterGraph,
  adapterHooks,
  adapterWeights,
  takesPooled,
  tokenGrid,
} from '../models/adapter.js';
import type { MultimaeConfig } from '../models/config.js';
import { type DptConfig, dptGraph } from '../models/dpt.js';
import { encoderLayers, encoderWeights } from '../models/multimae.js';
import { differentiate } from '../onnx/differentiate.js';
import { addInput, addOutput, createGraph, type Graph, scalar, type Value } from '../onnx/graph.js';
import { add, scale, subtract } from '../onnx/ops/arithmetic.js';
import { beforeReshape, concat, reshape, slice } from '../onnx/ops/layout.js';
import { reduceMean } from '../onnx/ops/reduce.js';
import { crossEntropy, type DepthLoss, depthLoss } from './losses.js';
import { type MaskedConfig, maskedGraph, maskedWeights } from './maskedGraph.js';

export type TrainingLoss = DepthLoss | 'cross-entropy';

/** What is trained, as plain data. */
export interface ModelConfig {
  readonly encoder: MultimaeConfig;
  readonly adapter: AdapterConfig;
  /** Modalities whose tokens a depth adapter gets, in this order, side by side: `main_tasks` upstream. */
  readonly mainTasks: readonly ('rgb' | 'semseg')[];
  /** `frozen`: the adapter is trained on cached tokens; `end-to-end`: the encoder too, on images. */
  readonly training: 'frozen' | 'end-to-end';
  readonly loss: TrainingLoss;
  /** The adapter learns (depth - shift) / scale, depth in metres; 0 and 1 if not given. */
  readonly target?: { readonly shift: number; readonly scale: number } | undefined;
}

/** What can be trained: an adapter, with or without its encoder, or an encoder with the decoders of masked pretraining. */
export type TrainedModel = ModelConfig | MaskedConfig;

/** Weights under the names of an official checkpoint. */
export const ADAPTER_PREFIX = 'output_adapters.depth.';

/** Name and shape of every weight of the model, those of a frozen encoder left out; as in a checkpoint. */
export function modelWeights(model: TrainedModel): Map<string, readonly number[]> {
  if (model.loss === 'masked') return maskedWeights(model);
  const weights = new Map<string, readonly number[]>();
  if (model.training === 'end-to-end')
    for (const [name, shape] of encoderWeights(model.encoder)) weights.set(name, shape);
  for (const [name, shape] of adapterWeights(model.adapter, tokenGrid(model.encoder, model.mainTasks), model.encoder)) {
    weights.set(ADAPTER_PREFIX + name, shape);
  }
  return weights;
}

/** Whether training changes a weight: fixed position tables stay as they are. */
export function isTrained({ encoder, training, loss }: TrainedModel, name: string): boolean {
  if (loss !== 'masked' && name.startsWith(ADAPTER_PREFIX)) return true;
  if (training === 'frozen') return false;
  return !name.endsWith('pos_emb') || (encoder.variant === 'paper' && name === 'input_adapters.rgb.pos_emb');
}

export interface TrainingGraph {
  readonly graph: Graph;
  /** Trained weights that the loss depends on, in the order of `gradients`. */
  readonly trained: readonly (Value & { readonly shape: readonly number[] })[];
  /**
   * Outputs with the gradients of `trained`, whose elements they have in the same order but in any shape; empty in a graph
   * for validation.
   */
  readonly gradients: readonly Value[];
}

/**
 * The graph of one mini-batch. Inputs: the trained weights by their names; `tokens.<hook>` [B, T, C] or `pooled` [B, D]
 * (frozen) or `rgb` and `semseg` (end-to-end); the targets `depth` and `valid` [B, 1, S, S], or `label` int32 [B], or
 * `visible` int32 [B, V] (masked, with `depth` and `valid` where depth is rebuilt). Outputs: `loss` (in the unit of the target), `prediction` (in metres, logits, or the
 * losses of `maskedGraph`; only without gradients), and `gradient.<weight>`.
 */
export function trainingGraph(model: TrainedModel, batch: number, withGradients: boolean): TrainingGraph {
  const graph = createGraph({ trainable: (name) => isTrained(model, name) });
  const { loss, prediction } = lossAndPrediction(graph, model, batch);
  addOutput(graph, 'loss', loss);
  const weights = [...graph.trained.values()];
  if (!withGradients) {
    addOutput(graph, 'prediction', prediction());
    return { graph, trained: weights, gradients: [] };
  }
  const gradients = differentiate(graph, loss, weights);
  const trained = weights.filter((_, i) => gradients[i]);
  const outputs = gradients
    .filter((gradient) => gradient !== undefined)
    .map((gradient, i): Value => {
      // A Reshape is free within the graph, but a copy at its end.
      const value = beforeReshape(graph, gradient);
      const name = `gradient.${trained[i]!.name}`;
      addOutput(graph, name, value);
      return { ...value, name };
    });
  return { graph, trained, gradients: outputs };
}

/** The prediction is added to the graph when it is asked for. */
function lossAndPrediction(graph: Graph, model: TrainedModel, batch: number): { loss: Value; prediction(): Value } {
  if (model.loss === 'masked') {
    const { loss, perSample } = maskedGraph(graph, model, batch);
    return { loss, prediction: perSample };
  }
  const output = modelOutput(graph, model, batch);
  return { loss: lossOf(graph, model, output, batch), prediction: () => inMetres(graph, model, output) };
}

function modelOutput(graph: Graph, model: ModelConfig, batch: number): Value {
  return adapterGraph(graph, modelInputs(graph, model, batch), model.adapter, {
    grid: tokenGrid(model.encoder, model.mainTasks),
    encoder: model.encoder,
    prefix: ADAPTER_PREFIX,
  });
}

/** The prediction alone, as plain ONNX: for use elsewhere. Inputs and output `prediction` as above. */
export function predictionGraph(model: ModelConfig, batch: number): Graph {
  const graph = createGraph({ fused: false });
  addOutput(graph, 'prediction', inMetres(graph, model, modelOutput(graph, model, batch)));
  return graph;
}

/**
 * The fused feature map of a DPT adapter, output `features` [B, featureDim, side, side]: `path` 1 is the finest, which the
 * paper takes embeddings from as "head_out", 4 the coarsest. Inputs as in `trainingGraph`, without targets.
 */
export function featureGraph(model: ModelConfig, adapter: DptConfig, path: 1 | 2 | 3 | 4, batch: number): Graph {
  const graph = createGraph();
  const { tokens } = modelInputs(graph, model, batch);
  const { paths } = dptGraph(graph, tokens, adapter, tokenGrid(model.encoder, model.mainTasks), ADAPTER_PREFIX);
  addOutput(graph, 'features', paths[path - 1]!);
  return graph;
}

function inMetres(graph: Graph, { target }: ModelConfig, prediction: Value): Value {
  if (!target) return prediction;
  return add(graph, scale(graph, prediction, target.scale), scalar(graph, target.shift));
}

function lossOf(graph: Graph, { loss, encoder, target: unit }: ModelConfig, prediction: Value, batch: number): Value {
  if (loss === 'cross-entropy') return crossEntropy(graph, prediction, addInput(graph, 'label', 'int32', [batch]));
  const shape = [batch, 1, encoder.image, encoder.image];
  const depth = addInput(graph, 'depth', 'float32', shape);
  const target = unit ? scale(graph, subtract(graph, depth, scalar(graph, unit.shift)), 1 / unit.scale) : depth;
  return depthLoss(graph, loss, prediction, target, addInput(graph, 'valid', 'float32', shape));
}

/** What the adapter gets: cached tokens, or those of the encoder in the same graph. */
function modelInputs(graph: Graph, model: ModelConfig, batch: number): AdapterInputs {
  const { encoder, adapter, mainTasks, training } = model;
  const { width, side } = tokenGrid(encoder, mainTasks);
  const hooks = adapterHooks(adapter, encoder);
  if (training === 'frozen') {
    if (takesPooled(adapter)) return { tokens: [], pooled: addInput(graph, 'pooled', 'float32', [batch, encoder.dim]) };
    const shape = [batch, side * side, width];
    return { tokens: hooks.map((hook) => addInput(graph, `tokens.${hook}`, 'float32', shape)) };
  }
  const layers = encoderLayers(graph, encoder, Math.max(...hooks) + 1, batch);
  if (takesPooled(adapter)) return { tokens: [], pooled: pool(graph, layers.at(-1)!, adapter, batch) };
  return { tokens: hooks.map((hook) => mainTokens(graph, layers[hook]!, model, side * side)) };
}

/** One vector a sample, [B, T, D] -> [B, D]: the mean of all tokens, or the last one. */
function pool(graph: Graph, layer: Value, adapter: AdapterConfig, batch: number): Value {
  const [, tokens, dim] = layer.shape as readonly [number, number, number];
  const last = adapter.kind === 'linear' && adapter.pooling === 'last';
  return reshape(graph, last ? slice(graph, layer, 1, tokens - 1, tokens) : reduceMean(graph, layer, [1]), [
    batch,
    dim,
  ]);
}

/** Tokens of the main tasks, those of one place side by side: [B, T, D] -> [B, patches, D tasks]. */
function mainTokens(graph: Graph, layer: Value, { encoder, mainTasks }: ModelConfig, patches: number): Value {
  const parts = mainTasks.map((task) => {
    const first = encoder.modalities.indexOf(task) * patches;
    return slice(graph, layer, 1, first, first + patches);
  });
  return parts.length === 1 ? parts[0]! : concat(graph, parts, 2);
}
