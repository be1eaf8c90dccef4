/** Which samples are in the mini-batch of a step: a function of seed and step alone, so that training can go on anywhere. */
import { below, stream } from '../select/random.js';

export interface BatchOrder {
  /** Steps of one pass: floor(samples / batch), at least 1; samples left over wait for the next pass. */
  readonly stepsPerEpoch: number;
  /** Places 0..samples - 1 of the mini-batch of `step` = 0, 1, ... and the pass that it belongs to. */
  at(step: number): { readonly places: Int32Array; readonly epoch: number };
}

/** A seeded permutation for each pass; of fewer samples than a batch, some are in it more than once. */
export function batchOrder(samples: number, batch: number, seed: number): BatchOrder {
  const stepsPerEpoch = Math.max(1, Math.floor(samples / batch));
  let current: { epoch: number; order: Int32Array } = { epoch: -1, order: new Int32Array(0) };
  return {
    stepsPerEpoch,
    at(step) {
      const epoch = Math.floor(step / stepsPerEpoch);
      if (current.epoch !== epoch) current = { epoch, order: permutation(samples, seed, epoch) };
      const first = (step % stepsPerEpoch) * batch;
      const places = Int32Array.from({ length: batch }, (_, i) => current.order[(first + i) % samples]!);
      return { places, epoch };
    },
  };
}

/** Fisher-Yates. */
function permutation(count: number, seed: number, index: number): Int32Array {
  const random = stream(seed, index);
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = below(random, i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
