import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import type { LinearModel } from '#lib/reduce/linearModel.js';
import * as pca from '#lib/reduce/pca.js';
import { planPca } from '#lib/reduce/pcaPlan.js';

const folder = await mkdtemp(join(tmpdir(), 'coregain-pca-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Rows whose standard deviations fall as 1 / i along turned axes, about a common mean. */
function cloud(rows: number, cols: number, seed = 1) {
  let s = seed;
  const random = () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32 - 0.5;
  };
  const data = new Float32Array(new SharedArrayBuffer(4 * rows * cols));
  const turn = Float64Array.from({ length: cols }, random);
  const squares = turn.reduce((sum, x) => sum + x * x, 0);
  const row = new Float64Array(cols);
  for (let i = 0; i < rows; i++) {
    let along = 0;
    for (let j = 0; j < cols; j++) {
      row[j] = random() / (1 + j);
      along += row[j]! * turn[j]!;
    }
    for (let j = 0; j < cols; j++) data[i * cols + j] = 7 + row[j]! - ((2 * along) / squares) * turn[j]!;
  }
  return { data, rows, cols };
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}

/** Sum of squares of (X - mean) V^T: what the components hold of the variance, from their definition. */
function captured({ data, rows, cols }: ReturnType<typeof cloud>, { mean, components, outputs }: LinearModel): number {
  let sum = 0;
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < outputs; k++) {
      let score = 0;
      for (let j = 0; j < cols; j++) score += (data[i * cols + j]! - mean[j]!) * components[k * cols + j]!;
      sum += score * score;
    }
  }
  return sum / (rows - 1);
}

/** Cosine of the largest principal angle between the first k components of two models, from the eigenvalues of (A B^T)(A B^T)^T by power iteration on its complement. */
function leastCosine(a: LinearModel, b: LinearModel, k: number): number {
  const d = a.inputs;
  const product = Array.from({ length: k }, (_, p) =>
    Array.from({ length: k }, (_, q) => {
      let sum = 0;
      for (let j = 0; j < d; j++) sum += a.components[p * d + j]! * b.components[q * d + j]!;
      return sum;
    }),
  );
  // |x A B^T| is least where |x|^2 - |x A B^T|^2 is most.
  let x = Array.from({ length: k }, (_, i) => Math.sin(i + 1));
  let sine = 0;
  for (let round = 0; round < 200; round++) {
    const y = product[0]!.map((_, q) => x.reduce((sum, value, p) => sum + value * product[p]![q]!, 0));
    const next = x.map((value, p) => value - product[p]!.reduce((sum, value, q) => sum + value * y[q]!, 0));
    sine = Math.sqrt(next.reduce((sum, value) => sum + value * value, 0));
    if (sine === 0) break;
    x = next.map((value) => value / sine);
  }
  return Math.sqrt(Math.max(0, 1 - sine));
}

