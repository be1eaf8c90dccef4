/** The depth that masked pretraining rebuilds: without unit, shift and scale of the scene. */

/** Part of the valid depths that is left out at either end. */
const CUT = 0.1;

/**
 * MultiMAE's truncated standardisation, in place: (depth - m) / sqrt(v + 1e-6), with mean m and variance v of the valid depths
 * between the first and the last tenth. An image with fewer than two of those has nothing to say: its `valid` becomes 0.
 */
export function standardiseDepth(depth: Float32Array, valid: Float32Array): void {
  const sorted = depth.filter((_, i) => valid[i] !== 0).sort();
  const kept = sorted.subarray(Math.floor(CUT * sorted.length), Math.floor((1 - CUT) * sorted.length));
  if (kept.length < 2) {
    valid.fill(0);
    return;
  }
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length;
  const variance = kept.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (kept.length - 1);
  const scale = 1 / Math.sqrt(variance + 1e-6);
  depth.forEach((value, i) => {
    depth[i] = valid[i] === 0 ? 0 : (value - mean) * scale;
  });
}
