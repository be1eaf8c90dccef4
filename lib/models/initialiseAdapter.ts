/** What the weights of an adapter are before any training, seeded; as PyTorch and MultiMAE initialise them. */
import { elementCount } from '../weights/tensor.js';
import type { AdapterConfig } from './adapter.js';
import { fillNormal, fillUniform, randomStream } from './initialise.js';

/**
 * Values of the weight `name` (without prefix) of an adapter whose weights have these shapes.
 *
 * Convolutions, and the paper's linear depth adapter: U(+-1 / sqrt(fan-in)), weight and bias, which is what PyTorch does
 * when nothing is said. Linear layers of ConvNeXt and classifiers: normal, standard deviation 0.02, cut off at +-2, and
 * bias 0, as in MultiMAE. Norms 1 and 0. The stream of random numbers depends on the seed and the name only.
 */
export function initialAdapterWeight(
  adapter: AdapterConfig,
  shapes: ReadonlyMap<string, readonly number[]>,
  name: string,
  seed: number,
): Float32Array {
  const shape = shapes.get(name)!;
  const data = new Float32Array(elementCount(shape));
  const module = name.slice(0, name.lastIndexOf('.'));
  const weight = shapes.get(`${module}.weight`)!;
  const isBias = name.endsWith('.bias');
  if (weight.length === 1) return isBias ? data : data.fill(1);
  const random = randomStream(seed, name);
  if (weight.length === 2 && adapter.kind !== 'linear') return isBias ? data : fillNormal(data, random, 0.02);
  return fillUniform(data, random, 1 / Math.sqrt(elementCount(weight.slice(1))));
}
