/**
 * The learning rate of masked pretraining: validation loss after a few hundred steps, at a few rates and seeds. Losses do not
 * depend on the machine's load.
 *
 *   node bench/pretraining.mjs
 *
 * Preset `tiny` at 64 px, everything rebuilt, rendered scenes, of which a fifth is for validation.
 * Options: --regime logs, --scenes 300 --size 64 --steps 300 --batch 8 --seeds 2 --rates 3e-4,1e-3,3e-3 --out bench/results/pretraining-<date>.json
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateScenes, pretrain } from 'coregain';
import { optionsOf, save } from './script.mjs';

const values = optionsOf('pretraining', {
  regime: 'logs',
  scenes: 300,
  size: 64,
  steps: 300,
  batch: 8,
  seeds: 2,
  rates: '3e-4,1e-3,3e-3',
});
const { regime, scenes, size, steps, batch, seeds } = values;
const rates = values.rates.split(',').map(Number);

const work = mkdtempSync(join(tmpdir(), 'coregain-bench-pretraining-'));
const rows = [];
try {
  const data = join(work, 'scenes');
  await generateScenes(data, { scenes, size, regime, seed: 800_001 });
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
const what = 'masked pretraining of preset tiny: validation loss by learning rate';
save(values.out, { what, regime, scenes, size, steps, batch, rows });
