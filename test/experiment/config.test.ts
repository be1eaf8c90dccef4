import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { readConfig } from '#lib/configFile.js';
import { ConfigError } from '#lib/errors.js';
import { checkExperiment, demoExperiment } from '#lib/experiment/config.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-experiment-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function load(path: string) {
  const source = await readConfig(path);
  return checkExperiment(source.value, source);
}

/** The sentences about a file, one a line, each behind `FILE:<line>: `. */
async function refusal(text: string): Promise<string> {
  const path = join(folder, 'e.yaml');
  writeFileSync(path, text);
  const error = await load(path).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.code).toBe('ERR_CONFIG');
  return error.message.replaceAll(path, 'FILE');
}

test('defaults are filled in, paths absolute; a checked configuration passes again', () => {
  const config = checkExperiment({ data: { generate: {} } });
  const out = resolve('coregain-experiment');
  expect(config).toMatchObject({
    data: { generate: { scenes: 1000, size: 64, regime: 'logs', folder: join(out, 'data') } },
    task: 'depth',
    adapter: { kind: 'dpt' },
    strategies: ['bins', 'facility-location', 'dbal'],
    budgets: [0.05, 0.2],
    protocols: ['equal-steps', 'equal-epochs'],
    seeds: { draws: 5, random: 3, training: 1, first: 0 },
    out,
  });
  expect(checkExperiment(config)).toEqual(config);
});

test('the demonstration is small: scenes are not enlarged for the encoder, and it has all arms and protocols', () => {
  const { data, encoder, training, seeds, strategies, protocols } = checkExperiment(demoExperiment);
  expect(encoder.image).toBe(data.generate!.size);
  expect(data.generate!.scenes * training.steps * seeds.draws).toBeLessThan(100_000);
  expect(strategies).toEqual(['bins', 'facility-location', 'dbal']);
  expect(protocols).toEqual(['equal-steps', 'equal-epochs']);
});

test('paths in a file start at its folder', async () => {
  const path = join(folder, 'paths.yaml');
  writeFileSync(path, 'data: {path: my-data}\nencoder: {weights: w.safetensors}\nout: results\n');
  expect(await load(path)).toMatchObject({
    data: { path: join(folder, 'my-data') },
    encoder: { weights: join(folder, 'w.safetensors') },
    out: join(folder, 'results'),
  });
});

test('the examples are valid', async () => {
  for (const name of ['experiment.yaml', 'paper.yaml']) {
    await load(fileURLToPath(new URL(`../../examples/${name}`, import.meta.url)));
  }
});

const data = 'data: {generate: {}}\n';

test.each([
  ['data: {split: train}\n', 'FILE:1: `data` needs one of `path` and `generate`'],
  ['data: {path: a, generate: {}}\n', 'FILE:1: `data` needs one of `path` and `generate`'],
  [
    `${data}task: count\nadapter:\n  kind: dpt\n`,
    'FILE:4: `task` count is a class, but `adapter.kind` dpt predicts depth. Use `adapter.kind: linear` or `convnext`.',
  ],
  [
    `${data}training:\n  encoder: end-to-end\n  views: 2\n`,
    'FILE:4: `training.views` is for cached tokens; with `training.encoder: end-to-end` every pass is augmented anew. Take it out.',
  ],
  [
    `${data}adapter:\n  kind: convnext\n  embedDim: 64\n  subPatches: 8\n`,
    'FILE:5: `adapter.subPatches` must be a square number that divides `adapter.embedDim`.',
  ],
  [
    `${data}adapter: {kind: convnext, embedDim: 66, subPatches: 16}\n`,
    'FILE:2: `adapter.subPatches` must be a square number that divides `adapter.embedDim`.',
  ],
  [`${data}adapter:\n  featureDim: 7\n`, 'FILE:3: `adapter.featureDim` must be even: the head halves it.'],
  [
    `${data}adapter: {kind: linear}\nembeddings:\n  aggregation: [mean]\n  layer: [head_out]\n`,
    'FILE:5: Layer head_out is of a DPT adapter. Use `task: depth` and `adapter.kind: dpt`, or block numbers.',
  ],
  [
    `${data}embeddings:\n  layer: [path_2]\n  aggregation: [mean, last]\n`,
    'FILE:4: Aggregation last is of tokens, but layer path_2 is a map. Use concat, mean or sum.',
  ],
  [
    `${data}arms:\n  - {strategy: bins, layer: path_9}\n`,
    'FILE:3: `arms.0.layer` must be a block number from 0, or one of head_out, path_1, path_2, path_3, path_4',
  ],
  [`${data}embeddings:\n  dims: [8, many]\n`, 'FILE:3: `embeddings.dims.1` must be an integer >= 1, or auto'],
  [
    `${data}embeddings:\n  reduce: [umap]\n  dims: [auto]\n`,
    'FILE:4: `dims` auto is of pca. Give umap a number of dimensions.',
  ],
  [`${data}budgets: [0.1, 1.5]\n`, 'FILE:2: `budgets.1` must be a fraction in (0, 1), but it is 1.5'],
  [`${data}strategies: [random]\n`, 'FILE:2: `strategies.0` must be one of '],
  [`${data}seeds:\n  draws: 0\n`, 'FILE:3: `seeds.draws` must be an integer >= 1, but it is 0'],
  [`${data}strategy: [bins]\n`, 'FILE:2: '],
])('%j is refused with a cure', async (text, sentence) => {
  expect(await refusal(text)).toContain(sentence);
});

test('arms that aggregate tokens of a map are refused, also where only the list of arms says so', async () => {
  const arm = (aggregation: string) =>
    refusal(`${data}arms:\n  - {strategy: bins, layer: head_out, aggregation: ${aggregation}}\n`);
  expect(await arm('concat-modalities')).toContain('FILE:3: Aggregation concat-modalities is of tokens');
  const listed = { strategy: 'bins', layer: 'head_out', aggregation: 'mean' } as const;
  expect(checkExperiment({ data: { generate: {} }, arms: [listed] }).arms).toEqual([listed]);
});

test('an arm may look at an encoder of its own: a path, or random weights; not where it looks at the trained adapter', async () => {
  const arms = [
    { strategy: 'dbal', weights: 'other.safetensors' },
    { strategy: 'dbal', weights: 'random' },
  ] as const;
  const config = checkExperiment({ data: { generate: {} }, arms: [...arms] }, { folder: '/there' } as never);
  expect(config.arms!.map(({ weights }) => weights)).toEqual(['/there/other.safetensors', 'random']);
  expect(
    await refusal(`${data}arms:\n  - {strategy: bins, layer: head_out, aggregation: mean, weights: random}\n`),
  ).toContain('FILE:3: Features of the trained adapter have its weights. Take `weights` out, or name a block.');
});

test('classes may have a ConvNeXt head', () => {
  const config = checkExperiment({ data: { generate: {} }, task: 'shape', adapter: { kind: 'convnext' } });
  expect(config.adapter.kind).toBe('convnext');
});

test('every mistake is named', async () => {
  const message = await refusal(`${data}task: colour\nseeds: {draws: x}\nbudgets: []\n`);
  expect(
    message
      .split('\n')
      .map((line) => line.slice(0, 7))
      .sort(),
  ).toEqual(['FILE:2:', 'FILE:3:', 'FILE:4:']);
});
