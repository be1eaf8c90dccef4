/** The model of masked pretraining: an encoder that sees a few patches, and a decoder a modality that rebuilds the others. */
import type { MultimaeConfig } from '../models/config.js';
import { encoderLayers, encoderWeights } from '../models/multimae.js';
import {
  type DecoderConfig,
  decoderGraph,
  decoderWeights,
  modalityOf,
  patchLayout,
  type Rebuilt,
} from '../models/spatialDecoder.js';
import { addInput, type Graph, scalar, type Value } from '../onnx/graph.js';
import { add, divide, subtract } from '../onnx/ops/arithmetic.js';
import { concat, filled, oneHot, reshape, slice, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { reduceSum } from '../onnx/ops/reduce.js';
import {
  maskedCrossEntropy,
  maskedSquaredError,
  meanOfMasked,
  normalisedPatches,
  type SampleLosses,
  validAbsoluteError,
} from './losses.js';

/** What is trained, as plain data; `ModelConfig` of masked pretraining. */
export interface MaskedConfig {
  readonly encoder: MultimaeConfig;
  readonly decoder: DecoderConfig;
  /** What is rebuilt, by a decoder each: modalities of the encoder, depth. */
  readonly rebuilt: readonly Rebuilt[];
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
export function maskedWeights({ encoder, decoder, rebuilt }: MaskedConfig): Map<string, readonly number[]> {
  const parts = rebuilt.flatMap((task) => [...decoderWeights(decoder, encoder, task)]);
  return new Map([...encoderWeights(encoder), ...parts]);
}

/**
 * Adds the model to a graph. Inputs: `rgb` and `semseg`, which are the targets too; `depth` and `valid` [B, 1, S, S] where it
 * is rebuilt, as `standardDepth` makes it; and `visible` int32 [B, V]: the patches that the encoder sees, numbered through all
 * modalities in the encoder's order, 0..T-1. Returns the loss, one number, and, added to the graph when it is asked for, what
 * validation wants: the loss of each decoder for each sample [B, decoders], NaN where nothing counted.
 *
 *     loss = sum over decoders of the mean over samples of the mean over masked patches (of depth: over all valid pixels)
 */
export function maskedGraph(graph: Graph, model: MaskedConfig, batch: number): { loss: Value; perSample(): Value } {
  const { encoder, decoder, rebuilt } = model;
  const count = patchCount(encoder) / encoder.modalities.length;
  const { tokens, chosen } = visibleTokens(graph, model, batch);
  const seen = transpose(graph, reduceSum(graph, chosen, [1]), [0, 2, 1]);
  const hidden = subtract(graph, scalar(graph, 1), seen);
  const losses = rebuilt.map((task) => {
    const own = (encoder.modalities as readonly string[]).indexOf(modalityOf(task));
    const masked =
      own < 0 ? filled(graph, 1, [batch, count, 1]) : slice(graph, hidden, 1, own * count, (own + 1) * count);
    const patches = decoderGraph(graph, tokens, chosen, masked, decoder, encoder, task);
    return taskLosses(graph, patches, masked, encoder, task, batch);
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
  task: Rebuilt,
  batch: number,
): SampleLosses {
  const { channels, side } = patchLayout(encoder, task);
  const grid = encoder.image / encoder.patch;
  const input = (name: string) => graph.inputs.find((found) => found.name === name)!;
  /** [B, C, S, S] -> [B, N, C side side]. */
  const cut = (image: Value) => {
    const places = reshape(graph, image, [batch, channels, grid, side, grid, side]);
    const shape = [batch, grid ** 2, channels * side ** 2];
    return reshape(graph, transpose(graph, places, [0, 2, 4, 1, 3, 5]), shape);
  };
  if (task === 'depth') {
    const shape = [batch, 1, encoder.image, encoder.image];
    const [truth, valid] = ['depth', 'valid'].map((name) => cut(addInput(graph, name, 'float32', shape)));
    return validAbsoluteError(graph, patches, truth!, valid!);
  }
  if (task !== 'semseg') {
    const truth = cut(input('rgb'));
    return maskedSquaredError(graph, patches, task === 'rgb' ? truth : normalisedPatches(graph, truth), masked);
  }
  const places = reshape(graph, input('semseg'), [batch, grid, side, grid, side]);
  const labels = reshape(graph, transpose(graph, places, [0, 1, 3, 2, 4]), [batch, grid ** 2, side ** 2]);
  const logits = transpose(graph, reshape(graph, patches, [batch, grid ** 2, channels, side ** 2]), [0, 1, 3, 2]);
  return maskedCrossEntropy(graph, logits, labels, masked);
}
