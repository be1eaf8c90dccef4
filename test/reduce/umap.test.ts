import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { umap } from 'coregain';
import { describe, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { reduce } from '#lib/reduce/reduce.js';

/** Normal numbers of a small generator. */
function normals(seed: number): () => number {
  let state = seed;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 1) / (2 ** 32 + 1);
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

function matrixOf(rows: number[][]): EmbeddingMatrix {
  return { data: Float32Array.from(rows.flat()), rows: rows.length, cols: rows[0]!.length };
}

/** Row i is of cluster i mod `count`; centres are the same for every `seed`. */
function clusters(rows: number, cols: number, count: number, seed = 1): EmbeddingMatrix {
  const centre = normals(99);
  const centres = Array.from({ length: count }, () => Array.from({ length: cols }, () => 4 * centre()));
  const normal = normals(seed);
  return matrixOf(Array.from({ length: rows }, (_, i) => centres[i % count]!.map((value) => value + normal())));
}

/** The surface of a sphere, in `cols` dimensions with a little noise. */
function sphere(rows: number, cols: number): EmbeddingMatrix {
  const normal = normals(3);
  return matrixOf(
    Array.from({ length: rows }, () => {
      const at = [normal(), normal(), normal()];
      const length = Math.hypot(...at);
      return Array.from({ length: cols }, (_, j) => (j < 3 ? (5 * at[j]!) / length : 0.1 * normal()));
    }),
  );
}

function squaredDistance(a: EmbeddingMatrix, i: number, b: EmbeddingMatrix, j: number): number {
  let sum = 0;
  for (let c = 0; c < a.cols; c++) sum += (a.data[i * a.cols + c]! - b.data[j * b.cols + c]!) ** 2;
  return sum;
}

/** Rows of `b` by their distance to row i of `a`. */
function byDistance(a: EmbeddingMatrix, i: number, b: EmbeddingMatrix): number[] {
  const distances = Array.from({ length: b.rows }, (_, j) => squaredDistance(a, i, b, j));
  return distances.map((_, j) => j).sort((p, q) => distances[p]! - distances[q]! || p - q);
}

/** Venna and Kaski 2001: 1 where the k neighbours in the layout are among the k in the data. */
function trustworthiness(data: EmbeddingMatrix, layout: EmbeddingMatrix, k: number): number {
  const n = data.rows;
  let excess = 0;
  for (let i = 0; i < n; i++) {
    const rank = new Int32Array(n);
    byDistance(data, i, data)
      .filter((j) => j !== i)
      .forEach((j, position) => {
        rank[j] = position + 1;
      });
    const near = byDistance(layout, i, layout).filter((j) => j !== i);
    for (const j of near.slice(0, k)) excess += Math.max(0, rank[j]! - k);
  }
  return 1 - (2 * excess) / (n * k * (2 * n - 3 * k - 1));
}

test('clusters stay apart: the 15 nearest in the layout are of the same cluster', async () => {
  const data = clusters(400, 20, 8);
  const { matrix } = await umap.fit(data, { dims: 2, threads: 2 });
  expect(matrix).toMatchObject({ rows: 400, cols: 2 });
  expect(matrix.data).toBeInstanceOf(Float32Array);
  expect(matrix.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  for (let i = 0; i < 400; i++) {
    const near = byDistance(matrix, i, matrix).slice(0, 16);
    expect(new Set(near.map((j) => j % 8))).toEqual(new Set([i % 8]));
  }
  // umap-js 1.4 reaches 0.97 to 0.98 on data like these; a random layout 0.5.
  expect(trustworthiness(data, matrix, 15)).toBeGreaterThan(0.95);
});

test.each([2, 5])('a sphere in %i dimensions keeps its neighbours', async (dims) => {
  const data = sphere(500, 10);
  const { matrix } = await umap.fit(data, { dims, threads: 2 });
  // umap-js 1.4: 0.997
  expect(trustworthiness(data, matrix, 15)).toBeGreaterThan(0.985);
});

test('neighbours, minDist and epochs change the layout as they should', async () => {
  const data = sphere(300, 6);
  const nearest = async (options: Partial<umap.UmapOptions>) => {
    const { matrix } = await umap.fit(data, { dims: 2, threads: 2, ...options });
    const distances = Array.from({ length: 300 }, (_, i) =>
      Math.sqrt(squaredDistance(matrix, i, matrix, byDistance(matrix, i, matrix)[1]!)),
    );
    return distances.sort((a, b) => a - b)[150]!;
  };
  expect(await nearest({ minDist: 0.8 })).toBeGreaterThan(2 * (await nearest({ minDist: 0 })));
  const few = await umap.fit(data, { dims: 2, epochs: 10 });
  expect(few.model.epochs).toBe(10);
  const wide = await umap.fit(data, { dims: 2, neighbours: 100, epochs: 10 });
  expect(wide.matrix.data).not.toEqual(few.matrix.data);
});

test('NN-descent on request: the model says so, with its recall; the layout is the exact one, where nothing was missed', async () => {
  const data = clusters(400, 6, 4);
  const layOut = (neighbourSearch: umap.NeighbourSearch) => umap.fit(data, { dims: 2, epochs: 20, neighbourSearch });
  const [exact, descent, auto] = await Promise.all([layOut('exact'), layOut('nn-descent'), layOut('auto')]);
  expect(descent.model).toMatchObject({ neighbourSearch: 'nn-descent', recall: 1 });
  expect(exact.model).toMatchObject({ neighbourSearch: 'exact', recall: 1 });
  expect(auto.model.neighbourSearch).toBe('exact');
  expect(descent.matrix.data).toEqual(exact.matrix.data);
  await expect(layOut('annoy' as umap.NeighbourSearch)).rejects.toThrow(/neighbourSearch/);
});

test('one seed gives the same bits for every number of threads, another seed gives others', async () => {
  const data = clusters(150, 7, 3);
  const layout = async (seed: number, threads: number) =>
    (await reduce(data, { method: 'umap', dims: 3, seed, threads, epochs: 50 })).matrix.data;
  const one = await layout(4, 1);
  expect(await layout(4, 2)).toEqual(one);
  expect(await layout(4, 7)).toEqual(one);
  expect(await layout(5, 1)).not.toEqual(one);
});

test('a file, float64 and more dimensions than the data has', async () => {
  const data = clusters(60, 5, 3);
  const path = join(mkdtempSync(join(tmpdir(), 'coregain-umap-')), 'x.npy');
  const wide = Float64Array.from(data.data);
  await writeNpy(path, { data: wide, shape: [60, 5] });
  const options = { method: 'umap', dims: 512, epochs: 40, threads: 1 } as const;
  const fromFile = await reduce(path, options);
  expect(fromFile.matrix).toMatchObject({ rows: 60, cols: 512 });
  expect(fromFile.matrix.data).toEqual((await reduce({ ...data, data: wide }, options)).matrix.data);
  expect(fromFile.matrix.data.every(Number.isFinite)).toBe(true);
  expect(fromFile.layout).toMatchObject({ neighbours: 15, minDist: 0.1, epochs: 40, seed: 0 });
  expect(fromFile.layout!.a).toBeCloseTo(1.577, 3);
  expect(fromFile.layout!.b).toBeCloseTo(0.8951, 4);
});

test('new points come to lie in their own cluster, whatever comes with them', async () => {
  const { model, matrix } = await umap.fit(clusters(300, 12, 6, 1), { dims: 2, threads: 2 });
  const before = matrix.data.slice();
  const others = clusters(60, 12, 6, 2);
  const placed = await umap.transform(model, others);
  expect(placed).toMatchObject({ rows: 60, cols: 2 });
  for (let i = 0; i < 60; i++) {
    for (const j of byDistance(placed, i, matrix).slice(0, 5)) expect(j % 6).toBe(i % 6);
  }
  const first = await umap.transform(model, { data: others.data.subarray(0, 7 * 12), rows: 7, cols: 12 });
  expect(first.data).toEqual(placed.data.slice(0, 14));
  expect(matrix.data).toEqual(before);
});

test('a model is plain data: a copy of it places points as well', async () => {
  const { model } = await umap.fit(clusters(60, 4, 3), { dims: 2, epochs: 20 });
  const unshared = ({ data, rows, cols }: EmbeddingMatrix) => ({ data: Float32Array.from(data), rows, cols });
  const copy = { ...model, training: unshared(model.training), points: unshared(model.points) };
  const others = clusters(9, 4, 3, 2);
  expect((await umap.transform(copy, others)).data).toEqual((await umap.transform(model, others)).data);
});

test('equal points: the layout is finite, and duplicates of a few points stay with their own', async () => {
  const same = { data: new Float32Array(80).fill(3), rows: 40, cols: 2 };
  const { matrix } = await umap.fit(same, { dims: 2, epochs: 50 });
  expect(matrix.data.every(Number.isFinite)).toBe(true);
  const doubled = matrixOf(Array.from({ length: 90 }, (_, i) => [10 * (i % 3), 5 * (i % 3) ** 2]));
  const { matrix: three } = await umap.fit(doubled, { dims: 2 });
  for (let i = 0; i < 90; i++) {
    for (const j of byDistance(three, i, three).slice(0, 10)) expect(j % 3).toBe(i % 3);
  }
});

test('progress grows to all points, and the event loop stays free', async () => {
  const ticks: number[] = [];
  const timer = setInterval(() => ticks.push(performance.now()), 5);
  const seen: { stage: string; done: number; total: number }[] = [];
  const started = performance.now();
  await umap.fit(clusters(800, 30, 4), { dims: 2, threads: 1, onProgress: (p) => seen.push(p) });
  const took = performance.now() - started;
  clearInterval(timer);
  expect(seen.at(-1)).toMatchObject({ stage: 'reduce', done: 800, total: 800 });
  expect(seen.length).toBeGreaterThan(2);
  for (let i = 1; i < seen.length; i++) expect(seen[i]!.done).toBeGreaterThanOrEqual(seen[i - 1]!.done);
  // Other programs may hold up a tick, but nothing near the time that the call takes.
  expect(Math.max(...ticks.slice(1).map((t, i) => t - ticks[i]!))).toBeLessThan(took / 3);
});

describe('refuses', () => {
  test('NaN, naming row and column, in data to fit and to place', async () => {
    const data = clusters(50, 7, 2);
    const { model } = await umap.fit(data, { dims: 2, epochs: 5 });
    data.data[40 * 7 + 3] = Number.NaN;
    const refusal = { code: 'ERR_NOT_FINITE', message: expect.stringMatching(/NaN in row 40, column 3/) };
    await expect(umap.fit(data, { dims: 2 })).rejects.toMatchObject(refusal);
    await expect(umap.transform(model, data)).rejects.toMatchObject(refusal);
  });

  test('as many neighbours as points, no dimensions, other options out of range', async () => {
    const data = clusters(20, 3, 2);
    const layOut = (options: Partial<umap.UmapOptions>) => umap.fit(data, { dims: 2, ...options });
    await expect(layOut({ neighbours: 20 })).rejects.toThrow(
      /`neighbours` must be an integer in 2\.\.19, but it is 20/,
    );
    await expect(layOut({ neighbours: 1 })).rejects.toThrow(RangeError);
    await expect(layOut({ dims: 0 })).rejects.toThrow(/`dims`/);
    await expect(layOut({ epochs: 0 })).rejects.toThrow(/`epochs`/);
    await expect(layOut({ minDist: 1.5 })).rejects.toThrow(/`minDist` must be a number in 0\.\.1/);
    await expect(layOut({ minDist: '1' as unknown as number })).rejects.toThrow(TypeError);
    await expect(layOut({ seed: -1 })).rejects.toThrow(/`seed`/);
    await expect(reduce(data, { method: 'umap' })).rejects.toThrow(TypeError);
  });

  test('fewer than three points, and rows of another width', async () => {
    for (const rows of [1, 2]) {
      await expect(umap.fit(clusters(rows, 3, 1), { dims: 2 })).rejects.toMatchObject({
        name: 'DataError',
        code: 'ERR_UMAP_TOO_FEW_ROWS',
      });
    }
    const { model } = await umap.fit(clusters(3, 3, 1), { dims: 2 });
    expect(model.neighbours).toBe(2);
    await expect(umap.transform(model, clusters(5, 4, 1))).rejects.toThrow(RangeError);
  });

  test('an aborted signal, before and during the work', async () => {
    const data = clusters(1500, 30, 4);
    await expect(umap.fit(data, { dims: 2, signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('stop')), 200);
    const started = performance.now();
    await expect(umap.fit(data, { dims: 2, epochs: 1_000_000, signal: abort.signal })).rejects.toThrow('stop');
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
