/**
 * Yields `load(0)`, `load(1)`, ... in order while up to `ahead` of them are under way. When the consumer stops early,
 * those under way are waited for, so that nothing is still reading when the caller closes what they read from.
 */
export async function* prefetch<T>(count: number, ahead: number, load: (i: number) => Promise<T>): AsyncGenerator<T> {
  const queue: Promise<T>[] = [];
  let next = 0;
  try {
    for (let i = 0; i < count; i++) {
      for (; next < count && queue.length < ahead; next++) {
        const item = load(next);
        item.catch(() => {}); // Reported when its turn comes; until then it is not unhandled.
        queue.push(item);
      }
      yield await queue.shift()!;
    }
  } finally {
    await Promise.allSettled(queue);
  }
}
