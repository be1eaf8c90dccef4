/**
 * Retention of the built-in strategies: runs a configuration of bench/experiments and keeps what a reader needs of it.
 *
 *   node bench/experiment.mjs logs [--out folder]          about twenty minutes on two cores; the same command goes on
 *
 * `clevr-mini` reads real renders from ../shared/data/clevr-mini beside the checkout.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkExperiment, readConfig, runExperiment } from 'coregain';

const { values, positionals } = parseArgs({
  options: { out: { type: 'string' }, result: { type: 'string' } },
  allowPositionals: true,
});
const [name] = positionals;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const source = await readConfig(here(`experiments/${name}.yaml`));
const date = new Date().toISOString();
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const commit = git('rev-parse', 'HEAD');
const config = {
  ...checkExperiment(source.value, source),
  out: values.out ?? join(tmpdir(), `coregain-experiment-${name}`),
};
let shown = 0;
const { summary } = await runExperiment(config, {
  onProgress({ stage, done, total }) {
    if (performance.now() - shown < 10_000) return;
    shown = performance.now();
    console.log(`${stage} ${done}/${total}`);
  },
});

const { runs, comparisons, measures, notes, diagnostics, seconds, title } = summary;
const report = {
  what: title,
  date,
  commit,
  cpu: cpus()[0].model,
  cores: cpus().length,
  node: process.version,
  command: `node bench/experiment.mjs ${name}`,
  seconds,
  config: source.value,
  notes,
  comparisons,
  measures,
  diagnostics,
  // Without the curves and the errors of each image, which the folder has.
  runs: runs.map(({ curve, best, perImage: _, ...run }) => ({ ...run, best: curve[best], last: curve.at(-1) })),
};
const file = values.result ?? here(`results/experiment-${name}-${date.slice(0, 10)}.json`);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(report)}\n`);
console.log(`written to ${file}`);
