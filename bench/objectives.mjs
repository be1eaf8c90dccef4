/**
 * Seconds of `maximize` for objectives and optimizers at a size where N x N no longer fits: a mixture of 50 Gaussians.
 *
 *   node bench/objectives.mjs
 *
 * Options: --rows 100000 --cols 64 --threads 2 --repeats 3 --out bench/results/objectives-<date>.json
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rowMaker } from '#lib/bench/kinds.js';
import { maximize } from '#lib/select/maximize.js';

const date = new Date().toISOString();
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    cols: { type: 'string', default: '64' },
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '3' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL(`results/objectives-${date.slice(0, 10)}.json`, import.meta.url)),
    },
  },
});
const [rows, cols, threads, repeats] = [values.rows, values.cols, values.threads, values.repeats].map(Number);

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
const results = contestants.map((options, k) => {
  const seconds = runs[k].toSorted((a, b) => a - b);
  return {
    ...options,
    ...facts[k],
    median: seconds[seconds.length >> 1],
    min: seconds[0],
    max: seconds.at(-1),
    seconds,
  };
});
for (const { objective, optimizer, budget, evaluations, median, min, max } of results) {
  const spread = `${median.toFixed(1)} s (${min.toFixed(1)}..${max.toFixed(1)})`;
  console.log(`${JSON.stringify(objective)} ${optimizer}, ${budget} rows: ${spread}, ${evaluations} gains`);
}

mkdirSync(dirname(values.out), { recursive: true });
const report = {
  what: `seconds of maximize, ${rows} x ${cols} float32, mixture of 50 Gaussians on the unit sphere`,
  date,
  commit: execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim(),
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  threads,
  node: process.version,
  results,
};
writeFileSync(values.out, `${JSON.stringify(report, null, 1)}\n`);
console.log(values.out);
