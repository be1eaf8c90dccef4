import { expect, test } from 'vitest';
import { PCA_MEMORY, planPca } from '#lib/reduce/pcaPlan.js';

const shape = (rows: number, cols: number, dims: number, more: object = {}) => ({
  ...{
    rows,
    cols,
    dims,
    valueBytes: 4 as const,
    loaded: false,
    byColumns: false,
    components: false,
    scores: true,
    memory: PCA_MEMORY,
  },
  ...more,
});

test.each([
  ['a small matrix', shape(1000, 192, 64), 'small'],
  ['many rows of few columns', shape(100_000, 768, 64), 'covariance'],
  ['few rows of many columns', shape(2000, 301_824, 1024), 'gram'],
  ['much of both', shape(20_000, 16_384, 512), 'krylov'],
])('%s', (_, given, method) => {
  expect(planPca(given, 'X').method).toBe(method);
});

test('what does not fit is read in blocks, and the plan keeps to the memory', () => {
  for (const [given, method] of [
    [shape(2000, 301_824, 1024, { memory: 600e6 }), 'gram'],
    [shape(300_000, 700, 64, { memory: 600e6 }), 'covariance'],
    [shape(20_000, 16_384, 256, { memory: 400e6 }), 'krylov'],
  ] as const) {
    const plan = planPca(given, 'X');
    expect(plan).toMatchObject({ method, whole: false });
    expect(plan.bytes).toBeLessThanOrEqual(given.memory);
    expect(plan.bytes).toBeGreaterThan(given.memory / 4);
    expect(plan.blockRows).toBeGreaterThanOrEqual(1);
    expect(plan.blockRows).toBeLessThan(given.rows);
  }
});

test('gram by columns: one reading of all rows, whatever the memory', () => {
  for (const memory of [PCA_MEMORY, 300e6, 200e6]) {
    for (const components of [false, true]) {
      const given = shape(2000, 301_824, 1024, {
        memory: components ? memory + 4 * 1024 * 301_824 : memory,
        byColumns: true,
        components,
      });
      const plan = planPca(given, 'X');
      expect(plan).toMatchObject({ method: 'gram', whole: false });
      expect(plan.bytes).toBeLessThanOrEqual(given.memory);
      expect(plan.blockColumns % 192).toBe(0);
      expect(plan.blockColumns).toBeGreaterThan(0);
    }
  }
  const widths = [PCA_MEMORY, 200e6].map(
    (memory) => planPca(shape(2000, 301_824, 1024, { memory, byColumns: true }), 'X').blockColumns,
  );
  expect(widths[0]).toBeGreaterThan(widths[1]!);
  expect(planPca(shape(50, 100_000, 8, { byColumns: true }), 'X').blockColumns).toBeLessThanOrEqual(100_000);
  // Rows that can only be read one after the other: kept in memory while they come, or all of them for a second pass.
  expect(planPca(shape(2000, 100_000, 1024), 'X')).toMatchObject({
    method: 'gram',
    whole: false,
    blockColumns: 0,
    residentRows: 2000,
  });
  expect(planPca(shape(2000, 100_000, 1024, { components: true }), 'X')).toMatchObject({ method: 'gram', whole: true });
});

test('a matrix in memory is not counted', () => {
  const given = shape(20_000, 16_384, 256, { memory: 800e6, loaded: true });
  expect(planPca(given, 'X').whole).toBe(true);
});

test('scores are counted, and come on top where nothing is said of memory', () => {
  const given = shape(2_000_000, 768, 512, { memory: 4e9 });
  expect(() => planPca(given, 'X')).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' }));
  expect(planPca({ ...given, scores: false }, 'X').bytes).toBeLessThanOrEqual(4e9);
  const { bytes } = planPca({ ...given, memory: undefined }, 'X');
  expect(bytes).toBeGreaterThan(4 * 2_000_000 * 512);
  expect(bytes).toBeLessThanOrEqual(4 * 2_000_000 * 512 + PCA_MEMORY);
});

test('ml-pca, with a thread of its own, makes room for a native method where memory is short', () => {
  expect(planPca(shape(2000, 256, 16, { memory: 100e6 }), 'X').method).toBe('small');
  const plan = planPca(shape(2000, 256, 16, { memory: 20e6 }), 'X');
  expect(plan).toMatchObject({ method: 'covariance', whole: true });
});

test('where no method fits: what is needed, what is allowed, and the cure', () => {
  expect(() => planPca(shape(50_000, 301_824, 1024, { memory: 1e9 }), 'X.npy')).toThrow(
    expect.objectContaining({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringMatching(
        /X\.npy .*301824 features.*needs about .* GiB .*954 MiB are allowed.*aggregation mean/,
      ),
    }),
  );
});
