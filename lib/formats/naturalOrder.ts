/** Compares names as people number files: part-2 before part-10. Text goes by code units; ties by all characters. */
export function naturalOrder(a: string, b: string): number {
  const [left, right] = [a.split(/(\d+)/), b.split(/(\d+)/)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]!, right[i]!];
    // Every second part is a number.
    const difference = i % 2 === 1 ? compareDigits(x, y) : compare(x, y);
    if (difference !== 0) return difference;
  }
  return left.length - right.length || compare(a, b);
}

/** Numbers of any length. */
function compareDigits(a: string, b: string): number {
  const [x, y] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return x.length - y.length || compare(x, y);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
