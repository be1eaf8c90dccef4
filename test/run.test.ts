import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import * as coregain from '#lib/index.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

const config = (out: string): coregain.RunConfigInput => ({
  data: { generate: { scenes: 12, size: 32, regime: 'uniform' }, split: 'all' },
  embed: { modalities: ['semseg'], layer: 1 },
  reduce: { method: 'none' },
  select: { bins: 3, budget: '50%', gain: 'cosine', exclude: ['000000'] },
  out: join(folder, out),
});

test('a run is a function: progress by stage, result in memory and on disk', async () => {
  const seen: coregain.Progress[] = [];
  const result = await coregain.run(config('a'), { onProgress: (progress) => seen.push(progress) });
  expect([...new Set(seen.map(({ stage }) => stage))]).toEqual(['generate', 'embed', 'select', 'report']);
  for (const stage of ['generate', 'embed', 'select', 'report'] as const) {
    const last = seen.filter((progress) => progress.stage === stage).at(-1)!;
    expect(last.done).toBe(last.total);
  }
  const { rows, partition } = result.selection;
  expect(rows).toHaveLength(6);
  expect(partition.binCount).toBe(3);
  expect(result.embedded).toMatchObject({ rows: 12, cols: coregain.presets.tiny.dim });
  const lines = readFileSync(result.files.coreset, 'utf8').trimEnd().split('\n');
  const coreset = lines.map((line) => JSON.parse(line));
  expect(coreset.map(({ row }) => row)).toEqual([...rows]);
  expect(coreset.map(({ id }) => id)).not.toContain('000000');
  expect(existsSync(join(result.config.out, 'reduced.npy'))).toBe(false);
  expect(JSON.parse(readFileSync(result.files.run, 'utf8'))).toEqual(JSON.parse(JSON.stringify(result.record)));
});

test('an abort in any stage rejects with its reason and leaves no temporary file; the same call goes on', async () => {
  const out = 'b';
  for (const stage of ['generate', 'embed', 'select', 'report'] as const) {
    const controller = new AbortController();
    const reason = new Error(`stopped in ${stage}`);
    const onProgress = (progress: coregain.Progress) => {
      if (progress.stage === stage) controller.abort(reason);
    };
    await expect(coregain.run(config(out), { signal: controller.signal, onProgress })).rejects.toBe(reason);
    expect((readdirSync(join(folder, out), { recursive: true }) as string[]).filter((f) => f.includes('.tmp'))).toEqual(
      [],
    );
    expect(existsSync(join(folder, out, 'run.json'))).toBe(false);
  }
  const result = await coregain.run(config(out));
  expect(result.generated!.rendered).toBe(0);
  expect(result.embedded.encoded).toBe(0);
  expect([...result.selection.rows]).toEqual([...(await coregain.run(config('a'))).selection.rows]);
});

test('the result of another configuration stays unless forced; threads make no other configuration', async () => {
  const other = { ...config('a'), select: { bins: 2, budget: 2 } };
  await expect(coregain.run(other)).rejects.toMatchObject({ name: 'ConfigError', code: 'ERR_OUT_TAKEN' });
  await coregain.run({ ...config('a'), threads: 1 });
  const forced = await coregain.run(other, { force: true });
  expect(forced.selection.rows).toHaveLength(2);
});

test('bad configurations reject with ConfigError', async () => {
  await expect(coregain.run({} as coregain.RunConfigInput)).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  await expect(coregain.run({ ...config('c'), select: { budget: 0 } })).rejects.toThrow(/`select\.budget` must be/);
  expect(existsSync(join(folder, 'c'))).toBe(false);
});