describe.each([
  ['covariance', 20_000, 300, 12],
  ['gram', 300, 20_000, 12],
] as const)('%s, %i x %i', (method, rows, cols, dims) => {
  const matrix = cloud(rows, cols);
  const path = join(folder, `${method}.npy`);

  test('agrees with ml-pca, in memory and from a file that is read block by block', async () => {
    const shape = { rows, cols, dims, valueBytes: 4 as const, byColumns: true, components: true, scores: true };
    const memory = rows * cols * 4;
    expect(planPca({ ...shape, loaded: true, memory: 2 ** 32 }, 'X').method).toBe(method);
    expect(planPca({ ...shape, loaded: false, memory }, 'X')).toMatchObject({ method, whole: false });
    await writeNpy(path, { data: matrix.data, shape: [rows, cols] });
    const whole = await pca.fitTransform(matrix, { dims, model: true });
    const streamed = await pca.fitTransform(path, { dims, model: true, memory });
    expect(whole.summary).toMatchObject({ method });
    const scale = Math.sqrt(whole.summary.variance[0]!);
    for (const { matrix: scores, model } of [whole, streamed]) {
      const placed = await pca.transform(model!, matrix);
      expect(worst(scores.data, placed.data)).toBeLessThan(1e-4 * scale);
      const held = model!.variance.reduce((sum, value) => sum + value, 0);
      expect(captured(matrix, model!) / held).toBeCloseTo(1, 4);
      expect(scores.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    }
    expect(worst(whole.matrix.data, streamed.matrix.data)).toBeLessThan(1e-4 * scale);
    if (method === 'gram') expect(streamed.matrix.data).toEqual(whole.matrix.data);
    expect(leastCosine(whole.model!, streamed.model!, dims)).toBeGreaterThan(1 - 1e-5);
  });

  test('the same bits for any number of threads', async () => {
    const one = await pca.fitTransform(matrix, { dims, threads: 1 });
    const three = await pca.fitTransform(matrix, { dims, threads: 3 });
    expect(three.matrix.data).toEqual(one.matrix.data);
  });
});

test('gram of a format that has rows only, all of them kept, a part of them, or read as a whole', async () => {
  const [rows, cols, dims] = [200, 24_000, 10];
  const matrix = cloud(rows, cols);
  const path = join(folder, 'rows.fvecs');
  const row = new Int32Array(1 + cols);
  const bytes = Buffer.alloc(rows * row.byteLength);
  row[0] = cols;
  for (let i = 0; i < rows; i++) {
    new Float32Array(row.buffer).set(matrix.data.subarray(i * cols, (i + 1) * cols), 1);
    Buffer.from(row.buffer).copy(bytes, i * row.byteLength);
  }
  writeFileSync(path, bytes);
  const want = await pca.fitTransform(matrix, { dims, model: true });
  expect(want.summary).toMatchObject({ method: 'gram', passes: 2 });
  const scale = Math.sqrt(want.summary.variance[0]!);
  for (const [options, passes] of [
    [{}, 1],
    [{ memory: 28e6 }, 3],
    [{ model: true }, 2],
  ] as const) {
    const got = await pca.fitTransform(path, { dims, ...options });
    expect(got.summary).toMatchObject({ method: 'gram', passes });
    const turned = got.matrix.data.map((value, at) => {
      const k = at % dims;
      // without components their scores say the sign
      const same = want.matrix.data.reduce((sum, w, i) => (i % dims === k ? sum + w * got.matrix.data[i]! : sum), 0);
      return same < 0 ? -value : value;
    });
    expect(worst(turned, want.matrix.data)).toBeLessThan(1e-4 * scale);
  }
});

test('the native methods find what ml-pca finds', async () => {
  const matrix = cloud(900, 200);
  const exact = await pca.fit(matrix, { dims: 10 });
  expect(exact.components).toBeInstanceOf(Float64Array);
  // The same rows, and columns of zeros that make it too large for ml-pca.
  const cols = 5000;
  const data = new Float32Array(900 * cols);
  for (let i = 0; i < 900; i++) data.set(matrix.data.subarray(i * 200, (i + 1) * 200), i * cols);
  const model = await pca.fit({ data, rows: 900, cols }, { dims: 10 });
  expect(model.components).toBeInstanceOf(Float32Array);
  for (let k = 0; k < 10; k++) {
    expect(model.variance[k]! / exact.variance[k]!).toBeCloseTo(1, 5);
    const of = (m: LinearModel) => m.components.subarray(k * m.inputs, k * m.inputs + 200);
    expect(worst(of(model), of(exact))).toBeLessThan(2e-4);
  }
  expect(model.totalVariance / exact.totalVariance).toBeCloseTo(1, 6);
});

test('krylov, streamed: nearly all of the variance that there is, scores that fit the components, the same for a seed', async () => {
  const [rows, cols, dims] = [6000, 5000, 48];
  const matrix = cloud(rows, cols);
  const path = join(folder, 'krylov.npy');
  await writeNpy(path, { data: matrix.data, shape: [rows, cols] });
  const found = await pca.fitTransform(path, { dims, model: true, seed: 3, memory: 64e6 });
  expect(found.summary.method).toBe('krylov');
  const again = await pca.fitTransform(path, { dims, seed: 3, memory: 64e6, threads: 1 });
  expect(again.matrix.data).toEqual(found.matrix.data);
  const placed = await pca.transform(found.model!, matrix);
  expect(worst(placed.data, found.matrix.data)).toBeLessThan(1e-4);
  const held = found.summary.variance.reduce((sum, value) => sum + value, 0);
  // Standard deviations 1 / i about turned axes: the leading ones are known.
  const best = Array.from({ length: dims }, (_, i) => 1 / 12 / (1 + i) ** 2).reduce((sum, value) => sum + value, 0);
  expect(held / best).toBeGreaterThan(0.97);
  expect(held / best).toBeLessThan(1.05);
}, 60_000);

test('whitened scores have variance one', async () => {
  for (const matrix of [cloud(500, 40), cloud(300, 20_000)]) {
    const { matrix: scores, model } = await pca.fitTransform(matrix, { dims: 5, whiten: true, model: true });
    for (let k = 0; k < 5; k++) {
      let squares = 0;
      for (let i = 0; i < scores.rows; i++) squares += scores.data[i * 5 + k]! ** 2;
      expect(squares / (scores.rows - 1)).toBeCloseTo(1, 4);
    }
    expect(worst((await pca.transform(model!, matrix)).data, scores.data)).toBeLessThan(1e-2);
  }
});

test('update with the rest of the rows is the fit of all of them, where all components are kept', async () => {
  const all = cloud(800, 30);
  const part = (from: number, to: number) => ({
    data: all.data.subarray(from * 30, to * 30),
    rows: to - from,
    cols: 30,
  });
  let model = await pca.fit(part(0, 300), { dims: 30 });
  model = await pca.update(model, part(300, 450));
  model = await pca.update(model, part(450, 800));
  const exact = await pca.fit(all, { dims: 30 });
  expect(model.rows).toBe(800);
  expect(worst(model.mean, exact.mean)).toBeLessThan(1e-9);
  expect(model.totalVariance / exact.totalVariance).toBeCloseTo(1, 6);
  for (let k = 0; k < 8; k++) expect(model.variance[k]! / exact.variance[k]!).toBeCloseTo(1, 4);
  expect(leastCosine(model, exact, 5)).toBeGreaterThan(1 - 1e-5);
});

test('a saved model is the model', async () => {
  for (const [name, matrix] of Object.entries({ small: cloud(200, 30), large: cloud(300, 20_000) })) {
    const model = await pca.fit(matrix, { dims: 4, whiten: name === 'small' });
    const path = join(folder, `${name}.safetensors`);
    await pca.save(path, model);
    expect(await pca.load(path)).toEqual(model);
  }
});

test('a file of other tensors is refused with the cure', async () => {
  const { writeSafetensors } = await import('#lib/weights/safetensors.js');
  const path = join(folder, 'other.safetensors');
  await writeSafetensors(path, { weight: { dtype: 'F32', shape: [1], data: Float32Array.of(1) } });
  await expect(pca.load(path)).rejects.toMatchObject({
    code: 'ERR_PCA_MODEL',
    message: expect.stringMatching(/other\.safetensors .*no tensor "components".*--save-model/),
  });
});

describe('what is wrong with the data, streamed', () => {
  const [rows, cols] = [4000, 1200];

  test('a NaN is named by its row and column', async () => {
    const matrix = cloud(rows, cols);
    matrix.data[3210 * cols + 77] = Number.NaN;
    const path = join(folder, 'nan.npy');
    await writeNpy(path, { data: matrix.data, shape: [rows, cols] });
    await expect(pca.fit(path, { dims: 8, memory: 40e6 })).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/nan\.npy has NaN in row 3210, column 77/),
    });
  });

  test('a value that is not finite in columns that are read later', async () => {
    const [rows, cols] = [300, 60_000];
    const data = new Float32Array(rows * cols).map((_, i) => Math.sin(i * i));
    data[123 * cols + 45_678] = Number.POSITIVE_INFINITY;
    const path = join(folder, 'infinite.npy');
    await writeNpy(path, { data, shape: [rows, cols] });
    for (const input of [path, { data, rows, cols }]) {
      await expect(pca.fitTransform(input, { dims: 8, memory: 40e6 })).rejects.toMatchObject({
        code: 'ERR_NOT_FINITE',
        message: expect.stringMatching(/has Infinity in row 123, column 45678/),
      });
    }
  });

  test('equal rows', async () => {
    const data = new Float32Array(rows * cols).fill(3);
    await expect(pca.fit({ data, rows, cols }, { dims: 8 })).rejects.toMatchObject({
      name: 'DataError',
      code: 'ERR_PCA_NO_VARIANCE',
      message: expect.stringMatching(/^All rows of The embedding matrix are equal|^All rows of the embedding matrix/),
    });
  });

  test('an abort ends it', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('enough')), 100);
    await expect(pca.fit(cloud(rows, cols), { dims: 600, signal: controller.signal })).rejects.toThrow('enough');
  });
});
