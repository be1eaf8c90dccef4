import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bench, writeBench } from '#lib/bench/bench.js';
import { runChild } from '#lib/bench/child.js';
import { planBench } from '#lib/bench/plan.js';
import { writeNpy } from '#lib/formats/npy.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-test-bench-'));
afterAll(() => rmSync(folder, { recursive: true }));

const small = { kinds: ['iso'], rows: [100, 300], dims: [16], threads: [1], repeats: 2 } as const;

test('a small bench: measured, hashed, summed up, and written with a stable shape', async () => {
  const report = await bench({ ...small, engines: ['auto', 'sweep'], baselines: [] });
  expect(report.results.map(({ name, rows }) => `${name} ${rows}`)).toEqual([
    'auto 100',
    'sweep 100',
    'auto 300',
    'sweep 300',
  ]);
  for (const { runs, seconds, peakBytes, baselineBytes, dotProductsPerStep } of report.results) {
    expect(runs).toHaveLength(2);
    expect(new Set(runs.map(({ orderHash }) => orderHash)).size).toBe(1);
    expect(seconds.min).toBeGreaterThan(0);
    expect(peakBytes).toBeGreaterThan(baselineBytes);
    expect(dotProductsPerStep).toBeGreaterThan(0);
  }
  expect(report.machine.bandwidth[0]!.bytesPerSecond).toBeGreaterThan(1e8);
  expect(report.exponents).toHaveLength(2);

  const files = await writeBench(report, join(folder, 'out'));
  expect(readdirSync(join(folder, 'out')).sort()).toEqual(['bench.html', 'bench.json']);
  const json = JSON.parse(readFileSync(files.json, 'utf8'));
  // Readers depend on these keys; to change them is to raise formatVersion.
  expect(json).toMatchObject({ format: 'coregain-bench', formatVersion: 1 });
  const optional = ['commit', 'changed'];
  expect(Object.keys(json).filter((key) => !optional.includes(key))).toEqual([
    ...[
      'format',
      'formatVersion',
      'date',
      'version',
      'machine',
      'settings',
      'results',
      'exponents',
      'notes',
      'failures',
    ],
  ]);
  expect(Object.keys(json.settings)).toEqual(['bins', 'gain', 'repeats', 'limitSeconds', 'seed']);
  expect(Object.keys(json.machine)).toEqual([
    ...['platform', 'processor', 'cores', 'memoryBytes', 'simd', 'node', 'load', 'bandwidth'],
  ]);
  expect(Object.keys(json.results[0])).toEqual([
    ...['kind', 'cols', 'rows', 'name', 'threads', 'extrapolated', 'seconds', 'cpuSeconds', 'inputBytes', 'peakBytes'],
    ...[
      'baselineBytes',
      'peakOverInput',
      'dotProductsPerStep',
      'rooflineShare',
      'runs',
      'speedup',
      'speedupExtrapolated',
    ],
  ]);
  expect(Object.keys(json.results[0].runs[0])).toEqual([
    ...['seconds', 'cpuSeconds', 'peakBytes', 'baselineBytes', 'engine', 'orderHash'],
  ]);
});

test('a sweep beyond the limit is extrapolated from a prefix to about what it takes', async () => {
  const options = { kinds: ['iso'], rows: [3000], dims: [768], threads: [1], repeats: 1, engines: ['sweep'] } as const;
  const whole = (await bench({ ...options, baselines: [], limitSeconds: 1000 })).results[0]!;
  const guess = (await bench({ ...options, baselines: [], limitSeconds: whole.seconds.median / 3 })).results[0]!;
  expect(whole.extrapolated).toBe(false);
  expect(guess.extrapolated).toBe(true);
  expect(guess.runs[0]!.extrapolated!.steps).toBeLessThan(3000);
  expect(guess.runs[0]).not.toHaveProperty('orderHash');
  // Other work on the machine may come between the two runs.
  expect(guess.seconds.median / whole.seconds.median).toBeGreaterThan(0.3);
  expect(guess.seconds.median / whole.seconds.median).toBeLessThan(3);
});

test('rows of a file: evenly spaced, and all of them', async () => {
  const path = join(folder, 'X.npy');
  const data = Float64Array.from({ length: 90 * 3 }, (_, i) => Math.sin(i * i));
  await writeNpy(path, { data, shape: [90, 3] });
  const report = await bench({
    embeddings: path,
    engines: ['sweep'],
    baselines: [],
    threads: [1],
    repeats: 1,
    bins: 2,
  });
  expect(report.results.map(({ kind, rows, cols, inputBytes }) => [kind, rows, cols, inputBytes])).toEqual([
    ['X.npy', 22, 3, 528],
    ['X.npy', 45, 3, 1080],
    ['X.npy', 90, 3, 2160],
  ]);
});

