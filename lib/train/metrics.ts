/** How good predictions are. Lower is better for all but delta. */

/** Depth metrics of a split, by name; depths in metres. */
export interface DepthMetrics {
  /** sqrt(mean (p - t)^2). */
  readonly rmse: number;
  /** mean |p - t| / max(t, 1e-6). */
  readonly absrel: number;
  /** mean (p - t)^2 / max(t, 1e-6). */
  readonly sqrel: number;
  /** sqrt(mean (ln p - ln t)^2), natural logarithms of at least 1e-6: what MultiMAE and the paper print as "log10". */
  readonly logRmse: number;
  /** mean |log10 p - log10 t| of at least 1e-6: what the field calls log10 (Laina et al., arXiv 1606.00373). */
  readonly log10: number;
  /** Share of pixels with max(p / t, t / p) < 1.25, 1.25^2, 1.25^3. */
  readonly delta1: number;
  readonly delta2: number;
  readonly delta3: number;
}

/**
 * `pixel`: over all valid pixels of the split. `batch`: each metric for every batch, then the mean of those (what the
 * paper's code reports; a batch with fewer valid pixels counts as much).
 */
export const AVERAGES = ['pixel', 'batch'] as const;
export type Average = (typeof AVERAGES)[number];

const SMALLEST = 1e-6;
const NAMES = ['rmse', 'absrel', 'sqrel', 'logRmse', 'log10', 'delta1', 'delta2', 'delta3'] as const;

/** Sums over valid pixels, in the order of `NAMES`, and how many there were. */
interface Sums {
  readonly of: Float64Array;
  pixels: number;
}

/** Collects predictions batch by batch. */
export interface DepthMeter {
  /** Values of one batch, any number of images; pixels whose `valid` is 0 do not count. */
  add(prediction: Float32Array, target: Float32Array, valid: Float32Array): void;
  /** NaN where no pixel was valid. */
  result(): DepthMetrics;
}

export function depthMeter(average: Average): DepthMeter {
  const batches: Sums[] = [];
  return {
    add(prediction, target, valid) {
      const sums = average === 'pixel' && batches[0] ? batches[0] : { of: new Float64Array(NAMES.length), pixels: 0 };
      if (sums !== batches[0]) batches.push(sums);
      addPixels(sums, prediction, target, valid);
    },
    result() {
      const counted = batches.filter(({ pixels }) => pixels > 0).map(finish);
      const mean = NAMES.map((name, i) => [name, counted.reduce((sum, batch) => sum + batch[i]!, 0) / counted.length]);
      return Object.fromEntries(mean);
    },
  };
}

function addPixels(sums: Sums, prediction: Float32Array, target: Float32Array, valid: Float32Array): void {
  const { of } = sums;
  for (let i = 0; i < target.length; i++) {
    if (valid[i] === 0) continue;
    const p = prediction[i]!;
    const t = target[i]!;
    const d = p - t;
    const tSafe = Math.max(t, SMALLEST);
    const pSafe = Math.max(p, SMALLEST);
    const log = Math.log(pSafe) - Math.log(tSafe);
    const ratio = Math.max(p / tSafe, t / pSafe);
    sums.pixels++;
    of[0]! += d * d;
    of[1]! += Math.abs(d) / tSafe;
    of[2]! += (d * d) / tSafe;
    of[3]! += log * log;
    of[4]! += Math.abs(log) / Math.LN10;
    if (ratio < 1.25) of[5]!++;
    if (ratio < 1.25 ** 2) of[6]!++;
    if (ratio < 1.25 ** 3) of[7]!++;
  }
}

function finish({ of, pixels }: Sums): number[] {
  return Array.from(of, (sum, i) => (i === 0 || i === 3 ? Math.sqrt(sum / pixels) : sum / pixels));
}

/** Mean squared error of each image of a batch, [images]; NaN for an image without a valid pixel. */
export function squaredErrors(
  prediction: Float32Array,
  target: Float32Array,
  valid: Float32Array,
  images: number,
): number[] {
  const pixels = target.length / images;
  return Array.from({ length: images }, (_, image) => {
    let sum = 0;
    let count = 0;
    for (let i = image * pixels; i < (image + 1) * pixels; i++) {
      if (valid[i] === 0) continue;
      sum += (prediction[i]! - target[i]!) ** 2;
      count++;
    }
    return sum / count;
  });
}

/** For each sample 1 where the largest logit is not that of its class, else 0; logits [B, classes]. */
export function wrongClasses(logits: Float32Array, labels: Int32Array): number[] {
  const classes = logits.length / labels.length;
  return Array.from(labels, (label, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row)) === label ? 0 : 1;
  });
}

/** Mean of each column of losses [samples, names] by its name; those that are NaN, where nothing was masked, do not count. */
export function meansOfLosses(losses: Float32Array, names: readonly string[]): Record<string, number> {
  const mean = (column: number) => {
    const own = losses.filter((loss, i) => i % names.length === column && !Number.isNaN(loss));
    return own.reduce((sum, loss) => sum + loss, 0) / Math.max(1, own.length);
  };
  return Object.fromEntries(names.map((name, column) => [name, mean(column)]));
}
