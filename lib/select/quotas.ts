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
  const rows = BigInt(shares.reduce((sum, { size }) => sum + size, 0));
  const parts = shares.map(({ size, low, high }) => {
    const product = BigInt(total) * BigInt(size);
    return { whole: Number(product / rows), fraction: product % rows, low, high };
  });
  const quotasAt = (t: number) => parts.map(({ whole, low, high }) => Math.min(Math.max(whole + t, low), high));
  const leftAt = (t: number) => total - quotasAt(t).reduce((sum, quota) => sum + quota, 0);

  // Bisection: leftAt never rises with t, leftAt(-total) = total - sum low >= 0.
  let t = -total;
  for (let above = total + 1; above - t > 1; ) {
    const middle = Math.floor((t + above) / 2);
    if (leftAt(middle) >= 0) t = middle;
    else above = middle;
  }

  const result = quotasAt(t);
  const next = parts
    .map((part, bin) => ({ ...part, bin }))
    .filter(({ whole, low, high }) => whole + t >= low && whole + t < high)
    .sort((a, b) => (a.fraction === b.fraction ? a.bin - b.bin : a.fraction > b.fraction ? -1 : 1));
  for (const { bin } of next.slice(0, leftAt(t))) result[bin]!++;
  return result;
}
