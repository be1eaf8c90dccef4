import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { coregain, filesIn, jsonLines, scratchFolder, start, until } from './coregain.js';

const folder = scratchFolder();
const config = `
data: {generate: {scenes: 24, size: 64, regime: uniform, seed: 3}, split: all}
embed: {aggregation: mean}
reduce: {dims: 8}
select: {bins: 4, budget: 8, seed: 1}
out: whole
`;
const out = join(folder, 'whole');

beforeAll(async () => {
  writeFileSync(join(folder, 'c.yaml'), config);
  const { status, stdout, stderr } = await coregain(['run', '--config', 'c.yaml'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(/^8 of 24 samples \(33\.3%\) from 4 bins\n/);
  expect(stdout).toContain('weights of this package, tuned on the depth of rendered scenes');
});

test('the folder holds the coreset, its provenance and its pictures', async () => {
  expect(readdirSync(out).sort()).toEqual(
    'bins.npy cache coreset.jsonl coreset.png data embed.json embeddings.npy order.npy reduced.npy report.html run.json samples.jsonl'.split(
      ' ',
    ),
  );
  const coreset = jsonLines(join(out, 'coreset.jsonl'));
  expect(coreset).toHaveLength(8);
  const names = new Set(jsonLines(join(out, 'data', 'manifest.jsonl')).map(({ id }) => id));
  for (const { id, paths } of coreset) {
    expect(names).toContain(id);
    expect(existsSync(join(out, 'data', (paths as { rgb: string }).rgb))).toBe(true);
  }
  const record = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
  expect(record.stages.map(({ name }: { name: string }) => name)).toEqual([
    'generate',
    'embed',
    'reduce',
    'select',
    'report',
  ]);
  expect(record).toMatchObject({
    config: { data: { generate: { scenes: 24 } }, select: { bins: 4, budget: 8 }, out },
    counts: { rows: 24, chosen: 8, bins: 4 },
    encoder: {
      identity: expect.stringMatching(/^[0-9a-f]{64}$/),
      origin: expect.stringContaining('weights of this package'),
      provider: 'cpu',
      tf32: false,
    },
    inputs: [{ path: join(out, 'embeddings.npy') }],
  });
  const report = readFileSync(join(out, 'report.html'), 'utf8');
  for (const { id } of coreset) expect(report).toContain(String(id));
  expect((await sharp(join(out, 'coreset.png')).metadata()).width).toBeGreaterThan(100);
});

test('a second run computes nothing again and selects the same', async () => {
  const files = ['coreset.jsonl', 'bins.npy', 'order.npy', 'embeddings.npy', 'reduced.npy'];
  const before = files.map((name) => readFileSync(join(out, name)));
  const { status, stdout, stderr } = await coregain(['run', '--config', 'c.yaml', '--json'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const result = JSON.parse(stdout);
  expect(result.generated).toMatchObject({ scenes: 24, rendered: 0 });
  expect(result.embedded).toMatchObject({ rows: 24, encoded: 0, cached: 24 });
  expect(files.map((name) => readFileSync(join(out, name)))).toEqual(before);
});

test('another configuration does not replace the result without --force', async () => {
  const before = readFileSync(join(out, 'coreset.jsonl'), 'utf8');
  const refused = await coregain(['run', '--config', 'c.yaml', '--budget', '6'], folder);
  expect(refused).toMatchObject({ status: 2, stdout: '' });
  expect(refused.stderr).toContain(`${out} holds the result of another configuration`);
  expect(readFileSync(join(out, 'coreset.jsonl'), 'utf8')).toBe(before);
});

test('stage by stage gives what `run` gives', async () => {
  const steps = [
    ['generate', '--out', 'scenes', '--scenes', '24', '--size', '64', '--regime', 'uniform', '--seed', '3'],
    ['embed', '--data', 'scenes', '--split', 'all', '--aggregation', 'mean', '--out', 'embedded'],
    ['reduce', '--embeddings', 'embedded/embeddings.npy', '--dims', '8', '--out', 'reduced.npy'],
    'select --embeddings reduced.npy --samples embedded/samples.jsonl --data scenes --bins 4 --budget 8 --seed 1 --out picked'.split(
      ' ',
    ),
  ];
  for (const step of steps) {
    const { status, stdout, stderr } = await coregain([...step, '--json'], folder);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(() => JSON.parse(stdout)).not.toThrow();
  }
  for (const name of ['coreset.jsonl', 'bins.npy', 'order.npy']) {
    expect(readFileSync(join(folder, 'picked', name))).toEqual(readFileSync(join(out, name)));
  }
  expect(existsSync(join(folder, 'picked', 'coreset.png'))).toBe(true);
});

test('what cannot be selected is refused before anything is embedded', async () => {
  for (const [flags, message] of [
    [['--strategy', 'random', '--engine', 'gram'], /`--engine` is of the strategy bins, not of random/],
    [['--bins', '25'], /`bins` must be an integer in 1\.\.24/],
    [['--budget', '25'], /`budget` must be .* in 1\.\.24/],
    [['--include', 'nobody'], /`include` has the id "nobody"/],
  ] as const) {
    const { status, stdout, stderr } = await coregain(
      ['run', '--data', 'whole/data', '--split', 'all', ...flags, '--out', 'early'],
      folder,
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(message);
  }
  const split = await coregain(['run', '--data', 'whole/data', '--split', 'test', '--out', 'early'], folder);
  expect(split).toMatchObject({ status: 1 });
  expect(split.stderr).toMatch(/has no split "test"\. It has /);
  expect(existsSync(join(folder, 'early'))).toBe(false);
});

const interrupted = 'coregain: interrupted. Run the same command again: it goes on where it stopped.\n';

test('Ctrl-C while rendering: 1, one line, no temporary files; the same command goes on', async () => {
  const args = ['generate', '--out', 'cut', '--scenes', '300', '--size', '64', '--json'];
  const scenes = join(folder, 'cut', 'scenes');
  const { child, ended } = start(args, folder);
  await until(() => existsSync(scenes) && readdirSync(scenes).length > 20);
  child.kill('SIGINT');
  expect(await ended).toEqual({ status: 1, signal: null, stdout: '', stderr: interrupted });
  const there = readdirSync(scenes).length;
  expect(there).toBeLessThan(300);
  expect(filesIn(join(folder, 'cut')).filter((name) => name.includes('.tmp'))).toEqual([]);
  const again = await coregain(args, folder);
  expect(again.status).toBe(0);
  expect(JSON.parse(again.stdout)).toMatchObject({ scenes: 300, rendered: 300 - there });
});

test('Ctrl-C while embedding: no temporary files, no lock; embeddings that are there are not computed again', async () => {
  expect((await coregain(['generate', '--out', 'many', '--scenes', '400', '--size', '32'], folder)).status).toBe(0);
  const args = ['embed', '--data', 'many', '--split', 'all', '--out', 'cutEmbedding', '--json'];
  const cache = join(folder, 'cutEmbedding', 'cache');
  const keys = () => {
    const [place] = existsSync(cache) ? readdirSync(cache) : [];
    const path = place && join(cache, place, 'keys');
    return path && existsSync(path) ? statSync(path).size / 48 : 0;
  };
  const { child, ended } = start(args, folder);
  await until(() => keys() >= 16);
  child.kill('SIGINT');
  expect(await ended).toEqual({ status: 1, signal: null, stdout: '', stderr: interrupted });
  const stored = keys();
  expect(stored).toBeLessThan(400);
  expect(filesIn(join(folder, 'cutEmbedding')).filter((name) => !name.startsWith('cache'))).toEqual([]);
  expect(filesIn(cache).filter((name) => name.includes('lock'))).toEqual([]);
  const again = await coregain(args, folder);
  expect(again.status).toBe(0);
  const { rows, encoded } = JSON.parse(again.stdout);
  expect(rows).toBe(400);
  expect(encoded).toBeLessThanOrEqual(400 - stored);
});

test('Ctrl-C while selecting: nothing was written', async () => {
  const data = Float32Array.from({ length: 100_000 * 64 }, (_, i) => Math.sin(i * i));
  await writeNpy(join(folder, 'large.npy'), { data, shape: [100_000, 64] });
  // Nothing shows from outside when it begins: three times the start of the command, on this machine as it is now.
  const before = performance.now();
  await coregain(['--version']);
  const { child, ended } = start(['select', '--embeddings', 'large.npy', '--out', 'cutSelection'], folder);
  const timer = setTimeout(() => child.kill('SIGINT'), 3 * (performance.now() - before));
  const result = await ended;
  clearTimeout(timer);
  expect(result).toEqual({
    status: 1,
    signal: null,
    stdout: '',
    stderr: 'coregain: interrupted. Nothing was written; run the same command again.\n',
  });
  expect(existsSync(join(folder, 'cutSelection'))).toBe(false);
});

test('a reader that goes away is no error', async () => {
  const { child, ended } = start(['doctor', '--json'], folder);
  child.stdout!.destroy();
  expect(await ended).toMatchObject({ status: 0, stderr: '' });
});
