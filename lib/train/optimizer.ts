/** Adam and AdamW, the learning rate over time, and what differs from weight to weight. */
import type { MultimaeConfig } from '../models/config.js';

export const OPTIMIZERS_OF_TRAINING = ['adam', 'adamw'] as const;
export const SCHEDULES = ['constant', 'cosine'] as const;

export interface Optimizer {
  /** `adam` adds weight decay to the gradient (L2), `adamw` takes it off the weight (arXiv 1711.05101). */
  readonly kind: (typeof OPTIMIZERS_OF_TRAINING)[number];
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of matrices and filters; vectors, biases, positions, global and mask tokens have none, as in MultiMAE. */
  readonly weightDecay: number;
  /**
   * Factor of the learning rate from one block to the one below, 1 = the same for all: block i of L gets
   * layerDecay^(L - i), input adapters layerDecay^(L + 1), the adapter 1 (Clark et al., ELECTRA, arXiv 2003.10555).
   */
  readonly layerDecay: number;
}

export interface Schedule {
  /** Learning rate after the warm-up. */
  readonly learningRate: number;
  /** `constant`, or `cosine`: half a cosine from the learning rate to 0 over the steps after the warm-up. */
  readonly shape: (typeof SCHEDULES)[number];
  /** Steps over which the rate rises linearly from 0. */
  readonly warmupSteps: number;
}

/** The learning rate of step `step` = 0, 1, ... of `steps`. */
export function learningRateAt({ learningRate, shape, warmupSteps }: Schedule, step: number, steps: number): number {
  if (step < warmupSteps) return (learningRate * step) / warmupSteps;
  if (shape === 'constant') return learningRate;
  const done = (step - warmupSteps) / Math.max(1, steps - warmupSteps);
  return (learningRate * (1 + Math.cos(Math.PI * done))) / 2;
}

/** What differs from weight to weight. */
export interface WeightOptions {
  /** Factor of the learning rate. */
  readonly scale: number;
  /** Weight decay. */
  readonly decay: number;
}

/** Factor of the learning rate, and weight decay, of the weight `name`. */
export function weightOptions(
  { weightDecay, layerDecay }: Optimizer,
  encoder: MultimaeConfig,
  name: string,
  shape: readonly number[],
): WeightOptions {
  const tokens = name === 'global_tokens' || name.endsWith('.mask_token');
  const free = shape.length === 1 || name.endsWith('.bias') || name.endsWith('pos_emb') || tokens;
  return { scale: layerDecay ** (encoder.depth + 1 - layerOf(name, encoder.depth)), decay: free ? 0 : weightDecay };
}

/** 0 = input adapters and tokens, 1..L = blocks, L + 1 = what comes behind. */
function layerOf(name: string, depth: number): number {
  const block = /^encoder\.(\d+)\./.exec(name);
  if (block) return Number(block[1]) + 1;
  return name.startsWith('input_adapters.') || name === 'global_tokens' ? 0 : depth + 1;
}