test('no numpy: a note, and the engines are measured all the same', async () => {
  const { results, notes } = await bench({ ...small, engines: ['sweep'], python: join(folder, 'no-python') });
  expect(new Set(results.map(({ name }) => name))).toEqual(new Set(['sweep']));
  expect(notes).toEqual([
    expect.stringMatching(/^Not run: numpy and paper, because .*no-python cannot be started\. Name a/),
  ]);
});

const numpy = await runChild('python3', ['-c', 'import numpy, resource; print("{}")']).catch(() => undefined);
if (!numpy) console.warn('SKIPPED: tests of the numpy baselines; python3 has no numpy');
test.skipIf(!numpy).each(['cosine', 'sqeuclidean'] as const)(
  '%s: baselines take the same rows as the engines',
  async (gain) => {
    const { results, notes } = await bench({ ...small, gain, engines: ['sweep'], repeats: 1 });
    for (const { name, agreesUpTo, rows, runs } of results) {
      if (name === 'sweep') continue;
      expect(runs[0]!.version).toContain('numpy');
      // Float32 may decide ties of the last digits otherwise, not the first half of the steps.
      expect(agreesUpTo).toEqual({ steps: rows, step: expect.any(Number) });
      if (name === 'numpy') expect(agreesUpTo!.step).toBeGreaterThan(rows / 2);
    }
    expect(results.filter(({ name }) => name === 'paper')).toHaveLength(gain === 'cosine' ? 2 : 0);
    expect(notes.join()).toMatch(gain === 'cosine' ? /^$/ : /^paper was not run: it is for the cosine gain only/);
  },
);

test('an abort kills the process under way and leaves no file', async () => {
  const before = readdirSync(tmpdir()).filter((name) => name.startsWith('coregain-bench-'));
  const controller = new AbortController();
  const reason = new Error('stop');
  const running = bench({
    ...{ kinds: ['iso'], rows: [200_000], dims: [64], engines: ['sweep'], baselines: [], threads: [1] },
    signal: controller.signal,
  });
  setTimeout(() => controller.abort(reason), 2000);
  await expect(running).rejects.toBe(reason);
  expect(readdirSync(tmpdir()).filter((name) => name.startsWith('coregain-bench-'))).toEqual(before);
});

test('a child that fails says why; one that is killed by an abort is gone', async () => {
  const code = (text: string) => runChild(process.execPath, ['-e', text]);
  await expect(code('console.error("no luck"); process.exit(3)')).rejects.toMatchObject({
    code: 'ERR_BENCH_CHILD',
    message: 'the process ended with status 3: no luck.',
  });
  await expect(code('console.log("hm")')).rejects.toThrow(/printed no result: hm/);
  await expect(code('process.kill(process.pid, "SIGKILL")')).rejects.toThrow(/ended by SIGKILL\. Free memory/);
  await expect(code('console.log(JSON.stringify({ error: { code: "ERR_X", message: "So." } }))')).rejects.toMatchObject(
    {
      code: 'ERR_X',
      message: 'So.',
    },
  );
  expect(await code('console.log("noise\\n{\\"a\\": 1}")')).toEqual({ a: 1 });
  const mark = join(folder, 'mark');
  const controller = new AbortController();
  const late = `setTimeout(() => require('fs').writeFileSync(${JSON.stringify(mark)}, ''), 1000)`;
  const running = runChild(process.execPath, ['-e', late], { signal: controller.signal });
  setTimeout(() => controller.abort(new Error('stop')), 100);
  await expect(running).rejects.toThrow('stop');
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(existsSync(mark)).toBe(false);
});

test.each([
  [{ rows: [] }, /at least one each/],
  [{ rows: [0] }, /`rows` must be an integer in 1\.\./],
  [{ rows: [5] }, /`bins` must be an integer in 1\.\.5, but it is 10/],
  [{ engines: [], baselines: [] }, /at least one engine or baseline/],
  [{ engines: ['fast'] as never }, /one of auto, lazy, gram, sweep/],
  [{ limitSeconds: 0 }, /a number of seconds > 0/],
  [{ repeats: 1.5 }, /`repeats` must be an integer/],
  [{ threads: 1 as never }, /`threads` must be a list/],
])('bad options %j', async (options, message) => {
  await expect(planBench(options)).rejects.toThrow(message);
});
