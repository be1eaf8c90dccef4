import { type EngineDevice, pca, reduce, umap } from 'coregain';
import { describe, expect, test } from 'vitest';
import { onDevice } from '#lib/device.js';
import { native } from '#lib/native.js';

const { available, reason } = native().cuda();

/** Rows whose variances fall from column to column, about a mean. */
function rowsOf(rows: number, cols: number) {
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32 - 0.5;
  };
  const data = Float32Array.from({ length: rows * cols }, (_, i) => 3 + (next() + next() + next()) / (1 + (i % cols)));
  return { data, rows, cols };
}

describe.skipIf(available)('on a machine without a device', () => {
  const matrix = rowsOf(40, 6);
  const refused = (device: string) => ({
    code: 'ERR_DEVICE',
    message: `The device ${device} cannot be used: ${reason}. Use --device cpu or auto.`,
  });

  test.each(['cuda', 'cuda:1'] as const)('%s is refused, with the reason and the cure', async (device) => {
    await expect(reduce(matrix, { method: 'pca', dims: 2, device })).rejects.toMatchObject(refused(device));
    await expect(reduce(matrix, { method: 'umap', dims: 2, device })).rejects.toMatchObject(refused(device));
    const model = await pca.fit(matrix, { dims: 2 });
    await expect(pca.transform(model, matrix, { device })).rejects.toMatchObject(refused(device));
    const layout = await umap.fit(matrix, { dims: 2, epochs: 1 });
    await expect(umap.transform(layout.model, matrix, { device })).rejects.toMatchObject(refused(device));
  });
});

test('what is no device is refused by its name', async () => {
  const device = 'gpu' as EngineDevice;
  await expect(reduce(rowsOf(10, 3), { method: 'pca', dims: 2, device })).rejects.toThrow(RangeError);
  await expect(reduce(rowsOf(10, 3), { method: 'umap', dims: 2, device })).rejects.toThrow(/device/);
});

test('auto is the processor, and the result says so', async () => {
  const matrix = rowsOf(60, 8);
  const { pca: found } = await reduce(matrix, { method: 'pca', dims: 2 });
  expect(found?.device).toBe('cpu');
  const { layout } = await reduce(matrix, { method: 'umap', dims: 2, epochs: 2, device: 'auto' });
  expect(layout).toMatchObject({ device: 'cpu', neighbourSearch: 'exact' });
});

describe('where a device has too little memory', () => {
  const full = Object.assign(new Error('full'), { code: 'ERR_MEMORY' });
  const work = (tried: number[]) => async (device: number) => {
    tried.push(device);
    if (device >= 0) throw full;
    return 'done';
  };

  test('the processor takes over from a device that auto chose', async () => {
    const tried: number[] = [];
    expect(await onDevice({ device: 2, fallback: true }, work(tried))).toEqual({ result: 'done', device: 'cpu' });
    expect(tried).toEqual([2, -1]);
  });

  test('a device that was asked for says so', async () => {
    const tried: number[] = [];
    await expect(onDevice({ device: 2, fallback: false }, work(tried))).rejects.toBe(full);
    expect(tried).toEqual([2]);
  });

  test('another error is no reason to start again', async () => {
    const broken = async () => Promise.reject(new Error('broken'));
    await expect(onDevice({ device: 0, fallback: true }, broken)).rejects.toThrow('broken');
  });
});

describe.runIf(available)('on a device', () => {
  const device = 'cuda:0';

  test.each([
    ['covariance', 5000, 300, 12],
    ['gram', 300, 6000, 12],
    ['krylov', 3000, 9000, 16],
    ['small on the processor', 200, 30, 5],
  ])('%s: the variances and scores of the processor, the same twice', async (_, rows, cols, dims) => {
    const matrix = rowsOf(rows, cols);
    const want = await reduce(matrix, { method: 'pca', dims, model: true });
    const got = await reduce(matrix, { method: 'pca', dims, model: true, device });
    const again = await reduce(matrix, { method: 'pca', dims, model: true, device });
    expect(got.pca?.device).toBe(device);
    expect(again.matrix.data).toEqual(got.matrix.data);
    const most = want.pca!.variance[0]!;
    for (let q = 0; q < dims / 2; q++) {
      expect(Math.abs(got.pca!.variance[q]! - want.pca!.variance[q]!)).toBeLessThan(1e-5 * most);
    }
    const moved = await pca.transform(got.model!, matrix, { device });
    const there = await pca.transform(got.model!, matrix);
    for (let i = 0; i < moved.data.length; i++) expect(Math.abs(moved.data[i]! - there.data[i]!)).toBeLessThan(1e-4);
  });

  test('umap: the same layout as from the exact search of the processor', async () => {
    const matrix = rowsOf(1500, 20);
    const options = { dims: 2, epochs: 20, neighbourSearch: 'exact' as const };
    const want = await umap.fit(matrix, options);
    const got = await umap.fit(matrix, { ...options, device });
    expect(got.model.device).toBe(device);
    expect(got.matrix.data).toEqual(want.matrix.data);
    const placed = await umap.transform(want.model, rowsOf(50, 20), { device });
    expect(placed.data).toEqual((await umap.transform(want.model, rowsOf(50, 20))).data);
  });
});
