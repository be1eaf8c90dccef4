/** Depth as stored -> the unit in which an adapter learns it. */
import { oneOf, outOfRange } from '../check.js';

/** target = (depth - shift) / scale, of metres or of the numbers as they are stored. */
export interface DepthScale {
  readonly of: 'metres' | 'stored';
  readonly shift: number;
  readonly scale: number;
}

/** The units of the recipes: the official NYU one standardises millimetres, the paper divides the stored 16 bits. */
export const DEPTH_SCALES = {
  metres: { of: 'metres', shift: 0, scale: 1 },
  /** (millimetres - 2070.7764) / 777.5723, the mean and standard deviation of NYU-Depth-v2. */
  official: { of: 'metres', shift: 2.0707764, scale: 0.7775723 },
  /** stored 16-bit number / 32767. */
  paper: { of: 'stored', shift: 0, scale: 32767 },
} as const satisfies Record<string, DepthScale>;

/** A preset by name, or metres shifted and scaled: target = (metres - shift) / scale. */
export type DepthTarget = keyof typeof DEPTH_SCALES | { readonly shift: number; readonly scale: number };

/** @throws {RangeError} if `scale` is not > 0 or a number is not finite. */
export function depthScaleOf(target: DepthTarget): DepthScale {
  if (typeof target !== 'object' || target === null) {
    return DEPTH_SCALES[oneOf('depth', target, ['metres', 'official', 'paper'])];
  }
  const { shift, scale } = target;
  if (!Number.isFinite(shift)) throw outOfRange('depth.shift', 'a finite number', shift);
  if (!(scale > 0 && Number.isFinite(scale))) throw outOfRange('depth.scale', 'a finite number > 0', scale);
  return { of: 'metres', shift, scale };
}
