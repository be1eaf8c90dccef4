/**
 * The MultiMAE encoder (Bachmann et al., arXiv 2204.01678): its weights by the official names, and its graph.
 * The graph takes rgb, labels and the position table of the whole sequence, so that one graph serves every batch and
 * image size.
 */
import { addInput, addOutput, addParameter, createGraph, type Graph, type Value, within } from '../onnx/graph.js';
import { gelu } from '../onnx/ops/activation.js';
import { add } from '../onnx/ops/arithmetic.js';
import { multiHeadAttention } from '../onnx/ops/attention.js';
import { patchConvolution } from '../onnx/ops/convolution.js';
import { concat, flattenImage, gather, padEnd, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { layerNorm } from '../onnx/ops/normalization.js';
import type { MultimaeConfig } from './config.js';

const EPSILON = 1e-6;
const MLP_RATIO = 4;

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
    const linear = (name: string, outputs: number, inputs: number) => {
      weights.set(`encoder.${block}.${name}.weight`, [outputs, inputs]);
      weights.set(`encoder.${block}.${name}.bias`, [outputs]);
    };
    const norm = (name: string) => {
      weights.set(`encoder.${block}.${name}.weight`, [dim]);
      weights.set(`encoder.${block}.${name}.bias`, [dim]);
    };
    norm('norm1');
    linear('attn.qkv', 3 * dim, dim);
    linear('attn.proj', dim, dim);
    norm('norm2');
    linear('mlp.fc1', MLP_RATIO * dim, dim);
    linear('mlp.fc2', dim, MLP_RATIO * dim);
  }
  return weights;
}

/**
 * The graph of the input adapters and the first `blocks` blocks. Inputs, as far as the configuration has them:
 * `rgb` float32 [B, 3, H, W], `semseg` int32 [B, H/stride, W/stride], and `positions` float32 [1, T, D]: the position
 * embeddings of all patches followed by the global tokens, which have no position. Outputs: `layer.i` [B, T, D].
 */
export function encoderGraph(config: MultimaeConfig, blocks: number): Graph {
  const graph = createGraph();
  const parts = config.modalities.map((modality) =>
    within(graph, `input_adapters.${modality}`, () =>
      modality === 'rgb' ? rgbTokens(graph, config) : semsegTokens(graph, config),
    ),
  );
  const patches = parts.length === 1 ? parts[0]! : concat(graph, parts, 1, 'patches');
  // Zeros make room for the global tokens, which arrive with the positions.
  const sequence = padEnd(graph, patches, 1, config.globalTokens, 'tokens');
  let x = add(graph, sequence, addInput(graph, 'positions', 'float32', [1, 'tokens', config.dim]));
  for (let block = 0; block < blocks; block++) {
    x = within(graph, `encoder.${block}`, () => transformerBlock(graph, x, config, `encoder.${block}`));
    addOutput(graph, `layer.${block}`, x);
  }
  return graph;
}

function rgbTokens(graph: Graph, config: MultimaeConfig): Value {
  const rgb = addInput(graph, 'rgb', 'float32', ['batch', 3, 'height', 'width']);
  return patchTokens(graph, rgb, 'rgb', [config.dim, 3, config.patch, config.patch]);
}

function semsegTokens(graph: Graph, config: MultimaeConfig): Value {
  const { dim, classEmbedding, patch, semsegStride } = config;
  const labels = addInput(graph, 'semseg', 'int32', ['batch', 'labelHeight', 'labelWidth']);
  const table = addParameter(graph, 'input_adapters.semseg.class_emb.weight', [classRows(config), classEmbedding]);
  const embedded = transpose(graph, gather(graph, table, labels), [0, 3, 1, 2]);
  const side = patch / semsegStride;
  return patchTokens(graph, embedded, 'semseg', [dim, classEmbedding, side, side]);
}

/** Cuts an image into patches and projects each to a token: [B, C, H, W] -> [B, patches, D]. */
function patchTokens(graph: Graph, image: Value, modality: EncoderModality, filters: readonly number[]): Value {
  const weight = addParameter(graph, `input_adapters.${modality}.proj.weight`, filters);
  const bias = addParameter(graph, `input_adapters.${modality}.proj.bias`, [filters[0]!]);
  const grid = patchConvolution(graph, image, weight, bias);
  return transpose(graph, flattenImage(graph, grid, `${modality}Patches`), [0, 2, 1]);
}

/** x += proj(attention(norm1(x))); x += fc2(gelu(fc1(norm2(x)))) */
function transformerBlock(graph: Graph, input: Value, config: MultimaeConfig, name: string): Value {
  const { dim, heads } = config;
  const hidden = MLP_RATIO * dim;
  const norm = (x: Value, part: string) =>
    layerNorm(
      graph,
      x,
      addParameter(graph, `${name}.${part}.weight`, [dim]),
      addParameter(graph, `${name}.${part}.bias`, [dim]),
      EPSILON,
    );

  let x = input;
  const h = norm(x, 'norm1');
  // Three products instead of one and a Split: the rows of qkv are [q | k | v].
  const [q, k, v] = [0, 1, 2].map((i) =>
    linear(graph, h, `${name}.attn.qkv`, 3 * dim, dim, [i * dim, (i + 1) * dim]),
  ) as [Value, Value, Value];
  const attended = multiHeadAttention(graph, q, k, v, heads);
  x = add(graph, x, linear(graph, attended, `${name}.attn.proj`, dim, dim));
  const activated = gelu(graph, linear(graph, norm(x, 'norm2'), `${name}.mlp.fc1`, hidden, dim));
  return add(graph, x, linear(graph, activated, `${name}.mlp.fc2`, dim, hidden));
}

/** x W' + b; the weights are stored transposed, as ONNX Runtime's matrix product wants them. */
function linear(
  graph: Graph,
  x: Value,
  name: string,
  outputs: number,
  inputs: number,
  rows?: readonly [number, number],
): Value {
  const slice = rows ? { rows } : {};
  const weight = addParameter(graph, `${name}.weight`, [outputs, inputs], { ...slice, transposed: true });
  const bias = addParameter(graph, `${name}.bias`, [outputs], slice);
  return add(graph, matmul(graph, x, weight), bias);
}
