import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { checkConfig, demoConfig, type RunConfigInput } from '#lib/config.js';
import { readConfig } from '#lib/configFile.js';
import { ConfigError } from '#lib/errors.js';
import { checkExperiment, demoExperiment } from '#lib/experiment/config.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function load(path: string) {
  const source = await readConfig(path);
  return checkConfig(source.value as RunConfigInput, source);
}

async function refusal(name: string, text: string): Promise<string> {
  const path = file(name, text);
  const error = await load(path).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.code).toBe('ERR_CONFIG');
  expect(error.message).toContain(path);
  return error.message.replaceAll(path, 'FILE');
}

test('defaults are filled in', () => {
  const out = resolve('coregain-out');
  expect(checkConfig(demoConfig)).toEqual({
    data: {
      generate: { scenes: 1000, size: 128, regime: 'logs', seed: 0, folder: join(out, 'data') },
      split: 'train',
    },
    encoder: { device: 'auto' },
    embed: { aggregation: 'concat-modalities', batch: 8, cache: join(out, 'cache') },
    reduce: { method: 'pca', dims: 64 },
    select: {
      strategy: 'bins',
      bins: 10,
      gain: 'sqeuclidean',
      budget: 0.2,
      seed: 0,
      remainder: 'spread',
      engine: 'auto',
      device: 'auto',
    },
    threads: 0,
    out,
  });
});

test('UMAP and its options are a reduction', () => {
  const umap = { dims: 8, neighbours: 30, neighbourSearch: 'exact', minDist: 0, epochs: 50, seed: 3 } as const;
  const reduce = { method: 'umap', ...umap } as const;
  expect(checkConfig({ ...demoConfig, reduce }).reduce).toEqual(reduce);
  expect(checkConfig({ ...demoConfig, reduce: { device: 'cuda:1' } }).reduce.device).toBe('cuda:1');
  expect(() => checkConfig({ ...demoConfig, reduce: { device: 'gpu' as 'cuda' } })).toThrow(
    /`reduce.device` must be auto, cpu, cuda or cuda:N/,
  );
  expect(() => checkConfig({ ...demoConfig, reduce: { minDist: 2 } })).toThrow(
    /`reduce.minDist` must be a number in 0\.\.1, but it is 2/,
  );
  const { embeddings } = checkExperiment({ ...demoExperiment, embeddings: { reduce: ['pca', 'umap'], dims: [8] } });
  expect(embeddings.reduce).toEqual(['pca', 'umap']);
});

test('a checked configuration passes again, unchanged', () => {
  const once = checkConfig({ data: { path: 'x' }, select: { include: ['a', 3] }, out: 'y' });
  expect(checkConfig(once)).toEqual(once);
});

test('YAML and JSON say the same; relative paths start at the file', async () => {
  const yaml = file(
    'a.yaml',
    `data: {path: ../images, split: all}
encoder: {weights: w.pth}
embed: {cache: /elsewhere/cache, modalities: [semseg, rgb]}
select: {include: must.txt, exclude: [b, 7]}
out: run
`,
  );
  const json = file(
    'a.json',
    JSON.stringify({
      data: { path: '../images', split: 'all' },
      encoder: { weights: 'w.pth' },
      embed: { cache: '/elsewhere/cache', modalities: ['semseg', 'rgb'] },
      select: { include: 'must.txt', exclude: ['b', 7] },
      out: 'run',
    }),
  );
  const config = await load(yaml);
  expect(config).toEqual(await load(json));
  expect(config.data.path).toBe(resolve(folder, '../images'));
  expect(config.encoder.weights).toBe(join(folder, 'w.pth'));
  expect(config.embed).toMatchObject({ cache: '/elsewhere/cache', modalities: ['semseg', 'rgb'] });
  expect(config.select).toMatchObject({ include: join(folder, 'must.txt'), exclude: ['b', 7] });
  expect(config.out).toBe(join(folder, 'run'));
});

