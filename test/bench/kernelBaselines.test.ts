/**
 * What coregain's kernels are timed beside computes the same: numpy, and PyTorch where this Python has it. Theirs are
 * float32 without a bound, so a little is added to ours.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openKernels } from 'coregain';
import { afterAll, expect, test } from 'vitest';
import { KERNELS } from '#lib/bench/kernelBench.js';
import { writeNpy } from '#lib/formats/npy.js';
import { cloud } from '../select/data.js';

const BASELINES = fileURLToPath(new URL('../../bench/kernel_baselines.py', import.meta.url));
const [rows, queries, k, centres] = [230, 40, 6, 16];
const matrix = cloud('embeddingLike', 5, rows, 48);
const folder = mkdtempSync(join(tmpdir(), 'coregain-kernel-baselines-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of two rows at unit length, in float64. */
function distance(i: number, j: number): number {
  const unit = (row: number) => {
    const values = Array.from(matrix.data.subarray(row * matrix.cols, (row + 1) * matrix.cols));
    const length = Math.hypot(...values);
    return values.map((value) => value / length);
  };
  const other = unit(j);
  return Math.hypot(...unit(i).map((value, at) => value - other[at]!));
}

const hasNumpy = spawnSync('python3', ['-c', 'import numpy']).status === 0;
if (!hasNumpy) console.warn('SKIPPED: the baselines of bench kernels, because python3 cannot import numpy.');

test.skipIf(!hasNumpy)(
  'numpy and PyTorch agree with every kernel',
  async () => {
    const input = join(folder, 'X.npy');
    await writeNpy(input, { data: matrix.data, shape: [rows, matrix.cols] });
    const asked = { input, rows, dims: matrix.cols, queries, k, centres, kernels: KERNELS, threads: 1, values: folder };
    const said = execFileSync('python3', [BASELINES, JSON.stringify(asked)], { encoding: 'utf8' });
    const { results, notes } = JSON.parse(said.trim().split('\n').at(-1)!);
    expect(results).toEqual([]);
    for (const note of notes) console.warn(note);
    const names = new Set(readdirSync(folder).flatMap((file) => file.match(/^(.*)-[A-Za-z]+\.f64$/)?.[1] ?? []));
    expect([...names]).toContain('numpy-fp32-cpu');
    expect(names.size).toBeGreaterThanOrEqual(notes.length > 0 ? 1 : 2);

    await using kernels = await openKernels(matrix, { device: 'cpu', normalize: true, threads: 1 });
    const first = (count: number) => Array.from({ length: count }, (_, i) => i);
    const distances = await kernels.distances({ queries: first(queries) });
    const nearest = await kernels.nearest({ k });
    const gains = await kernels.gains({ chosen: first(rows >> 2) });
    const coverage = await kernels.facilityLocationGains({ candidates: first(queries) });
    const centred = await kernels.kCenterUpdate({ centres: first(centres) });
    for (const name of names) {
      const of = (kernel: string) =>
        new Float64Array(Uint8Array.from(readFileSync(join(folder, `${name}-${kernel}.f64`))).buffer);
      const within = (kernel: string, ours: ArrayLike<number>, bound: (i: number) => number, slack: number) => {
        const theirs = of(kernel);
        expect(theirs, `${name} ${kernel}`).toHaveLength(ours.length);
        const beyond = theirs.findIndex((value, i) => !(Math.abs(value - ours[i]!) <= bound(i) + slack));
        expect(beyond, `${name} ${kernel}`).toBe(-1);
      };
      within('distances', distances.squares, (i) => distances.bound[Math.floor(i / rows)]!, 1e-5);
      // of rows that are as near in float32 they may take another
      const chosen = of('nearest');
      expect(chosen).toHaveLength(rows * k);
      const farther = chosen.findIndex(
        (row, at) => !(distance(Math.floor(at / k), row) <= nearest.distances[at]! + 1e-4),
      );
      expect(farther, `${name} nearest`).toBe(-1);
      within('gains', gains.gains, (i) => gains.bound[i]!, 2e-3);
      within('facilityLocationGains', coverage.gains, (i) => coverage.bound[i]!, 1e-3);
      within('kCenterUpdate', centred.nearest, (i) => centred.bound[i]!, 1e-5);
    }
  },
  60_000,
);
