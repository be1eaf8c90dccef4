/**
 * Seconds, memory and captured variance of PCA beside scikit-learn's randomized one, both from a file to scores, each run in a
 * process of its own, in turn; and the matrix products that the chosen method needs, by NumPy's BLAS. Before each run as
 * much memory as it may take is written to and given back: a virtual machine may have to ask its host for it, for seconds.
 *
 *   node bench/pca.mjs --python ../venv/bin/python
 *
 * Options: --cases 20000x16384-512^1,20000x16384-512^2,2000x301824-1024^1 (rows x columns - dimensions ^ power: the variance
 * of column i falls as i^-power) --threads 2 --repeats 3 --limited 1 (0 leaves out the runs with a quarter of the input as
 * memory) --python python3 --folder <scratch> --out bench/results/pca-<date>.json
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEmbeddings } from 'coregain';
import { spreadOf } from '#lib/bench/statistics.js';
import { planPca } from '#lib/reduce/pcaPlan.js';
import { here, optionsOf, save } from './script.mjs';

const values = optionsOf('pca', {
  cases: '20000x16384-512^1,20000x16384-512^2,2000x301824-1024^1',
  threads: 2,
  repeats: 3,
  limited: 1,
  python: 'python3',
  folder: tmpdir(),
});
const { threads, repeats } = values;
const folder = mkdtempSync(join(values.folder, 'coregain-pca-'));
const env = { ...process.env, OMP_NUM_THREADS: String(threads), OPENBLAS_NUM_THREADS: String(threads) };
const python = (...args) =>
  JSON.parse(execFileSync(values.python, [here('pca_baselines.py'), ...args.map(String)], { env, encoding: 'utf8' }));
const coregain = (...args) =>
  JSON.parse(execFileSync(process.execPath, [here('pca_coregain.mjs'), ...args.map(String)], { encoding: 'utf8' }));

/** Sum of the sample variances of the columns: what the dimensions hold of the variance. */
async function captured(path) {
  const { data, rows, cols } = await readEmbeddings(path);
  let total = 0;
  for (let j = 0; j < cols; j++) {
    let [sum, squares] = [0, 0];
    for (let i = 0; i < rows; i++) {
      sum += data[i * cols + j];
      squares += data[i * cols + j] ** 2;
    }
    total += (squares - sum ** 2 / rows) / (rows - 1);
  }
  return total;
}

const spread = (runs, key) => spreadOf(runs.map((run) => run[key]));

const results = [];
for (const text of values.cases.split(',')) {
  const [rows, cols, dims, power] = /^(\d+)x(\d+)-(\d+)\^([\d.]+)$/.exec(text).slice(1).map(Number);
  const path = join(folder, 'x.npy');
  const scores = join(folder, 'scores.npy');
  const { bytes } = python('make', path, rows, cols, power);
  const quarter = Math.floor(bytes / 4);
  const plan = planPca(
    { rows, cols, dims, valueBytes: 4, loaded: false, byColumns: true, components: false, scores: true },
    path,
  );
  const contestants = {
    'scikit-learn': () => python('sklearn', path, dims, scores),
    coregain: () => coregain(path, dims, scores, threads, 0, 0),
    ...(plan.method === 'gram' && { 'coregain, with components': () => coregain(path, dims, scores, threads, 0, 1) }),
    ...(values.limited === 1 && {
      [`coregain, ${(quarter / 1e6).toFixed(0)} MB`]: () => coregain(path, dims, scores, threads, quarter, 0),
    }),
  };
  const runs = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let repeat = 0; repeat < repeats; repeat++) {
    for (const [name, run] of Object.entries(contestants)) {
      let result;
      python('touch', 3 * bytes);
      try {
        result = run();
      } catch (error) {
        // e.g. that so little memory is not enough: a result too
        runs[name].push({
          failed: String(error.stderr || error.message)
            .split('\n')
            .find((line) => /^\w*Error/.test(line)),
        });
        continue;
      }
      runs[name].push({ ...result, captured: await captured(scores) });
      console.log(text, name, JSON.stringify(runs[name].at(-1)));
    }
  }
  const best = Math.max(...Object.values(runs).flatMap((list) => list.map((run) => run.captured ?? 0)));
  const passes = runs.coregain[0].passes;
  const products =
    plan.method === 'gram'
      ? python('gram', rows, cols, dims)
      : plan.method === 'krylov'
        ? python('gemm', rows, cols, plan.blockColumns, passes)
        : undefined;
  const contestantsFound = Object.entries(runs).map(([name, list]) =>
    list[0].failed
      ? { name, failed: list[0].failed }
      : {
          name,
          seconds: spread(list, 'seconds'),
          cpuSeconds: spread(list, 'cpuSeconds'),
          peakBytes: spread(list, 'peakBytes'),
          ...(list[0].addedBytes && { addedBytes: spread(list, 'addedBytes') }),
          capturedOfBest: spread(list, 'captured').median / best,
          ...(list[0].method && { method: list[0].method, passes: list[0].passes }),
          runs: list,
        },
  );
  results.push({ rows, cols, dims, power, bytes, quarter, plan, products, contestants: contestantsFound });
}
rmSync(folder, { recursive: true });
save(values.out, {
  what: 'PCA from a file to scores, beside scikit-learn',
  threads,
  sklearn: execFileSync(values.python, ['-c', 'import sklearn; print(sklearn.__version__)'], {
    encoding: 'utf8',
  }).trim(),
  command: `node bench/pca.mjs --cases ${values.cases} --threads ${threads} --repeats ${repeats}`,
  results,
});
