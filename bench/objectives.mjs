/**
 * Seconds of `maximize` for objectives and optimizers at a size where N x N no longer fits: a mixture of 50 Gaussians.
 *
 *   node bench/objectives.mjs
 *
 * Options: --rows 100000 --cols 64 --threads 2 --repeats 3 --out bench/results/objectives-<date>.json
 */
import { rowMaker } from '#lib/bench/kinds.js';
import { spreadOf } from '#lib/bench/statistics.js';
import { maximize } from '#lib/select/maximize.js';
import { optionsOf, save } from './script.mjs';

const values = optionsOf('objectives', { rows: 100_000, cols: 64, threads: 2, repeats: 3 });
const { rows, cols, threads, repeats } = values;

const data = new Float32Array(new SharedArrayBuffer(rows * cols * 4));
const fill = rowMaker('mix', cols, 1);
for (let row = 0; row < rows; row++) fill(data.subarray(row * cols, (row + 1) * cols));

const facility = { name: 'facility-location' };
const contestants = [
  { objective: { name: 'k-center' }, budget: rows / 100 },
  { objective: { name: 'graph-cut' }, budget: rows / 100 },
  { objective: { name: 'log-determinant' }, budget: rows / 100 },
  { objective: { ...facility, neighbours: 10 }, budget: rows / 100 },
  { objective: facility, optimizer: 'stochastic', budget: rows / 100 },
  { objective: facility, budget: rows / 1000 },
];
const runs = contestants.map(() => []);
const facts = [];
for (let repeat = 0; repeat < repeats; repeat++) {
  for (const [k, options] of contestants.entries()) {
    const { engine, evaluations } = await maximize({ data, rows, cols }, { ...options, threads });
    runs[k].push(engine.seconds);
    facts[k] = { optimizer: engine.optimizer, simd: engine.simd, evaluations };
  }
}
const results = contestants.map((options, k) => ({
  ...options,
  ...facts[k],
  ...spreadOf(runs[k]),
  seconds: runs[k],
}));
for (const { objective, optimizer, budget, evaluations, median, min, max } of results) {
  const spread = `${median.toFixed(1)} s (${min.toFixed(1)}..${max.toFixed(1)})`;
  console.log(`${JSON.stringify(objective)} ${optimizer}, ${budget} rows: ${spread}, ${evaluations} gains`);
}

save(values.out, {
  what: `seconds of maximize, ${rows} x ${cols} float32, mixture of 50 Gaussians on the unit sphere`,
  threads,
  results,
});
