/** The model of masked pretraining: an encoder that sees a few patches, and a decoder a modality that rebuilds the others. */
import type { MultimaeConfig } from '../models/config.js';
import { type EncoderModality, encoderLayers, encoderWeights } from '../models/multimae.js';
import { type DecoderConfig, decoderGraph, decoderWeights, patchLayout } from '../models/spatialDecoder.js';
import { addInput, type Graph, scalar, type Value } from '../onnx/graph.js';
import { add, divide, subtract } from '../onnx/ops/arithmetic.js';
import { concat, oneHot, reshape, slice, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { reduceSum } from '../onnx/ops/reduce.js';
import { maskedCrossEntropy, maskedSquaredError, meanOfMasked, type SampleLosses } from './losses.js';

/** What is trained, as plain data; `ModelConfig` of masked pretraining. All modalities of the encoder are rebuilt. */
export interface MaskedConfig {
  readonly encoder: MultimaeConfig;
  readonly decoder: DecoderConfig;
  /** V: patches of each sample that the encoder sees, of all modalities together. */
  readonly visible: number;
  readonly training: 'end-to-end';
  readonly loss: 'masked';
}

/** T: patches of a sample, of all modalities together. */
export function patchCount({ image, patch, modalities }: MultimaeConfig): number {
  return modalities.length * (image / patch) ** 2;
}

/** Name and shape of every weight, as in a checkpoint. */
export function maskedWeights({ encoder, decoder }: MaskedConfig): Map<string, readonly number[]> {
  const parts = encoder.modalities.flatMap((task) => [...decoderWeights(decoder, encoder, task)]);
  return new Map([...encoderWeights(encoder), ...parts]);
}

/**
 * Adds the model to a graph. Inputs: `rgb` and `semseg`, which are the targets too, and `visible` int32 [B, V]: the patches
 * that the encoder sees, numbered through all modalities in the encoder's order, 0..T-1. Returns the loss, one number,
 * and, added to the graph when it is asked for, what validation wants: the loss of each modality for each sample [B, modalities], NaN where no patch was masked.
 *
 *     loss = sum over modalities of the mean over samples of the mean over masked patches
 */
export function maskedGraph(graph: Graph, model: MaskedConfig, batch: number): { loss: Value; perSample(): Value } {
  const { encoder, decoder } = model;
  const count = patchCount(encoder) / encoder.modalities.length;
  const { tokens, chosen } = visibleTokens(graph, model, batch);
  const seen = transpose(graph, reduceSum(graph, chosen, [1]), [0, 2, 1]);
  const hidden = subtract(graph, scalar(graph, 1), seen);
  const losses = encoder.modalities.map((task, i) => {
    const masked = slice(graph, hidden, 1, i * count, (i + 1) * count);
    const patches = decoderGraph(graph, tokens, chosen, masked, decoder, encoder, task);
    return taskLosses(graph, patches, masked, encoder, task);
  });
  const loss = losses.map((each) => meanOfMasked(graph, each)).reduce((sum, part) => add(graph, sum, part));
  return {
    loss,
    perSample() {
      const parts = losses.map(({ sum, weight }) => divide(graph, sum, weight));
      return parts.length === 1 ? parts[0]! : concat(graph, parts, 1);
    },
  };
}

/**
 * The encoder on the patches of its input `visible` and the global tokens: its `tokens` [B, V + G, D], and which patch each
 * of the first V is, one-hot: `chosen` [B, V, T].
 */
export function visibleTokens(
  graph: Graph,
  { encoder, visible }: Pick<MaskedConfig, 'encoder' | 'visible'>,
  batch: number,
) {
  const total = patchCount(encoder);
  const ids = addInput(graph, 'visible', 'int32', [batch, visible]);
  // Tokens are chosen, and put back, by products with this matrix: exact, and their gradients are products too.
  const chosen = reshape(graph, oneHot(graph, ids, total), [batch, visible, total]);
  const choose = (patches: Value) => matmul(graph, chosen, patches);
  return { tokens: encoderLayers(graph, encoder, encoder.depth, batch, choose).at(-1)!, chosen };
}

function taskLosses(
  graph: Graph,
  patches: Value,
  masked: Value,
  encoder: MultimaeConfig,
  task: EncoderModality,
): SampleLosses {
  const target = graph.inputs.find(({ name }) => name === task)!;
  const { channels, side } = patchLayout(encoder, task);
  const grid = encoder.image / encoder.patch;
  const [batch] = target.shape as readonly [number, ...number[]];
  if (task === 'rgb') {
    const cut = reshape(graph, target, [batch, channels, grid, side, grid, side]);
    const truth = reshape(graph, transpose(graph, cut, [0, 2, 4, 1, 3, 5]), [batch, grid ** 2, channels * side ** 2]);
    return maskedSquaredError(graph, patches, truth, masked);
  }
  const cut = reshape(graph, target, [batch, grid, side, grid, side]);
  const labels = reshape(graph, transpose(graph, cut, [0, 1, 3, 2, 4]), [batch, grid ** 2, side ** 2]);
  const logits = transpose(graph, reshape(graph, patches, [batch, grid ** 2, channels, side ** 2]), [0, 1, 3, 2]);
  return maskedCrossEntropy(graph, logits, labels, masked);
}
