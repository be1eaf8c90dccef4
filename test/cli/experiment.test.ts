import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, expect, test } from 'vitest';
import type { ExperimentSummary } from '#lib/index.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { officialConfig } from '../models/golden.js';
import { coregain, type Ended, scratchFolder, start, until } from './coregain.js';

const folder = scratchFolder();
const config = `
data: {generate: {scenes: 40, size: 32, folder: scenes}}
encoder: {model: model.json, seed: 1, device: cpu}
adapter: {kind: dpt, layerDims: [4, 4, 8, 8], featureDim: 8}
training: {steps: 20, batch: 4, evaluations: 2}
arms:
  - {strategy: facility-location, aggregation: mean, reduce: none}
  - {strategy: bins, aggregation: mean, layer: head_out, reduce: none}
  - {strategy: bins, aggregation: concat, layer: path_2, dims: 4}
bins: 3
budgets: [0.25]
protocols: [equal-steps]
seeds: {draws: 2, random: 2}
threads: 2
out: whole
`;
const CELLS = 2 * (1 + 2 + 3);
/** Runs that take no time but to open and close. */
const quick = config
  .replace(/adapter: .*/, 'adapter: {kind: linear, hidden: [8]}')
  .replace(/.*(head_out|path_2).*\n/g, '')
  .replace('out: whole', 'out: quick');
const QUICK_CELLS = 2 * (1 + 2 + 1);
const summaryOf = (out: string): ExperimentSummary =>
  JSON.parse(readFileSync(join(folder, out, 'experiment.json'), 'utf8'));
const runFiles = (out: string, name: string) => {
  const place = join(folder, out, 'runs');
  if (!existsSync(place)) return [];
  return readdirSync(place)
    .map((run) => join(place, run, name))
    .filter((file) => existsSync(file));
};
const said = (stdout: string) => /(\d+) of (\d+) runs were trained now/.exec(stdout)!.slice(1).map(Number);

/** Waits until so many runs are finished; a command that ends before that is an error. */
async function untilRuns(out: string, count: number, ended: Promise<Ended>): Promise<void> {
  const early = ended.then(({ stderr }) => {
    throw new Error(`It ended before: ${stderr}`);
  });
  await Promise.race([until(() => runFiles(out, 'run.json').length >= count), early]);
}

beforeAll(async () => {
  writeFileSync(
    join(folder, 'model.json'),
    JSON.stringify({ ...officialConfig, dim: 16, heads: 2, image: 32, semsegClasses: 7 }),
  );
  writeFileSync(join(folder, 'e.yaml'), config);
  writeFileSync(join(folder, 'q.yaml'), quick);
});

