import { expect, test } from 'vitest';
import { measureAll } from '#lib/bench/schedule.js';
import { exponents, summarize } from '#lib/bench/summarize.js';
import { CoregainError } from '#lib/errors.js';
import { extrapolated, fakeBed, machine, measured, plan } from './fakes.js';

const context = { machine, bins: 10, bytesPerValue: 4 };

test('contestants take turns, cell after cell, and progress ends at its total', async () => {
  const bed = fakeBed();
  const seen: number[] = [];
  const cells = [{ kind: 'iso', cols: 8, rows: 100 }];
  const { all, notes, failures } = await measureAll(plan({ cells, repeats: 2 }), bed, {
    onProgress: ({ done, total }) => seen.push(done / total),
  });
  expect(bed.log).toEqual([
    'prepare 100',
    ...['lazy beyondLimit', 'sweep beyondLimit', 'numpy beyondLimit'],
    ...['lazy never', 'sweep never', 'numpy never'],
  ]);
  expect(all.map(({ runs }) => runs.length)).toEqual([2, 2, 2]);
  expect([...notes, ...failures]).toEqual([]);
  expect(seen).toEqual([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]);
});

test('two engines with different orders: an error that names both and the cell, whoever is wrong', async () => {
  const bed = fakeBed((contestant, cell) =>
    measured(contestant, cell, contestant.name === 'sweep' && cell.rows === 200 ? [2, 1, 0] : [2, 0, 1]),
  );
  await expect(measureAll(plan(), bed, {})).rejects.toMatchObject({
    code: 'ERR_ORDERS_DIFFER',
    message: expect.stringMatching(/sweep on 1 thread and of lazy on 1 thread differ on iso 200 x 8/),
  });
});

test('an engine whose own repeats differ is caught too', async () => {
  let calls = 0;
  const bed = fakeBed((contestant, cell) => measured(contestant, cell, calls++ === 0 ? [0, 1, 2] : [1, 0, 2]));
  const alone = plan({ contestants: [{ name: 'lazy', threads: 1 }] });
  await expect(measureAll(alone, bed, {})).rejects.toMatchObject({ code: 'ERR_ORDERS_DIFFER' });
});

test('a baseline may differ: how far it agrees is counted', async () => {
  const bed = fakeBed((contestant, cell) =>
    measured(contestant, cell, contestant.name === 'numpy' ? [2, 1, 0] : [2, 0, 1]),
  );
  const { all } = await measureAll(plan(), bed, {});
  expect(all.find(({ name }) => name === 'numpy')!.agreesUpTo).toEqual({ step: 1, steps: 3 });
});

test('extrapolated results are marked, keep out of exponents, and mark the ratios that use them', async () => {
  const bed = fakeBed((contestant, cell) =>
    contestant.name === 'sweep' && cell.rows === 400 ? extrapolated(contestant, cell) : measured(contestant, cell),
  );
  const { all } = await measureAll(plan(), bed, {});
  expect(bed.log.filter((line) => line.startsWith('sweep')).slice(-3)).toEqual([
    'sweep beyondLimit',
    'sweep always',
    'sweep always',
  ]);
  const results = summarize(all, context);
  const of = (name: string, rows: number) => results.find((result) => result.name === name && result.rows === rows)!;
  expect(of('sweep', 200).extrapolated).toBe(false);
  expect(of('sweep', 400)).toMatchObject({ extrapolated: true, speedup: 1, speedupExtrapolated: true });
  expect(of('sweep', 400).dotProductsPerStep).toBeUndefined();
  expect(of('sweep', 400).rooflineShare).toBeUndefined();
  expect(of('lazy', 400)).toMatchObject({ extrapolated: false, speedupExtrapolated: true });
  expect(of('lazy', 400).speedup).toBeCloseTo(20, 9);
  expect(of('lazy', 200).speedupExtrapolated).toBe(false);
  const [lazy, sweep, numpy] = exponents(results);
  expect(lazy).toMatchObject({
    name: 'lazy',
    points: 3,
    time: expect.closeTo(1.5, 9),
    dotProducts: expect.closeTo(1.5, 9),
  });
  expect(sweep).toMatchObject({ name: 'sweep', points: 2, time: expect.closeTo(2, 9) });
  expect(numpy).toMatchObject({ name: 'numpy', points: 3 });
  expect(numpy!.dotProducts).toBeUndefined();
});

