/**
 * Retention of the built-in strategies: runs a configuration of bench/experiments and keeps what a reader needs of it.
 *
 *   node bench/experiment.mjs logs [--out folder]          about twenty minutes on two cores; the same command goes on
 *
 * `clevr-mini` reads real renders from ../shared/data/clevr-mini beside the checkout.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkExperiment, readConfig, runExperiment } from 'coregain';
import { here, resultPath, save } from './script.mjs';

const { values, positionals } = parseArgs({
  options: { out: { type: 'string' }, result: { type: 'string' } },
  allowPositionals: true,
});
const [name] = positionals;
const source = await readConfig(here(`experiments/${name}.yaml`));
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
  command: `node bench/experiment.mjs ${name}`,
  seconds,
  config: source.value,
  // of any machine
  notes: notes.map((note) => note.replaceAll(`${here('experiments')}/`, '').replaceAll(config.out, 'its folder')),
  comparisons,
  measures,
  diagnostics,
  // Without the curves and the errors of each image, which the folder has.
  runs: runs.map(({ curve, best, perImage: _, ...run }) => ({ ...run, best: curve[best], last: curve.at(-1) })),
};
save(values.result ?? resultPath(`experiment-${name}`), report, 0);
