import { expect, test } from 'vitest';
import { benchKernels, KERNELS, workOf } from '#lib/bench/kernelBench.js';

const tiny = { rows: 90, dims: 12, queries: 20, k: 4, repeats: 3, threads: 1 } as const;

test('every kernel gets a rate in each precision of the processor; the others are noted', async () => {
  const report = await benchKernels({ ...tiny, python: false });
  expect(report).toMatchObject({ format: 'coregain-kernel-bench', settings: tiny });
  for (const precision of ['fp32', 'int8'])
    expect(report.results.filter((r) => r.precision === precision).map(({ kernel }) => kernel)).toEqual(KERNELS);
  expect(report.copyRates).toEqual([{ device: 'cpu', bytesPerSecond: expect.any(Number) }]);
  expect(report.copyRates[0]!.bytesPerSecond).toBeGreaterThan(1e8);
  for (const { seconds, gigaflops, gigabytes, copyShare } of report.results) {
    expect(seconds.min).toBeGreaterThan(0);
    expect(seconds.median).toBeGreaterThanOrEqual(seconds.min);
    expect(seconds.max).toBeGreaterThanOrEqual(seconds.median);
    expect(gigaflops).toBeGreaterThan(0);
    expect(gigabytes).toBeGreaterThan(0);
    expect(copyShare).toBeCloseTo((gigabytes * 1e9) / report.copyRates[0]!.bytesPerSecond, 9);
  }
  expect(report.notes).toEqual([expect.stringContaining('tf32 on cpu'), expect.stringContaining('bf16 on cpu')]);
}, 60_000);

test('work is counted by hand', () => {
  const settings = { ...tiny, seed: 0 };
  expect(workOf('distances', 'fp32', settings)).toEqual({ flops: 2 * 20 * 90 * 12, bytes: 90 * 12 * 4 + 20 * 90 * 4 });
  expect(workOf('nearest', 'int8', settings)).toEqual({ flops: 2 * 90 * 90 * 12, bytes: 90 * 12 + 90 * 4 * 12 });
  expect(workOf('gains', 'bf16', settings)).toEqual({ flops: 2 * 90 * 12, bytes: 90 * 12 * 2 + 90 * 8 });
  expect(workOf('kCenterUpdate', 'tf32', settings).flops).toBe(2 * 64 * 90 * 12);
});

test('a Python that is not there, and kernels that were not asked for', async () => {
  const report = await benchKernels({ ...tiny, kernels: ['gains'], precisions: ['fp32'], python: '/no/such/python' });
  expect(report.results.map(({ kernel, name }) => [kernel, name])).toEqual([['gains', 'coregain']]);
  expect(report.notes).toEqual([expect.stringContaining('/no/such/python could not be started')]);
}, 60_000);

test('an abort ends it', async () => {
  await expect(benchKernels({ ...tiny, signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
});
