import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { select } from '#lib/select/select.js';
import { inclusionProbabilities } from '#lib/select/strategies/densityBalanced.js';
import { atOnce, inSlices, type Steps, sorted } from '#lib/steps.js';
import { cloud } from './select/data.js';

/** Rounds of the event loop while `work` is under way. */
async function roundsDuring<T>(work: Promise<T>): Promise<{ rounds: number; result: T }> {
  let rounds = 0;
  let over = false;
  const end = work.finally(() => {
    over = true;
  });
  while (!over) {
    await setImmediate();
    rounds++;
  }
  return { rounds, result: await end };
}

test('rows are sorted as the built-in sort does it, whatever their number', () => {
  for (const count of [0, 1, 2, 4095, 4096, 4097, 20_000]) {
    const value = (row: number) => (row * 7919) % 613;
    const compare = (a: number, b: number) => value(a) - value(b) || a - b;
    const rows = Int32Array.from({ length: count }, (_, i) => (i * 12_289) % 20_011);
    const before = rows.slice();
    expect(atOnce(sorted(rows, compare))).toEqual(rows.toSorted(compare));
    expect(rows).toEqual(before);
  }
});

test('the event loop comes round between slices; the result is the same; an abort ends it', async () => {
  const weights = Float64Array.from({ length: 400_000 }, (_, i) => 1 / (1 + ((i * 31) % 977)));
  const steps = () => inclusionProbabilities(weights, new Uint8Array(weights.length), 80_000);
  const { rounds, result } = await roundsDuring(inSlices(steps()));
  expect(rounds).toBeGreaterThan(3);
  expect(result).toEqual(atOnce(steps()));

  const controller = new AbortController();
  const endless = function* (): Steps<void> {
    for (;;) yield;
  };
  const call = inSlices(endless(), controller.signal);
  setTimeout(() => controller.abort(new Error('stop')), 20);
  await expect(call).rejects.toThrow('stop');
});

test('strata of a million rows are drawn from in slices', async () => {
  const rows = 1_000_000;
  const matrix = { data: new Float32Array(new SharedArrayBuffer(4 * rows)), rows, cols: 1 };
  const groups = Array.from({ length: rows }, (_, row) => `clip ${row % 1000}`);
  const work = select(matrix, { strategy: 'round-robin', groups, budget: 0.2 });
  const { rounds, result } = await roundsDuring(work);
  expect(rounds).toBeGreaterThan(5);
  expect(result.rows).toHaveLength(200_000);
});

test('a failure on the way is that of the call', async () => {
  const work = select(cloud('isotropic', 1, 3, 2), {
    strategy: 'round-robin',
    budget: 1,
    groups: ['a', 'b', null as never],
  });
  await expect(work).rejects.toThrow('`groups[2]` must be a label');
});
