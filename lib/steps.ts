/** Long work on the JavaScript thread, in steps: at once for those who call it so, or with the event loop coming round between. */
import { setImmediate } from 'node:timers/promises';

/** A computation that yields where it can pause; about a millisecond of work between two of these places. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Elements of a plain loop between two pauses. */
export const STEP = 1 << 15;

/** Rows that the built-in sort orders in about a millisecond. */
const SORTED_AT_ONCE = 1 << 12;

/** How long the event loop waits. */
const SLICE_MS = 10;

/** All of it now. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same result, in slices of 10 ms. Rejects with `signal.reason` when aborted. */
export async function inSlices<Result>(steps: Steps<Result>, signal?: AbortSignal): Promise<Result> {
  for (;;) {
    signal?.throwIfAborted();
    const began = performance.now();
    do {
      const { done, value } = steps.next();
      if (done) return value;
    } while (performance.now() - began < SLICE_MS);
    await setImmediate();
  }
}

/**
 * `rows` sorted by `compare`, which must order any two different rows: a merge sort, so that it can pause.
 * `rows` itself is not changed.
 */
export function* sorted(rows: Int32Array, compare: (a: number, b: number) => number): Steps<Int32Array> {
  let from = new Int32Array(rows.length);
  for (let start = 0; start < rows.length; start += SORTED_AT_ONCE) {
    from.set(rows.slice(start, start + SORTED_AT_ONCE).sort(compare), start);
    yield;
  }
  let to = new Int32Array(rows.length);
  for (let width = SORTED_AT_ONCE; width < rows.length; width *= 2) {
    for (let start = 0; start < rows.length; start += 2 * width) {
      const middle = Math.min(start + width, rows.length);
      const end = Math.min(start + 2 * width, rows.length);
      let [a, b] = [start, middle];
      for (let o = start; o < end; o++) {
        to[o] = a < middle && (b >= end || compare(from[a]!, from[b]!) < 0) ? from[a++]! : from[b++]!;
        if ((o - start) % STEP === STEP - 1) yield;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
