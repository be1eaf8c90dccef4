/** The unit in which an adapter learns depth. */
import { oneOf } from '../check.js';
import type { Dataset } from '../data/dataset.js';
import { DataError } from '../errors.js';
import type { SampleSource } from './types.js';

/** Samples whose depth decides the unit of `depthUnit`. */
const DEPTH_SAMPLES = 500;

/**
 * - `metres`: as it is.
 * - `official`: (millimetres - 2070.7764) / 777.5723, mean and standard deviation of NYU-Depth-v2.
 * - `paper`: the stored 16-bit number / 32767.
 */
export const DEPTH_TARGETS = ['metres', 'official', 'paper'] as const;
export type DepthTarget = (typeof DEPTH_TARGETS)[number];

/**
 * The adapter learns (metres - shift) / scale.
 * @throws {DataError} `ERR_DEPTH_SCALE` for `paper` where samples differ in metres per stored unit, so that no one scale
 * says the same.
 */
export function depthTarget(target: DepthTarget, dataset: Dataset): { shift: number; scale: number } {
  oneOf('target', target, DEPTH_TARGETS);
  if (target === 'metres') return { shift: 0, scale: 1 };
  if (target === 'official') return { shift: 2.0707764, scale: 0.7775723 };
  const first = dataset.samples[0]!;
  const other = dataset.samples.find(({ depthScale }) => depthScale !== first.depthScale);
  if (!other) return { shift: 0, scale: 32767 * first.depthScale };
  throw new DataError(
    'ERR_DEPTH_SCALE',
    `${dataset.root} stores depth in different units: ${first.depthScale} m in sample ${JSON.stringify(first.id)}, ${other.depthScale} m in sample ${JSON.stringify(other.id)}. ` +
      'The target `paper` needs one unit; use `metres`.',
  );
}

/**
 * Shift and scale that give the depth of these samples mean 0 and standard deviation 1, whatever the scene; of at most 500 of them.
 * @throws {DataError} `ERR_NO_DEPTH` where no pixel is valid.
 */
export async function depthUnit(source: SampleSource): Promise<{ shift: number; scale: number }> {
  const step = Math.max(1, Math.floor(source.rows / DEPTH_SAMPLES));
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (let row = 0; row < source.rows; row += step) {
    const { depth, valid } = await source.read(row, 0);
    depth!.forEach((metres, i) => {
      if (valid![i] === 0) return;
      count++;
      sum += metres;
      squares += metres * metres;
    });
  }
  if (count === 0) {
    throw new DataError(
      'ERR_NO_DEPTH',
      'No pixel of the training samples has a valid depth, so there is nothing to learn.',
    );
  }
  const shift = sum / count;
  return { shift, scale: Math.max(1e-6, Math.sqrt(squares / count - shift * shift)) };
}