test('--dry-run says what there is to do and writes nothing', async () => {
  const { status, stdout, stderr } = await coregain(['experiment', '--config', 'e.yaml', '--dry-run'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toContain('5 arms x 2 draws of 32 samples, validated on 8: 12 results');
  expect(stdout).toContain(`0 runs finished in whole, at most ${CELLS} to do: ${CELLS * 20} optimizer steps`);
  expect(readdirSync(folder).sort()).toEqual(['e.yaml', 'model.json', 'q.yaml']);
});

test('the folder holds every run, the table, the report and the summary', async () => {
  const { status, stdout, stderr } = await coregain(['experiment', '--config', 'e.yaml'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(said(stdout)).toEqual([CELLS, CELLS]);
  expect(stdout).toContain('With 2 draws, at depth, 25.0 % of the data, equal steps, last: no arm beats random;');
  expect(stdout).toContain('If none of the 3 arms chose better than random, the best of them would still be expected ');
  expect(readdirSync(join(folder, 'whole')).sort()).toEqual(
    'cache embeddings experiment.json report.html runs runs.csv'.split(' '),
  );
  const { runs, arms, comparisons, measures } = summaryOf('whole');
  expect(runs).toHaveLength(CELLS);
  expect(arms.map(({ name }) => name)).toEqual([
    'full',
    'random',
    'facility-location mean last whole',
    'bins mean head_out whole',
    'bins concat path_2 pca-4',
  ]);
  expect(comparisons).toHaveLength(4 * 2);
  for (const run of runs) {
    expect(run.curve.map(({ step }) => step)).toEqual([10, 20]);
    expect(run.perImage).toHaveLength(8);
    expect(run.execution).toEqual({ provider: 'cpu', tf32: false });
    if (run.arm === 'full') expect(run.poolLoss).toBe(run.subsetLoss);
    else expect(run.poolLoss).not.toBe(run.subsetLoss);
  }
  expect(new Set(measures.map(({ measure }) => measure))).toEqual(
    new Set('absrel sqrel logRmse log10 delta1 delta2 delta3 valLoss trainLoss subsetLoss poolLoss'.split(' ')),
  );
  const lines = readFileSync(join(folder, 'whole', 'runs.csv'), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines).toHaveLength(1 + CELLS);
  expect(lines[0]).toContain(',subsetLoss,poolLoss,rmse.last,rmse.best,');
  expect(lines[1]!.split(',')).toHaveLength(lines[0]!.split(',').length);
  const report = readFileSync(join(folder, 'whole', 'report.html'), 'utf8');
  for (const { name } of arms) expect(report).toContain(name);
  expect(report).not.toMatch(/NaN|undefined/);
  // The models that arms looked at, those of the full data, and no others.
  expect(runFiles('whole', 'model.safetensors')).toHaveLength(2);
});

test('a second run trains nothing and comes to the same', async () => {
  const before = summaryOf('whole');
  const again = await coregain(['experiment', '--config', 'e.yaml'], folder);
  expect(said(again.stdout)).toEqual([0, CELLS]);
  expect(summaryOf('whole').comparisons).toEqual(before.comparisons);
  expect(summaryOf('whole').runs).toEqual(before.runs);
});

test('killed in the middle and begun again, an experiment comes to what an uninterrupted one does', async () => {
  expect((await coregain(['experiment', '--config', 'q.yaml'], folder)).stderr).toBe('');
  const args = ['experiment', '--config', 'q.yaml', '--out', 'killed'];
  const { child, ended } = start(args, folder);
  await untilRuns('killed', 2, ended);
  child.kill('SIGKILL');
  await ended;
  const there = runFiles('killed', 'run.json').length;
  expect(there).toBeLessThan(QUICK_CELLS);
  expect(existsSync(join(folder, 'killed', 'experiment.json'))).toBe(false);
  const { status, stdout, stderr } = await coregain(args, folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(said(stdout)).toEqual([QUICK_CELLS - there, QUICK_CELLS]);
  const [killed, whole] = [summaryOf('killed'), summaryOf('quick')];
  expect(killed.comparisons).toEqual(whole.comparisons);
  expect(killed.measures).toEqual(whole.measures);
});

test('Ctrl-C: 1, one line, no locks; two at a time share the rest', async () => {
  const args = ['experiment', '--config', 'q.yaml', '--out', 'both'];
  const { child, ended } = start(args, folder);
  await untilRuns('both', 1, ended);
  child.kill('SIGINT');
  expect(await ended).toEqual({
    status: 1,
    signal: null,
    stdout: '',
    stderr: 'coregain: interrupted. Run the same command again: it goes on where it stopped.\n',
  });
  const left = readdirSync(join(folder, 'both'), { recursive: true }) as string[];
  expect(left.filter((name) => /lock\.|\.tmp/.test(name))).toEqual([]);
  const there = runFiles('both', 'run.json').length;
  const results = await Promise.all([coregain(args, folder), coregain(args, folder)]);
  for (const { status, stderr } of results) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const trained = results.map(({ stdout }) => said(stdout)[0]!);
  expect(trained[0]! + trained[1]!).toBe(QUICK_CELLS - there);
  expect(summaryOf('both').comparisons).toEqual(summaryOf('quick').comparisons);
});

test('models that are kept are safetensors and ONNX that a bare ONNX Runtime session runs; classes from a ConvNeXt head', async () => {
  writeFileSync(
    join(folder, 'count.yaml'),
    `
data: {generate: {scenes: 40, size: 32, folder: scenes}}
encoder: {model: model.json, seed: 1, device: cpu}
task: count
adapter: {kind: convnext, embedDim: 32, subPatches: 4, blocks: 1}
training: {steps: 6, batch: 4, evaluations: 1, keepModels: true}
strategies: [dbal]
embeddings: {aggregation: [mean], dims: [4]}
budgets: [0.25]
protocols: [equal-steps]
seeds: {draws: 1, random: 1}
`,
  );
  const { status, stdout, stderr } = await coregain(
    ['experiment', '--config', 'count.yaml', '--out', 'count', '--json'],
    folder,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { runs } = JSON.parse(stdout) as ExperimentSummary;
  expect(Object.keys(runs[0]!.curve[0]!.metrics)).toEqual(['error']);
  const [weights, ...others] = runFiles('count', 'model.safetensors');
  expect(others).toHaveLength(2);
  expect(Object.keys(await readSafetensors(weights!))).toContain('output_adapters.depth.head.weight');
  const session = await InferenceSession.create(weights!.replace('safetensors', 'onnx'), { logSeverityLevel: 3 });
  const [name] = session.inputNames;
  expect(session.inputNames).toEqual(['tokens.3']);
  const { prediction } = await session.run({ [name!]: new Tensor('float32', new Float32Array(4 * 32), [1, 4, 32]) });
  expect(prediction!.dims[0]).toBe(1);
  expect([...(prediction!.data as Float32Array)].every(Number.isFinite)).toBe(true);
  await session.release();
});

test('what cannot be used is refused before anything is written: 2 and the cure', async () => {
  writeFileSync(join(folder, 'bad.yaml'), config.replace('kind: dpt', 'kind: linear').replace('bins: 3', 'bin: 3'));
  writeFileSync(join(folder, 'conflict.yaml'), config.replace('kind: dpt', 'kind: linear'));
  writeFileSync(join(folder, 'file'), '');
  const before = readdirSync(folder).sort();
  const refused = [
    [['--config', 'bad.yaml'], /^coregain: bad\.yaml:\d+: .*`bin`.*Did you mean `bins`\?\n$/],
    [
      ['--config', 'conflict.yaml'],
      /^coregain: conflict\.yaml:8: Layer head_out is of a DPT adapter\. Use `task: depth`/,
    ],
    [['--config', 'nowhere.yaml'], /^coregain: nowhere\.yaml cannot be read/],
    [
      ['--config', 'e.yaml', '--out', 'file/inside'],
      /^coregain: Nothing can be written into .*file\/inside .*Choose another output folder\.\n$/,
    ],
    [['--config', 'e.yaml', '--parallel', '0'], /--parallel/],
  ] as const;
  const ended = await Promise.all(refused.map(([args]) => coregain(['experiment', ...args], folder)));
  for (const [i, { status, stdout, stderr }] of ended.entries()) {
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(refused[i]![1]);
  }
  expect(readdirSync(folder).sort()).toEqual(before);
});

test('pretrain writes an encoder that an experiment takes', async () => {
  const args = [
    'pretrain',
    '--data',
    'scenes/logs-40-32-0',
    '--out',
    'encoder',
    '--model',
    'model.json',
    '--batch',
    '4',
    '--json',
  ];
  const { status, stdout, stderr } = await coregain([...args, '--steps', '5', '--half'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const result = JSON.parse(stdout);
  expect(result.steps).toBe(5);
  expect(statSync(join(folder, result.encoder)).size).toBeLessThan(statSync(join(folder, result.model)).size);
  writeFileSync(
    join(folder, 'own.yaml'),
    quick.replace('seed: 1', 'weights: encoder/encoder.safetensors').replace('draws: 2', 'draws: 1'),
  );
  const [used, masked, missing, unwritable] = await Promise.all([
    coregain(['experiment', '--config', 'own.yaml', '--out', 'own'], folder),
    coregain(
      [
        ...args.slice(0, 3),
        '--objective',
        'masked',
        '--rebuild',
        'rgb,depth',
        '--out',
        'masked',
        '--model',
        'model.json',
        '--steps',
        '3',
      ],
      folder,
    ),
    coregain(['pretrain', '--data', 'scenes/logs-40-32-0'], folder),
    coregain([...args.slice(0, 3), '--out', 'file', '--model', 'model.json'], folder),
  ]);
  expect({ status: used.status, stderr: used.stderr }).toEqual({ status: 0, stderr: '' });
  expect(used.stdout).toContain('encoder.safetensors');
  expect({ status: masked.status, stderr: masked.stderr }).toEqual({ status: 0, stderr: '' });
  expect(masked.stdout).toMatch(/validation loss \d.* \(rgb \d\.\d+, depth \d\.\d+\)/);
  expect(masked.stdout).not.toContain('onnx');
  expect(missing).toMatchObject({ status: 2, stdout: '' });
  expect(missing.stderr).toContain('`pretrain` needs --out');
  expect(unwritable.status).toBe(2);
  expect(unwritable.stderr).toMatch(/^coregain: Nothing can be written into file /);
});
