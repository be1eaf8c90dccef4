import { expect, test } from 'vitest';
import { project2d } from '#lib/reduce/projection.js';
import { reduce } from '#lib/reduce/reduce.js';

/** Points with standard deviations 9, 5, 2, 1, 1, ... along rotated axes. */
function cloud(rows: number, cols: number) {
  let s = 5;
  const random = () => {
    s = (s * 1664525 + 1013904223) >>> 0;
    return s / 2 ** 32 - 0.5;
  };
  const data = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    const x = Array.from({ length: cols }, (_, j) => random() * ([9, 5, 2][j] ?? 1));
    for (let j = 0; j < cols; j++) data[i * cols + j] = 3 + x[j]! * 0.8 + x[(j + 1) % cols]! * 0.6;
  }
  return { data, rows, cols };
}

test('equals the first two principal components, all rows projected', async () => {
  const matrix = cloud(1000, 24);
  const picture = await project2d(matrix);
  const exact = (await reduce(matrix, { method: 'pca', dims: 2 })).matrix.data;
  let worst = 0;
  for (let i = 0; i < exact.length; i++) worst = Math.max(worst, Math.abs(exact[i]! - picture[i]!));
  expect(picture.length).toBe(2000);
  expect(worst).toBeLessThan(1e-3);
});

test('more rows than are sampled: same picture twice, event loop free, abort honoured', async () => {
  const matrix = cloud(60_000, 96);
  let longest = 0;
  let before = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - before - 5);
    before = performance.now();
  }, 5);
  const first = await project2d(matrix);
  clearInterval(timer);
  expect(longest).toBeLessThan(250);
  expect(await project2d(matrix)).toEqual(first);
  const signal = AbortSignal.abort(new Error('no'));
  await expect(project2d(matrix, { signal })).rejects.toThrow('no');
});

test('degenerate input gives zeros, not NaN', async () => {
  expect([...(await project2d({ data: new Float32Array(3), rows: 1, cols: 3 }))]).toEqual([0, 0]);
  expect([...(await project2d({ data: new Float32Array(9).fill(4), rows: 3, cols: 3 }))]).toEqual(Array(6).fill(0));
  const line = await project2d({ data: Float32Array.from([1, 2, 3]), rows: 3, cols: 1 });
  expect([...line].map((v) => Math.round(v * 1e6) / 1e6 + 0)).toEqual([-1, 0, 0, 0, 1, 0]);
});
