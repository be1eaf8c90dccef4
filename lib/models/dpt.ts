/**
 * The DPT adapter (Ranftl et al., "Vision Transformers for Dense Prediction", arXiv 2103.13413) as MultiMAE has it: tokens
 * of four encoder blocks -> four feature maps -> fused from the coarsest to the finest -> one value a pixel.
 */
import type { Graph, Value } from '../onnx/graph.js';
import { within } from '../onnx/graph.js';
import { relu } from '../onnx/ops/activation.js';
import { add } from '../onnx/ops/arithmetic.js';
import { convolution, patchDeconvolution } from '../onnx/ops/convolution.js';
import { doubledConvolution, joinTiles } from '../onnx/ops/doubledConvolution.js';
import { reshape, transpose } from '../onnx/ops/layout.js';
import { matmul } from '../onnx/ops/linear.js';
import { resizeBilinear } from '../onnx/ops/resize.js';
import { addParameter } from '../onnx/parameters.js';

/** Channels of the convolution before the last one: fixed upstream. */
const HEAD_CHANNELS = 32;

export interface DptConfig {
  readonly kind: 'dpt';
  /** `official` has weights for `refinenet4.resConfUnit1`, which nothing uses; `paper` lacks them. */
  readonly variant: 'official' | 'paper';
  /** Encoder blocks whose tokens are taken, from fine to coarse: [2, 5, 8, 11] for ViT-B. */
  readonly hooks: readonly [number, number, number, number];
  /** Channels of the four maps: [96, 192, 384, 768] for ViT-B. */
  readonly layerDims: readonly [number, number, number, number];
  /** Channels of the fused maps, even: 256 for ViT-B. */
  readonly featureDim: number;
}

/** What the tokens look like that an adapter gets. */
export interface TokenGrid {
  /** C: channels of a token; those of all main tasks side by side. */
  readonly width: number;
  /** Tokens along each side of the image; even for DPT. */
  readonly side: number;
}

/** Name and shape of every weight, in the order of an official checkpoint; names without their prefix. */
export function dptWeights(config: DptConfig, { width }: TokenGrid): Map<string, readonly number[]> {
  const { layerDims, featureDim: features } = config;
  const weights = new Map<string, readonly number[]>();
  const conv = (name: string, shape: readonly number[], bias?: number) => {
    weights.set(`${name}.weight`, shape);
    if (bias !== undefined) weights.set(`${name}.bias`, [bias]);
  };
  layerDims.forEach((dim, i) => {
    conv(`scratch.layer${i + 1}_rn`, [features, dim, 3, 3]);
  });
  for (let k = 1; k <= 4; k++) {
    conv(`scratch.refinenet${k}.out_conv`, [features, features, 1, 1], features);
    for (const unit of unitsOf(k, config.variant)) {
      for (const part of [1, 2]) {
        conv(`scratch.refinenet${k}.resConfUnit${unit}.conv${part}`, [features, features, 3, 3], features);
      }
    }
  }
  layerDims.forEach((dim, i) => {
    const name = `act_${i + 1}_postprocess`;
    conv(`${name}.0`, [dim, width, 1, 1], dim);
    if (i < 2) conv(`${name}.1`, [dim, dim, i === 0 ? 4 : 2, i === 0 ? 4 : 2], dim);
    if (i === 3) conv(`${name}.1`, [dim, dim, 3, 3], dim);
  });
  conv('head.0', [features / 2, features, 3, 3], features / 2);
  conv('head.2', [HEAD_CHANNELS, features / 2, 3, 3], HEAD_CHANNELS);
  conv('head.4', [1, HEAD_CHANNELS, 1, 1], 1);
  return weights;
}

function unitsOf(refinenet: number, variant: DptConfig['variant']): number[] {
  return refinenet === 4 && variant === 'paper' ? [2] : [1, 2];
}

/** Second names of weights in a checkpoint: upstream registers the same modules twice. Alias -> name. */
export function dptAliases(weights: Iterable<string>): Map<string, string> {
  const aliases = new Map<string, string>();
  for (const name of weights) {
    const layer = /^scratch\.layer(\d)_rn(\..*)$/.exec(name);
    if (layer) aliases.set(`scratch.layer_rn.${Number(layer[1]) - 1}${layer[2]}`, name);
    const act = /^act_(\d)_postprocess(\..*)$/.exec(name);
    if (act) aliases.set(`act_postprocess.${Number(act[1]) - 1}${act[2]}`, name);
  }
  return aliases;
}