test('the figures of a result', async () => {
  const { all } = await measureAll(plan(), fakeBed(), {});
  expect(summarize(all, context)[0]).toMatchObject({
    ...{ name: 'lazy', rows: 100, inputBytes: 3200, peakBytes: 5e7, baselineBytes: 4e7, peakOverInput: 5e7 / 3200 },
    dotProductsPerStep: 10,
    // 1000 products of 8 float32 in 1 ms, of 8 GB/s
    rooflineShare: expect.closeTo((1000 * 8 * 4) / 0.001 / 8e9, 12),
  });
});

test('times that cross the limit from run to run are not mixed: the contestant is left out', async () => {
  let calls = 0;
  const bed = fakeBed((contestant, cell) =>
    contestant.name === 'sweep' && calls++ === 0 ? extrapolated(contestant, cell) : measured(contestant, cell),
  );
  const { all, notes } = await measureAll(plan({ cells: [{ kind: 'iso', cols: 8, rows: 100 }] }), bed, {});
  expect(all.map(({ name }) => name)).toEqual(['lazy', 'numpy']);
  expect(notes).toEqual([
    expect.stringMatching(/^sweep on 1 thread was left out: .* Change --limit \(iso 100 x 8\)\.$/),
  ]);
});

test('an engine that ran in the place of another is not measured under its name', async () => {
  const bed = fakeBed((contestant, cell) =>
    measured({ ...contestant, name: contestant.name === 'lazy' ? 'sweep' : contestant.name }, cell),
  );
  const { all, notes } = await measureAll(plan(), bed, {});
  expect(all.some(({ name }) => name === 'lazy')).toBe(false);
  expect(notes).toEqual([
    'lazy on 1 thread was not measured: sweep ran in its place, because: asked for (iso 100 x 8; iso 200 x 8; iso 400 x 8).',
  ]);
});

test('what is out of reach is no failure: by its size, or by what the engine says', async () => {
  const bed = fakeBed(() => {
    throw new CoregainError('ERR_MEMORY', 'The inner products take 99 GiB.');
  });
  const contestants = [
    { name: 'gram', threads: 1 },
    { name: 'paper', threads: 1 },
  ] as const;
  const cells = [{ kind: 'iso', cols: 1, rows: 10_000 }];
  const { all, notes, failures } = await measureAll(plan({ contestants, cells }), bed, {});
  expect([...all, ...failures]).toEqual([]);
  expect(bed.log).toEqual(['prepare 10000', 'gram beyondLimit']);
  expect(notes).toEqual([
    'paper was not run: its memory is a multiple of N x N, so it is run up to N = 8192 (iso 10000 x 1).',
    'gram on 1 thread was not run: The inner products take 99 GiB (iso 10000 x 1).',
  ]);
});

test('a failed run is noted, and the others go on', async () => {
  const bed = fakeBed((contestant, cell) => {
    if (contestant.name === 'lazy') throw new CoregainError('ERR_BENCH_CHILD', 'the process ended with SIGKILL.');
    return measured(contestant, cell);
  });
  const { all, failures } = await measureAll(plan(), bed, {});
  expect(all).toHaveLength(6);
  expect(failures).toEqual([
    'lazy on 1 thread failed: the process ended with SIGKILL (iso 100 x 8; iso 200 x 8; iso 400 x 8).',
  ]);
});

test('an abort ends it with its reason before the next run', async () => {
  const controller = new AbortController();
  const bed = fakeBed((contestant, cell) => {
    controller.abort(new Error('enough'));
    return measured(contestant, cell);
  });
  await expect(measureAll(plan(), bed, { signal: controller.signal })).rejects.toThrow('enough');
  expect(bed.log).toHaveLength(2);
});
