/**
 * The MultiMAE encoder (Bachmann et al., arXiv 2204.01678): its weights by the official names, and its graph.
 * The graph takes rgb, labels and the position table of the whole sequence, so that one graph serves every batch and
 * image size.
 */
import { addInput, addOutput, createGraph, type Dim, type Graph, scalar, type Value, within } from '../onnx/graph.js';
import { add } from '../onnx/ops/arithmetic.js';
import { patchConvolution } from '../onnx/ops/convolution.js';
import { concat, flattenImage, gather, padEnd, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { addParameter } from '../onnx/parameters.js';
import type { MultimaeConfig } from './config.js';
import { blockWeights, transformerBlock } from './transformer.js';

export type EncoderModality = MultimaeConfig['modalities'][number];

/** Rows of the class embedding: valid label ids are 0..rows-1. */
export function classRows(config: MultimaeConfig): number {
  return config.semsegClasses + (config.semsegPadding ? 1 : 0);
}

/** Name and shape of every weight of the encoder, in the order of an official checkpoint. */
export function encoderWeights(config: MultimaeConfig): ReadonlyMap<string, readonly number[]> {
  const { dim, patch, depth, classEmbedding, semsegStride } = config;
  const grid = config.image / patch;
  const labelPatch = patch / semsegStride;
  const weights = new Map<string, readonly number[]>();
  if (config.globalTokens > 0) weights.set('global_tokens', [1, config.globalTokens, dim]);
  if (config.modalities.includes('rgb')) {
    weights.set('input_adapters.rgb.pos_emb', [1, dim, grid, grid]);
    weights.set('input_adapters.rgb.proj.weight', [dim, 3, patch, patch]);
    weights.set('input_adapters.rgb.proj.bias', [dim]);
  }
  if (config.modalities.includes('semseg')) {
    weights.set('input_adapters.semseg.pos_emb', [1, dim, grid, grid]);
    weights.set('input_adapters.semseg.class_emb.weight', [classRows(config), classEmbedding]);
    weights.set('input_adapters.semseg.proj.weight', [dim, classEmbedding, labelPatch, labelPatch]);
    weights.set('input_adapters.semseg.proj.bias', [dim]);
  }
  for (let block = 0; block < depth; block++) {
    for (const [name, shape] of blockWeights(`encoder.${block}`, dim)) weights.set(name, shape);
  }
  return weights;
}

/** Sizes of the encoder's images in a graph. Names where they are known only when it runs. */
export interface ImageSizes {
  readonly batch: Dim;
  readonly height: Dim;
  readonly width: Dim;
}

/**
 * The graph of the input adapters and the first `blocks` blocks. Inputs, as far as the configuration has them:
 * `rgb` float32 [B, 3, H, W], `semseg` int32 [B, H/stride, W/stride], and `positions` float32 [1, T, D]: the position
 * embeddings of all patches followed by the global tokens, which have no position; and `pool` float32 [R, T]. Outputs:
 * `layer.i` [B, T, D], and `pooled.i` [B, R, D]: sums of its tokens with the weights of each row of `pool`.
 */
export function encoderGraph(config: MultimaeConfig, blocks: number): Graph {
  const graph = createGraph();
  const parts = patchSequences(graph, config, { batch: 'batch', height: 'height', width: 'width' });
  const patches = parts.length === 1 ? parts[0]! : concat(graph, parts, 1, 'patches');
  // Zeros make room for the global tokens, which arrive with the positions.
  const sequence = padEnd(graph, patches, 1, config.globalTokens, 'tokens');
  const x = add(graph, sequence, addInput(graph, 'positions', 'float32', [1, 'tokens', config.dim]));
  const pool = addInput(graph, 'pool', 'float32', ['rows', 'tokens']);
  addBlocks(graph, x, config, blocks).forEach((layer, i) => {
    addOutput(graph, `layer.${i}`, layer);
    addOutput(graph, `pooled.${i}`, matmul(graph, pool, layer));
  });
  return graph;
}

/**
 * The same for images of `config.image` pixels with position embeddings and global tokens as weights of the graph, so that
 * they can be trained too. Returns the outputs of the blocks, [batch, T, D] each. Of the patches' tokens the blocks get
 * what `choose` makes of them, [batch, V, D]; the global tokens always come behind.
 */
export function encoderLayers(
  graph: Graph,
  config: MultimaeConfig,
  blocks: number,
  batch: number,
  choose: (patches: Value) => Value = (patches) => patches,
): Value[] {
  const { dim, image, patch, globalTokens } = config;
  const grid = image / patch;
  const parts = patchSequences(graph, config, { batch, height: image, width: image }).map((tokens, i) => {
    const name = `input_adapters.${config.modalities[i]!}.pos_emb`;
    const table = flattenImage(graph, addParameter(graph, name, [1, dim, grid, grid]), grid * grid);
    return add(graph, tokens, transpose(graph, table, [0, 2, 1]));
  });
  const patches = choose(parts.length === 1 ? parts[0]! : concat(graph, parts, 1));
  if (globalTokens === 0) return addBlocks(graph, patches, config, blocks);
  const tokens = addParameter(graph, 'global_tokens', [1, globalTokens, dim]);
  // One copy for each sample: a sum with zeros broadcasts, and its gradient sums over the batch.
  const copies = add(graph, tokens, scalar(graph, 0, [batch, 1, 1]));
  return addBlocks(graph, concat(graph, [patches, copies], 1), config, blocks);
}

/** Projected patches of each modality [B, patches, D], without positions. */
function patchSequences(graph: Graph, config: MultimaeConfig, sizes: ImageSizes): Value[] {
  return config.modalities.map((modality) =>
    within(graph, `input_adapters.${modality}`, () =>
      modality === 'rgb' ? rgbTokens(graph, config, sizes) : semsegTokens(graph, config, sizes),
    ),
  );
}

function addBlocks(graph: Graph, input: Value, config: MultimaeConfig, blocks: number): Value[] {
  let x = input;
  return Array.from({ length: blocks }, (_, block) => {
    x = within(graph, `encoder.${block}`, () => transformerBlock(graph, x, config, `encoder.${block}`));
    return x;
  });
}

function rgbTokens(graph: Graph, config: MultimaeConfig, { batch, height, width }: ImageSizes): Value {
  const rgb = addInput(graph, 'rgb', 'float32', [batch, 3, height, width]);
  return patchTokens(graph, rgb, 'rgb', [config.dim, 3, config.patch, config.patch]);
}

function semsegTokens(graph: Graph, config: MultimaeConfig, { batch, height, width }: ImageSizes): Value {
  const { dim, classEmbedding, patch, semsegStride, semsegClasses, semsegPadding } = config;
  const reduced = (name: string, size: Dim) => (typeof size === 'number' ? size / semsegStride : name);
  const shape = [batch, reduced('labelHeight', height), reduced('labelWidth', width)];
  const labels = addInput(graph, 'semseg', 'int32', shape);
  const table = addParameter(graph, 'input_adapters.semseg.class_emb.weight', [classRows(config), classEmbedding]);
  const rows = gather(graph, table, labels, semsegPadding ? semsegClasses : undefined);
  const side = patch / semsegStride;
  return patchTokens(graph, transpose(graph, rows, [0, 3, 1, 2]), 'semseg', [dim, classEmbedding, side, side]);
}

/** Cuts an image into patches and projects each to a token: [B, C, H, W] -> [B, patches, D]. */
function patchTokens(graph: Graph, image: Value, modality: EncoderModality, filters: readonly number[]): Value {
  const weight = addParameter(graph, `input_adapters.${modality}.proj.weight`, filters);
  const bias = addParameter(graph, `input_adapters.${modality}.proj.bias`, [filters[0]!]);
  const grid = patchConvolution(graph, image, weight, bias);
  const [rows, cols] = [grid.shape[2]!, grid.shape[3]!];
  const patches = typeof rows === 'number' && typeof cols === 'number' ? rows * cols : `${modality}Patches`;
  return transpose(graph, flattenImage(graph, grid, patches), [0, 2, 1]);
}
