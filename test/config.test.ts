import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { withFlags } from '#lib/cli/configFlags.js';
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

test.each([
  { select: { strategy: 'dbal' } },
  { select: { strategy: 'kmeans', clusters: 4 } },
  { reduce: { method: 'none' } },
  { reduce: { method: 'umap', epochs: 5, seed: 1 } },
] as const)('%j has no keys of others, and passes again', (more) => {
  const once = checkConfig({ data: { path: 'x' }, ...more });
  expect(Object.keys(once.select).includes('bins')).toBe(once.select.strategy === 'bins');
  expect(Object.keys(once.reduce).includes('dims')).toBe(once.reduce.method !== 'none');
  expect(checkConfig(once)).toEqual(once);
});

test('examples are configurations', async () => {
  const named = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));
  expect((await load(named('examples/folder.yaml'))).select.bins).toBe(10);
  const experiments = readdirSync(named('bench/experiments')).filter((name) => name.endsWith('.yaml'));
  const paths = [
    'examples/experiment.yaml',
    'examples/paper.yaml',
    ...experiments.map((n) => `bench/experiments/${n}`),
  ];
  for (const path of paths) {
    const source = await readConfig(named(path));
    expect(checkExperiment(source.value, source).out).toBeTruthy();
  }
});

test('a strategy or a method that is typed takes the keys of the one in the file away', async () => {
  const base = { data: { path: 'x' }, select: { bins: 20, budget: 9 }, reduce: { dims: 8, method: 'umap', epochs: 5 } };
  const { select, reduce } = checkConfig(
    (await withFlags(base, { strategy: 'kmeans', clusters: 3, reduce: 'pca' })) as RunConfigInput,
  );
  expect(select).toEqual({ strategy: 'kmeans', clusters: 3, budget: 9, seed: 0, device: 'auto' });
  expect(reduce).toEqual({ method: 'pca', dims: 8 });
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
  [
    'data: {path: x}\nselect:\n  strategy: dbal\n  clusters: 5\n  bins: 10\n',
    'FILE:4: `select.clusters` is of the strategy kmeans, not of dbal. Take it out, or set `select.strategy` to kmeans.\n' +
      'FILE:5: `select.bins` is of the strategy bins, not of dbal. Take it out, or set `select.strategy` to bins.',
  ],
  [
    'data: {path: x}\nselect:\n  fraction: 0.3\n',
    'FILE:3: `select.fraction` is of the strategy dbal, not of bins. Take it out, or set `select.strategy` to dbal.',
  ],
  [
    'data: {path: x}\nreduce:\n  minDist: 0.5\n',
    'FILE:3: `reduce.minDist` is of the method umap, not of pca. Take it out, or set `reduce.method` to umap.',
  ],
  [
    'data: {path: x}\nreduce:\n  method: none\n  dims: 8\n',
    'FILE:4: `reduce.dims` is of the method pca and umap, not of none. Take it out, or set `reduce.method` to pca or umap.',
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
