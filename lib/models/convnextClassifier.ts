/** Classes of a scene from its tokens: the trunk of the ConvNeXt adapter, mean over places, LayerNorm, Linear. */
import type { Graph, Value } from '../onnx/graph.js';
import { reshape } from '../onnx/ops/layout.js';
import { reduceMean } from '../onnx/ops/reduce.js';
import { type ConvNextTrunk, convNextTrunk, convNextTrunkWeights } from './convnext.js';
import type { TokenGrid } from './dpt.js';
import { namedLinear, namedNorm } from './transformer.js';

export interface ConvNextClassifierConfig extends ConvNextTrunk {
  readonly kind: 'convnext-classifier';
  readonly classes: number;
}

/** Name and shape of every weight; names without their prefix. */
export function convNextClassifierWeights(
  config: ConvNextClassifierConfig,
  grid: TokenGrid,
): Map<string, readonly number[]> {
  const { embedDim, subPatches, classes } = config;
  const channels = embedDim / subPatches;
  return new Map<string, readonly number[]>([
    ...convNextTrunkWeights(config, grid),
    ['norm.weight', [channels]],
    ['norm.bias', [channels]],
    ['head.weight', [classes, channels]],
    ['head.bias', [classes]],
  ]);
}

/** Logits [B, classes] of tokens [B, side^2, C] of one block; weights under `prefix`. */
export function convNextClassifierGraph(
  graph: Graph,
  tokens: Value,
  config: ConvNextClassifierConfig,
  grid: TokenGrid,
  prefix: string,
): Value {
  const { embedDim, subPatches, classes } = config;
  const channels = embedDim / subPatches;
  const map = convNextTrunk(graph, tokens, config, grid, prefix);
  const pooled = reshape(graph, reduceMean(graph, map, [2, 3]), [tokens.shape[0]!, channels]);
  return namedLinear(graph, namedNorm(graph, pooled, `${prefix}norm`, channels), `${prefix}head`, classes, channels);
}