/** Everything of the adapter that something else may want, [B, ...] each. */
export interface DptFeatures {
  /** Four maps from fine to coarse [B, layerDims, ...], before and after the 3 x 3 convolutions to `featureDim`. */
  readonly maps: readonly Value[];
  readonly layers: readonly Value[];
  /** `path_1` .. `path_4` [B, featureDim, ...]: the output of each fusion; `path_1` is what the paper calls head_out. */
  readonly paths: readonly [Value, Value, Value, Value];
  /** [B, 1, H, W]: the prediction, in the unit of the target. */
  readonly output: Value;
}

/** The adapter on the hooked tokens, [B, side^2, C] each, from fine to coarse; weights under `prefix`. */
export function dptGraph(
  graph: Graph,
  tokens: readonly Value[],
  config: DptConfig,
  { width, side }: TokenGrid,
  prefix: string,
): DptFeatures {
  const shapes = dptWeights(config, { width, side });
  const weight = (name: string) => addParameter(graph, prefix + name, shapes.get(name)!);
  const conv = (x: Value, name: string, options: { stride?: number; pad?: number } = {}) =>
    convolution(
      graph,
      x,
      weight(`${name}.weight`),
      shapes.has(`${name}.bias`) ? weight(`${name}.bias`) : undefined,
      options,
    );

  const maps = tokens.map((value, i) =>
    within(graph, `dpt.act_${i + 1}`, () => {
      const name = `act_${i + 1}_postprocess`;
      const dim = config.layerDims[i]!;
      // A convolution of 1 x 1 while the tokens are still rows: its gradient is one product, and fewer channels are turned.
      const filters = transpose(graph, reshape(graph, weight(`${name}.0.weight`), [dim, width]), [1, 0]);
      const rows = add(graph, matmul(graph, value, filters), weight(`${name}.0.bias`));
      const projected = reshape(graph, transpose(graph, rows, [0, 2, 1]), [value.shape[0]!, dim, side, side]);
      if (i < 2) return patchDeconvolution(graph, projected, weight(`${name}.1.weight`), weight(`${name}.1.bias`));
      return i === 2 ? projected : conv(projected, `${name}.1`, { stride: 2, pad: 1 });
    }),
  );
  const layers = maps.map((map, i) => conv(map, `scratch.layer${i + 1}_rn`, { pad: 1 }));
  const refine = (x: Value, name: string): Value => {
    const inner = relu(graph, conv(relu(graph, x), `${name}.conv1`, { pad: 1 }));
    return add(graph, x, conv(inner, `${name}.conv2`, { pad: 1 }));
  };
  const doubled = (x: Value) => resizeBilinear(graph, x, 2 * (x.shape[2] as number), 2 * (x.shape[3] as number), true);
  /** The finest fused map before it is doubled. */
  let fused: Value | undefined;
  let path: Value | undefined;
  const paths = [4, 3, 2, 1].map((k) =>
    within(graph, `dpt.refinenet${k}`, () => {
      const name = `scratch.refinenet${k}`;
      const layer = layers[k - 1]!;
      const sum: Value = path ? add(graph, path, refine(layer, `${name}.resConfUnit1`)) : layer;
      // Upstream doubles first. A convolution of 1 x 1 commutes with interpolation, whose weights sum to 1, and here it
      // has a quarter of the places to do.
      fused = conv(refine(sum, `${name}.resConfUnit2`), `${name}.out_conv`);
      path = doubled(fused);
      return path;
    }),
  );
  const output = within(graph, 'dpt.head', () => {
    if (!graph.fused) {
      const wide = conv(doubled(conv(path!, 'head.0', { pad: 1 })), 'head.2', { pad: 1 });
      return conv(relu(graph, wide), 'head.4');
    }
    // Both of 3 x 3 come right after a doubling.
    const doubledConv = (x: Value, name: string) =>
      doubledConvolution(graph, x, weight(`${name}.weight`), weight(`${name}.bias`));
    const narrow = joinTiles(graph, doubledConv(transpose(graph, fused!, [0, 2, 3, 1]), 'head.0'));
    const wide = relu(graph, doubledConv(narrow, 'head.2'));
    const last = reshape(graph, weight('head.4.weight'), [HEAD_CHANNELS, 1]);
    const depth = joinTiles(graph, add(graph, matmul(graph, wide, last), weight('head.4.bias')));
    const [batch, height, columns] = depth.shape;
    return reshape(graph, depth, [batch!, 1, height!, columns!]);
  });
  return { maps, layers, paths: paths.reverse() as [Value, Value, Value, Value], output };
}
