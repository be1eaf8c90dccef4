/**
 * The decoder of masked pretraining, MultiMAE's `SpatialOutputAdapter` (Bachmann et al., arXiv 2204.01678, section 3.2):
 * one for each modality, which rebuilds all its patches from the tokens that the encoder saw. Weights by the official names.
 */
import { type Graph, type Value, within } from '../onnx/graph.js';
import { gelu } from '../onnx/ops/activation.js';
import { add, multiply } from '../onnx/ops/arithmetic.js';
import { multiHeadAttention } from '../onnx/ops/attention.js';
import { concat, flattenImage, reshape, slice, swapLast, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { addParameter } from '../onnx/parameters.js';
import type { MultimaeConfig } from './config.js';
import type { EncoderModality } from './multimae.js';
import { blockWeights, MLP_RATIO, namedLinear, namedNorm, transformerBlock } from './transformer.js';

/** Shape of the decoders; all of a model are alike. Official: 256, 2, 8. */
export interface DecoderConfig {
  /** Width of a token, a multiple of 4 and of `heads`. */
  readonly dim: number;
  /** Blocks of self-attention behind the cross-attention. */
  readonly depth: number;
  readonly heads: number;
}

/**
 * What a decoder rebuilds: images as the encoder gets them, labels, depth, and `norm_rgb`: RGB again, each patch with mean 0
 * and standard deviation 1. Upstream's names.
 */
export const REBUILT = ['rgb', 'semseg', 'depth', 'norm_rgb'] as const;
export type Rebuilt = (typeof REBUILT)[number];

/** The modality whose tokens a decoder asks for; depth is none that the encoder sees. */
export function modalityOf(task: Rebuilt): EncoderModality | 'depth' {
  return task === 'norm_rgb' ? 'rgb' : task;
}

/** What a patch is made of, upstream's (c ph pw): channels of the image or classes, and pixels or labels along each side. */
export function patchLayout(encoder: MultimaeConfig, task: Rebuilt): { channels: number; side: number } {
  return task === 'semseg'
    ? { channels: encoder.semsegClasses, side: encoder.patch / encoder.semsegStride }
    : { channels: task === 'depth' ? 1 : 3, side: encoder.patch };
}

/** Name and shape of every weight of the decoder of `task`, in the order of an official checkpoint. */
export function decoderWeights(
  { dim, depth }: DecoderConfig,
  encoder: MultimaeConfig,
  task: Rebuilt,
): Map<string, readonly number[]> {
  const prefix = decoderPrefix(task);
  const grid = encoder.image / encoder.patch;
  const { channels, side } = patchLayout(encoder, task);
  const weights = new Map<string, readonly number[]>();
  const linear = (name: string, outputs: number, inputs: number) => {
    weights.set(`${prefix}${name}.weight`, [outputs, inputs]);
    weights.set(`${prefix}${name}.bias`, [outputs]);
  };
  weights.set(`${prefix}mask_token`, [1, 1, dim]);
  weights.set(`${prefix}pos_emb`, [1, dim, grid, grid]);
  for (const modality of encoder.modalities) weights.set(`${prefix}task_embeddings.${modality}`, [1, 1, dim]);
  linear('decoder.q', dim, dim);
  linear('decoder.kv', 2 * dim, dim);
  linear('decoder.proj', dim, dim);
  for (const norm of ['context_norm', 'query_norm', 'out_norm']) {
    weights.set(`${prefix}${norm}.weight`, [dim]);
    weights.set(`${prefix}${norm}.bias`, [dim]);
  }
  linear('mlp.fc1', MLP_RATIO * dim, dim);
  linear('mlp.fc2', dim, MLP_RATIO * dim);
  for (let block = 0; block < depth; block++) {
    for (const [name, shape] of blockWeights(`${prefix}decoder_transformer.${block}`, dim)) weights.set(name, shape);
  }
  linear('out_proj', channels * side ** 2, dim);
  linear('proj_context', dim, encoder.dim);
  return weights;
}

/**
 * Patches of `task` [B, N, c ph pw] from the encoder's tokens [B, V + G, D]: those of the V visible patches, then the
 * global ones. `chosen` [B, V, T] is one-hot: row v marks the patch that visible token v comes from; `masked` [B, N, 1] is
 * 1 for patches of the task's modality that are not visible, else 0; all 1 where the encoder does not see the modality.
 *
 *     c = proj_context(tokens); those of patches get the position of their patch and the embedding of their modality
 *     q = for each patch of the task its token in c, or the mask token; with the same position and embedding (no embedding
 *         where the encoder does not see the modality)
 *     x = cross-attention(query_norm(q), context_norm(c));  x += mlp(out_norm(x));  self-attention blocks;  out_proj
 *
 * There is no residual around the cross-attention upstream.
 */
export function decoderGraph(
  graph: Graph,
  tokens: Value,
  chosen: Value,
  masked: Value,
  config: DecoderConfig,
  encoder: MultimaeConfig,
  task: Rebuilt,
): Value {
  const prefix = decoderPrefix(task);
  return within(graph, `decoder.${task}`, () => {
    const { dim, depth, heads } = config;
    const { channels, side } = patchLayout(encoder, task);
    const [, visible] = chosen.shape as readonly [number, number, number];
    const { positions, places } = placeEmbeddings(graph, dim, encoder, prefix);

    const projected = namedLinear(graph, tokens, `${prefix}proj_context`, dim, encoder.dim);
    const patches = slice(graph, projected, 1, 0, visible);
    const placed = add(graph, patches, matmul(graph, chosen, concat(graph, places, 0)));
    const all = visible + encoder.globalTokens;
    const context =
      encoder.globalTokens > 0 ? concat(graph, [placed, slice(graph, projected, 1, visible, all)], 1) : placed;

    const own = (encoder.modalities as readonly string[]).indexOf(modalityOf(task));
    const count = (encoder.image / encoder.patch) ** 2;
    const blanks = multiply(graph, masked, addParameter(graph, `${prefix}mask_token`, [1, 1, dim]));
    const tokensOf = (modality: number) =>
      matmul(graph, swapLast(graph, slice(graph, chosen, 2, modality * count, (modality + 1) * count)), patches);
    const queries =
      own < 0 ? add(graph, blanks, positions) : add(graph, add(graph, tokensOf(own), blanks), places[own]!);

    const norm = (value: Value, name: string) => namedNorm(graph, value, `${prefix}${name}`, dim);
    let x = crossAttention(graph, norm(queries, 'query_norm'), norm(context, 'context_norm'), config, prefix);
    const hidden = MLP_RATIO * dim;
    const activated = gelu(graph, namedLinear(graph, norm(x, 'out_norm'), `${prefix}mlp.fc1`, hidden, dim));
    x = add(graph, x, namedLinear(graph, activated, `${prefix}mlp.fc2`, dim, hidden));
    for (let block = 0; block < depth; block++) {
      x = transformerBlock(graph, x, { dim, heads }, `${prefix}decoder_transformer.${block}`);
    }
    return namedLinear(graph, x, `${prefix}out_proj`, channels * side ** 2, dim);
  });
}

function decoderPrefix(task: Rebuilt): string {
  return `output_adapters.${task}.`;
}

/** Position of each patch, [N, dim], and position plus embedding of the modality, [N, dim] for each modality. */
function placeEmbeddings(graph: Graph, dim: number, { modalities, image, patch }: MultimaeConfig, prefix: string) {
  const grid = image / patch;
  const table = flattenImage(graph, addParameter(graph, `${prefix}pos_emb`, [1, dim, grid, grid]), grid ** 2);
  const positions = reshape(graph, transpose(graph, table, [0, 2, 1]), [grid ** 2, dim]);
  const places = modalities.map((modality) => {
    const embedding = addParameter(graph, `${prefix}task_embeddings.${modality}`, [1, 1, dim]);
    return add(graph, positions, reshape(graph, embedding, [1, dim]));
  });
  return { positions, places };
}

function crossAttention(graph: Graph, x: Value, context: Value, { dim, heads }: DecoderConfig, prefix: string): Value {
  const q = namedLinear(graph, x, `${prefix}decoder.q`, dim, dim);
  const [k, v] = [0, 1].map((i) =>
    namedLinear(graph, context, `${prefix}decoder.kv`, 2 * dim, dim, [i * dim, (i + 1) * dim]),
  ) as [Value, Value];
  return namedLinear(graph, multiHeadAttention(graph, q, k, v, heads), `${prefix}decoder.proj`, dim, dim);
}
