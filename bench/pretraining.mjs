/**
 * The learning rate of masked pretraining: validation loss after a few hundred steps, at a few rates and seeds. Losses do not
 * depend on the machine's load.
 *
 *   node bench/pretraining.mjs
 *
 * Preset `tiny` at 64 px, everything rebuilt, rendered scenes, of which a fifth is for validation.
 * Options: --regime logs, --scenes 300 --size 64 --steps 300 --batch 8 --seeds 2 --rates 3e-4,1e-3,3e-3 --out bench/results/pretraining-<date>.json
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generateScenes, pretrain } from 'coregain';

const date = new Date().toISOString();
const { values } = parseArgs({
  options: {
    regime: { type: 'string', default: 'logs' },
    scenes: { type: 'string', default: '300' },
    size: { type: 'string', default: '64' },
    steps: { type: 'string', default: '300' },
    batch: { type: 'string', default: '8' },
    seeds: { type: 'string', default: '2' },
    rates: { type: 'string', default: '3e-4,1e-3,3e-3' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL(`results/pretraining-${date.slice(0, 10)}.json`, import.meta.url)),
    },
  },
});
const [scenes, size, steps, batch, seeds] = [values.scenes, values.size, values.steps, values.batch, values.seeds].map(
  Number,
);
const rates = values.rates.split(',').map(Number);

const work = mkdtempSync(join(tmpdir(), 'coregain-bench-pretraining-'));
const rows = [];
try {
  const data = join(work, 'scenes');
  await generateScenes(data, { scenes, size, regime: values.regime, seed: 800_001 });
  for (const learningRate of rates) {
    for (let seed = 0; seed < seeds; seed++) {
      const { curve, seconds } = await pretrain({
        ...{ data, objective: 'masked', learningRate, steps, batch, seed },
        encoder: { preset: 'tiny', image: size, seed },
        device: 'cpu',
        out: join(work, `${learningRate}-${seed}`),
      });
      const { valLoss, metrics } = curve.at(-1);
      rows.push({ learningRate, seed, valLoss, metrics, curve: curve.map((point) => point.valLoss) });
      console.log(
        `rate ${learningRate} seed ${seed}: validation ${valLoss.toFixed(4)} in ${Math.round(seconds)} s`,
        metrics,
      );
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
mkdirSync(dirname(values.out), { recursive: true });
const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const what = 'masked pretraining of preset tiny: validation loss by learning rate';
const record = {
  what,
  date,
  commit: git('rev-parse', 'HEAD'),
  regime: values.regime,
  scenes,
  size,
  steps,
  batch,
  rows,
};
writeFileSync(values.out, `${JSON.stringify(record, null, 1)}\n`);
console.log(values.out);
