/** The unit in which an adapter learns depth. */
import { oneOf } from '../check.js';
import type { Dataset } from '../data/dataset.js';
import { DataError } from '../errors.js';

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
