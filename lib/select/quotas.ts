import { atOnce, STEP, type Steps, sorted } from '../steps.js';

/** A bin as the budget sees it. */
export interface Share {
  /** Rows in the bin. */
  readonly size: number;
  /** Rows that must be drawn from it, and rows that can be: 0 <= low <= high <= size. */
  readonly low: number;
  readonly high: number;
}

/**
 * How many rows each bin gives: proportional to its size, by largest remainder. With share_b = total size_b / sum size,
 *
 *     quota_b = clamp(floor(share_b) + t, low_b, high_b)
 *
 * where t is the largest whole number that stays within the total (0 unless a `low` or `high` is in the way); what is
 * then left goes, one row each, to the bins with the largest fraction of share_b, lowest bin on ties. So rows that some
 * bins lack come in equal numbers from all bins that have room. Exact integers throughout.
 *
 * `total` must be in sum low..sum high.
 */
export function quotas(total: number, shares: readonly Share[]): number[] {
  return atOnce(quotasInSteps(total, shares));
}

/** `quotas`, with pauses: there may be as many bins as rows. */
export function* quotasInSteps(total: number, shares: readonly Share[]): Steps<number[]> {
  const rows = BigInt(shares.reduce((sum, { size }) => sum + size, 0));
  const parts: { whole: number; fraction: bigint; low: number; high: number }[] = [];
  for (const [bin, { size, low, high }] of shares.entries()) {
    const product = BigInt(total) * BigInt(size);
    parts.push({ whole: Number(product / rows), fraction: product % rows, low, high });
    if (bin % STEP === STEP - 1) yield;
  }
  const quotasAt = (t: number) => parts.map(({ whole, low, high }) => Math.min(Math.max(whole + t, low), high));
  const leftAt = (t: number) => total - quotasAt(t).reduce((sum, quota) => sum + quota, 0);

  // Bisection: leftAt never rises with t, leftAt(-total) = total - sum low >= 0.
  let t = -total;
  for (let above = total + 1; above - t > 1; ) {
    const middle = Math.floor((t + above) / 2);
    if (leftAt(middle) >= 0) t = middle;
    else above = middle;
    yield;
  }

  const result = quotasAt(t);
  const open = Int32Array.from(parts.keys()).filter((bin) => {
    const { whole, low, high } = parts[bin]!;
    return whole + t >= low && whole + t < high;
  });
  yield;
  const fraction = (bin: number) => parts[bin]!.fraction;
  const order = (a: number, b: number) => (fraction(a) === fraction(b) ? a - b : fraction(a) > fraction(b) ? -1 : 1);
  const next = yield* sorted(open, order);
  for (const bin of next.subarray(0, leftAt(t))) result[bin]!++;
  return result;
}
