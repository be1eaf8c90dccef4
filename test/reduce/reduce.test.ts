import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { readEmbeddings } from '#lib/formats/open.js';
import * as pca from '#lib/reduce/pca.js';
import { reduce } from '#lib/reduce/reduce.js';

const golden = (name: string) => fileURLToPath(new URL(`../golden/npy/pca_${name}.npy`, import.meta.url));

function randomMatrix(rows: number, cols: number, seed = 1) {
  let s = seed;
  const data = Float32Array.from({ length: rows * cols }, (_, i) => {
    s = (s * 1664525 + 1013904223) >>> 0;
    return (s / 2 ** 32 - 0.5) * (1 + 3 / (1 + (i % cols)));
  });
  return { data, rows, cols };
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number) {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  for (let i = 0; i < actual.length; i++) worst = Math.max(worst, Math.abs(actual[i]! - expected[i]!));
  expect(worst).toBeLessThan(tolerance);
}

describe.each(['tall', 'wide', 'low_rank'])('pca of %s equals the SVD of NumPy', (name) => {
  test.each(['path', 'matrix'])('given a %s', async (kind) => {
    const input = kind === 'path' ? golden(name) : await readEmbeddings(golden(name));
    const variance = await readEmbeddings(golden(`${name}_variance`));
    const result = await reduce(input, { method: 'pca', dims: variance.cols, model: true });
    expectClose(result.model!.components, (await readEmbeddings(golden(`${name}_components`))).data, 1e-9);
    expectClose(result.model!.variance, variance.data, 1e-9);
    expectClose(result.matrix.data, (await readEmbeddings(golden(`${name}_scores`))).data, 1e-9);
    expect(result.matrix.data).toBeInstanceOf(Float64Array);
    expect(result.matrix.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(result.notes).toEqual([]);
  });
});

test('dimensions are clipped to the rank, and a note says so', async () => {
  const low = await reduce(golden('low_rank'), { method: 'pca', dims: 5 });
  expect([low.matrix.rows, low.matrix.cols]).toEqual([20, 2]);
  expect(low.notes).toHaveLength(1);
  expect(low.notes[0]).toMatch(/2 dimensions instead of 5/);
  const wide = await reduce(golden('wide'), { method: 'pca', dims: 30 });
  expect(wide.matrix.cols).toBe(8); // N - 1
  const ratio = wide.pca!.variance.reduce((sum, v) => sum + v) / wide.pca!.totalVariance;
  expect(ratio).toBeCloseTo(1, 12);
});

test('float32 stays float32, memory that is not shared works, and two runs agree to the bit', async () => {
  const matrix = randomMatrix(300, 20);
  const a = await reduce(matrix, { method: 'pca', dims: 5 });
  const b = await reduce(matrix, { method: 'pca', dims: 5 });
  expect(a.matrix.data).toBeInstanceOf(Float32Array);
  expect(a.matrix.data).toEqual(b.matrix.data);
});

test('a model fitted on some rows transforms others', async () => {
  const all = randomMatrix(400, 12);
  const model = await pca.fit({ data: all.data.subarray(0, 200 * 12), rows: 200, cols: 12 }, { dims: 3 });
  const out = await pca.transform(model, all);
  let expected = 0;
  for (let j = 0; j < 12; j++) expected += (all.data[399 * 12 + j]! - model.mean[j]!) * model.components[2 * 12 + j]!;
  expect(out.data[399 * 3 + 2]).toBeCloseTo(expected, 6);
  await expect(pca.transform(model, randomMatrix(5, 11))).rejects.toThrow(RangeError);
});

test('none gives the embeddings as they are', async () => {
  const matrix = randomMatrix(3, 2);
  expect((await reduce(matrix, { method: 'none' })).matrix).toBe(matrix);
  expect((await reduce(golden('tall'), { method: 'none' })).matrix).toMatchObject({ rows: 40, cols: 6 });
});

test('1,000 x 192 to 64 takes seconds and leaves the event loop free; progress ends complete', async () => {
  const ticks: number[] = [];
  const timer = setInterval(() => ticks.push(performance.now()), 5);
  const seen: { done: number; total: number; stage: string }[] = [];
  const result = await reduce(randomMatrix(1000, 192), { method: 'pca', dims: 64, onProgress: (p) => seen.push(p) });
  clearInterval(timer);
  expect(result.seconds).toBeLessThan(10);
  const gaps = ticks.slice(1).map((t, i) => t - ticks[i]!);
  expect(Math.max(...gaps)).toBeLessThan(250);
  for (let i = 1; i < seen.length; i++) expect(seen[i]!.done).toBeGreaterThanOrEqual(seen[i - 1]!.done);
  expect(seen.at(-1)).toMatchObject({ stage: 'reduce', done: 1000, total: 1000 });
});

describe('refuses', () => {
  test('NaN, naming the row and column', async () => {
    const matrix = randomMatrix(100, 7);
    matrix.data[40 * 7 + 3] = Number.NaN;
    await expect(reduce(matrix, { method: 'pca', dims: 2 })).rejects.toMatchObject({
      name: 'DataError',
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/NaN in row 40, column 3/),
    });
  });

  test('equal rows, one row, bad dims, bad method, overflow', async () => {
    const same = { data: new Float32Array(20).fill(2), rows: 10, cols: 2 };
    await expect(reduce(same, { method: 'pca', dims: 1 })).rejects.toMatchObject({ code: 'ERR_PCA_NO_VARIANCE' });
    await expect(reduce(randomMatrix(1, 4), { method: 'pca', dims: 1 })).rejects.toThrow(/at least two/);
    await expect(reduce(randomMatrix(9, 4), { method: 'pca', dims: 0 })).rejects.toThrow(RangeError);
    await expect(reduce(randomMatrix(9, 4), { method: 'pca' })).rejects.toThrow(TypeError);
    await expect(reduce(randomMatrix(9, 4), { method: 'tsne' as 'pca' })).rejects.toThrow(RangeError);
    const big = { data: Float64Array.from([1e200, -1e200, 1e200, 0, 0, 1]), rows: 3, cols: 2 };
    await expect(reduce(big, { method: 'pca', dims: 1 })).rejects.toMatchObject({ code: 'ERR_PCA_OVERFLOW' });
  });
});

test('abort ends the thread and rejects with the reason', async () => {
  const abort = new AbortController();
  const started = performance.now();
  setTimeout(() => abort.abort(new Error('stop')), 300);
  await expect(reduce(randomMatrix(3000, 1500), { method: 'pca', dims: 8, signal: abort.signal })).rejects.toThrow(
    'stop',
  );
  expect(performance.now() - started).toBeLessThan(2000);
});
