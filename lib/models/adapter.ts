/** The adapters that can be put on an encoder, as one kind of thing. */
import type { Graph, Value } from '../onnx/graph.js';
import type { MultimaeConfig } from './config.js';
import { type ConvNextConfig, convNextGraph, convNextWeights } from './convnext.js';
import {
  type ConvNextClassifierConfig,
  convNextClassifierGraph,
  convNextClassifierWeights,
} from './convnextClassifier.js';
import { type DptConfig, dptGraph, dptWeights, type TokenGrid } from './dpt.js';
import {
  type ClassifierConfig,
  classifierGraph,
  classifierWeights,
  type LinearDepthConfig,
  linearDepthGraph,
  linearDepthWeights,
} from './linearHeads.js';

export type AdapterConfig =
  | DptConfig
  | ConvNextConfig
  | LinearDepthConfig
  | ClassifierConfig
  | ConvNextClassifierConfig;

/** What an adapter may get: DPT and those of ConvNeXt take tokens, the linear heads one vector a sample. */
export interface AdapterInputs {
  /** [B, side^2, C]: one for each hook of DPT, else one. */
  readonly tokens: readonly Value[];
  /** [B, D]: the mean of all tokens of the last block, or its last token. */
  readonly pooled?: Value;
}

/** Blocks of the encoder whose tokens the adapter takes, 0-based. */
export function adapterHooks(adapter: AdapterConfig, encoder: MultimaeConfig): readonly number[] {
  return adapter.kind === 'dpt' ? adapter.hooks : [encoder.depth - 1];
}

/** Whether the adapter takes one pooled vector a sample instead of tokens. */
export function takesPooled(adapter: AdapterConfig): boolean {
  return adapter.kind === 'linear' || adapter.kind === 'classifier';
}

/** The tokens that an adapter on these modalities gets, if it takes tokens. */
export function tokenGrid(encoder: MultimaeConfig, mainTasks: readonly string[]): TokenGrid {
  return { width: encoder.dim * mainTasks.length, side: encoder.image / encoder.patch };
}

/** Name and shape of every weight; names without their prefix. */
export function adapterWeights(adapter: AdapterConfig, grid: TokenGrid, encoder: MultimaeConfig) {
  switch (adapter.kind) {
    case 'dpt':
      return dptWeights(adapter, grid);
    case 'convnext':
      return convNextWeights(adapter, grid);
    case 'linear':
      return linearDepthWeights(adapter, encoder.dim, encoder.image);
    case 'classifier':
      return classifierWeights(adapter, encoder.dim);
    case 'convnext-classifier':
      return convNextClassifierWeights(adapter, grid);
  }
}

/** The prediction: depth [B, 1, S, S], or logits [B, classes]. */
export function adapterGraph(
  graph: Graph,
  { tokens, pooled }: AdapterInputs,
  adapter: AdapterConfig,
  { grid, encoder, prefix }: { grid: TokenGrid; encoder: MultimaeConfig; prefix: string },
): Value {
  switch (adapter.kind) {
    case 'dpt':
      return dptGraph(graph, tokens, adapter, grid, prefix).output;
    case 'convnext':
      return convNextGraph(graph, tokens[0]!, adapter, grid, prefix, encoder.image);
    case 'linear':
      return linearDepthGraph(graph, pooled!, adapter, encoder.dim, encoder.image, prefix);
    case 'classifier':
      return classifierGraph(graph, pooled!, adapter, encoder.dim, prefix);
    case 'convnext-classifier':
      return convNextClassifierGraph(graph, tokens[0]!, adapter, grid, prefix);
  }
}
