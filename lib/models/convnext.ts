/**
 * MultiMAE's ConvNeXt adapter (Liu et al., "A ConvNet for the 2020s", arXiv 2201.03545): every token becomes a square of
 * sub-patches, a few ConvNeXt blocks mix them, a 1 x 1 convolution predicts, and the result is resized to the image.
 */
import { type Graph, type Value, within } from '../onnx/graph.js';
import { gelu } from '../onnx/ops/activation.js';
import { add } from '../onnx/ops/arithmetic.js';
import { convolution, depthwiseConvolution } from '../onnx/ops/convolution.js';
import { reshape, transpose } from '../onnx/ops/layout.js';
import { resizeBilinear } from '../onnx/ops/resize.js';
import { addParameter } from '../onnx/parameters.js';
import type { TokenGrid } from './dpt.js';
import { MLP_RATIO, namedLinear, namedNorm } from './transformer.js';

/** Everything of the adapter but its last layer. */
export interface ConvNextTrunk {
  /** Width that a token is projected to, 6144 upstream; `subPatches` must divide it. */
  readonly embedDim: number;
  /** Sub-patches of a token, a square number, 16 upstream. */
  readonly subPatches: number;
  /** 4 upstream. */
  readonly blocks: number;
}

export interface ConvNextConfig extends ConvNextTrunk {
  readonly kind: 'convnext';
}

/** Name and shape of every weight of the trunk; names without their prefix. */
export function convNextTrunkWeights(
  { embedDim, subPatches, blocks }: ConvNextTrunk,
  { width }: TokenGrid,
): Map<string, readonly number[]> {
  const channels = embedDim / subPatches;
  const weights = new Map<string, readonly number[]>();
  const linear = (name: string, outputs: number, inputs: number) => {
    weights.set(`${name}.weight`, [outputs, inputs]);
    weights.set(`${name}.bias`, [outputs]);
  };
  linear('proj_dec', embedDim, width);
  for (let i = 0; i < blocks; i++) {
    weights.set(`blocks.${i}.dwconv.weight`, [channels, 1, 7, 7]);
    weights.set(`blocks.${i}.dwconv.bias`, [channels]);
    weights.set(`blocks.${i}.norm.weight`, [channels]);
    weights.set(`blocks.${i}.norm.bias`, [channels]);
    linear(`blocks.${i}.pwconv1`, MLP_RATIO * channels, channels);
    linear(`blocks.${i}.pwconv2`, channels, MLP_RATIO * channels);
  }
  return weights;
}

/** Name and shape of every weight; names without their prefix. */
export function convNextWeights(config: ConvNextConfig, grid: TokenGrid): Map<string, readonly number[]> {
  return convNextTrunkWeights(config, grid)
    .set('final_layer.weight', [1, config.embedDim / config.subPatches, 1, 1])
    .set('final_layer.bias', [1]);
}

/**
 * The trunk on tokens [B, side^2, C] of one block: [B, embedDim / subPatches, H, H] with H = side sqrt(subPatches). Weights
 * under `prefix`.
 */
export function convNextTrunk(
  graph: Graph,
  tokens: Value,
  config: ConvNextTrunk,
  { width, side }: TokenGrid,
  prefix: string,
): Value {
  const { embedDim, subPatches, blocks } = config;
  const channels = embedDim / subPatches;
  const inner = Math.sqrt(subPatches);
  const batch = tokens.shape[0]!;
  const shapes = convNextTrunkWeights(config, { width, side });
  const weight = (name: string) => addParameter(graph, prefix + name, shapes.get(name)!);

  const projected = namedLinear(graph, tokens, `${prefix}proj_dec`, embedDim, width);
  const cut = reshape(graph, projected, [batch, side, side, inner, inner, channels]);
  let x = reshape(graph, transpose(graph, cut, [0, 5, 1, 3, 2, 4]), [batch, channels, side * inner, side * inner]);
  for (let i = 0; i < blocks; i++) {
    const name = `blocks.${i}`;
    x = within(graph, `convnext.${i}`, () => {
      const mixed = depthwiseConvolution(graph, x, weight(`${name}.dwconv.weight`), weight(`${name}.dwconv.bias`));
      const last = transpose(graph, mixed, [0, 2, 3, 1]);
      const hidden = namedLinear(
        graph,
        namedNorm(graph, last, `${prefix}${name}.norm`, channels),
        `${prefix}${name}.pwconv1`,
        MLP_RATIO * channels,
        channels,
      );
      const out = namedLinear(graph, gelu(graph, hidden), `${prefix}${name}.pwconv2`, channels, MLP_RATIO * channels);
      return add(graph, x, transpose(graph, out, [0, 3, 1, 2]));
    });
  }
  return x;
}

/** The adapter on tokens [B, side^2, C] of one block: [B, 1, image, image]. Weights under `prefix`. */
export function convNextGraph(
  graph: Graph,
  tokens: Value,
  config: ConvNextConfig,
  grid: TokenGrid,
  prefix: string,
  image: number,
): Value {
  const shapes = convNextWeights(config, grid);
  const weight = (name: string) => addParameter(graph, prefix + name, shapes.get(name)!);
  const map = convNextTrunk(graph, tokens, config, grid, prefix);
  const small = convolution(graph, map, weight('final_layer.weight'), weight('final_layer.bias'));
  return resizeBilinear(graph, small, image, image, false);
}