test('without `out` the output goes to the current folder, not beside the file', async () => {
  expect((await load(file('b.yaml', 'data: {path: x}\n'))).out).toBe(resolve('coregain-out'));
});

test('an unknown key is named with its line and the key that was probably meant', async () => {
  const text = 'data:\n  path: x\nselect:\n  bin: 10\n  colour: red\n';
  expect(await refusal('c.yaml', text)).toBe(
    'FILE:4: `select.bin` is not a key of the configuration. Did you mean `bins`?\n' +
      'FILE:5: `select.colour` is not a key of the configuration. Known here: strategy, clusters, fraction, bins, gain, budget, seed, remainder, engine, device, include, exclude.',
  );
  expect(await refusal('d.yaml', 'data: {path: x}\nselct: {}\n')).toBe(
    'FILE:2: `selct` is not a key of the configuration. Did you mean `select`?',
  );
  expect(await refusal('e.yaml', 'data:\n  generate:\n    scene: 5\n')).toBe(
    'FILE:3: `data.generate.scene` is not a key of the configuration. Did you mean `scenes`?',
  );
});

test.each([
  ['data: {path: x}\nselect:\n  bins: 0\n', 'FILE:3: `select.bins` must be an integer >= 1, but it is 0.'],
  ['data: {path: x}\nselect:\n  bins: ten\n', 'FILE:3: `select.bins` must be an integer >= 1, but it is "ten".'],
  ['data: {path: x}\nselect:\n  bins: 2.5\n', 'FILE:3: `select.bins` must be an integer >= 1, but it is 2.5.'],
  [
    'data: {path: x}\nselect: {gain: l2}\n',
    'FILE:2: `select.gain` must be one of sqeuclidean, cosine, but it is "l2".',
  ],
  [
    'data: {path: x}\nembed: {modalities: [rgb, depth]}\n',
    'FILE:2: `embed.modalities.1` must be one of rgb, semseg, but it is "depth".',
  ],
  ['data: {path: x}\nselect: 5\n', 'FILE:2: `select` must be a group of keys, but it is 5.'],
  ['data: {path: x}\nselect:\n', 'FILE:2: `select` must be a group of keys, but it is null.'],
  ['select: {bins: 3}\n', 'FILE: `data` must be a group of keys, but it is missing.'],
  ['', 'FILE: The configuration must be a group of keys, but it is null.'],
  [
    'data: {split: train}\n',
    'FILE:1: `data` has neither `path` nor `generate`. Give the path of a data set, or what to generate.',
  ],
  ['data:\n  path: x\n  generate: {}\n', 'FILE:3: `data` has both `path` and `generate`. Take one of them out.'],
  [
    'data: {path: x}\nencoder:\n  preset: base\n  model: m.json\n',
    'FILE:4: `encoder` has both `preset` and `model`. Take one of them out.',
  ],
])('%j', async (text, message) => {
  expect(await refusal('f.yaml', text)).toBe(message);
});

test('what is neither YAML nor JSON, or not there, is named', async () => {
  expect(await refusal('g.json', '{"data": {"path": "x"')).toMatch(/^FILE is neither YAML nor JSON: /);
  expect(await refusal('h.yaml', 'data: {path: x}\ndata: {path: y}\n')).toMatch(/unique/);
  await expect(readConfig(join(folder, 'none.yaml'))).rejects.toThrow(/none\.yaml cannot be read: ENOENT/);
});

test('the example says what the defaults are', async () => {
  const { data, out, ...example } = await load(fileURLToPath(new URL('../examples/folder.yaml', import.meta.url)));
  expect(data.path).toBe(fileURLToPath(new URL('../my-data', import.meta.url)));
  const { data: _data, out: _out, encoder, ...defaults } = checkConfig({ data: { path: 'x' }, out });
  expect(example).toEqual({ ...defaults, encoder: { preset: 'tiny', ...encoder } });
});
