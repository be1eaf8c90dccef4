/**
 * Full partition into bins by the cosine gain: coregain, numpy with one matrix-vector product a step, and the code path
 * of the paper. Each run is a process of its own (memory!), contestants take turns; only the partition is timed, with
 * the data in memory. Then all orders are compared with each other and with numpy in float64.
 *
 *   node bench/partition.mjs                    10,000 x 768, 10 bins
 *   node bench/partition.mjs --rows 2000 --repeats 3
 *
 * Options: --rows, --cols, --bins, --threads 2 (for BLAS too), --repeats 5, --paper-repeats 1 (0 = leave it out: its
 * time grows with the cube of N), --python python3, --out bench/results/partition-<date>.json
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { spreadOf } from '#lib/bench/statistics.js';
import { readNpyHeader, writeNpy } from '#lib/formats/npy.js';
import { stream } from '#lib/select/random.js';
import { here, optionsOf, save } from './script.mjs';

const values = optionsOf('partition', {
  rows: 10_000,
  cols: 768,
  bins: 10,
  threads: 2,
  repeats: 5,
  'paper-repeats': 1,
  python: 'python3',
});
const { rows, cols, bins, threads, repeats } = values;

/** Like the embeddings of a transformer: variance 1 / (j + 1) along axis j, a mean of the same length, scales that vary. */
function embeddingLike() {
  const words = stream(2502, 15834);
  const uniform = () => (words() + 0.5) / 2 ** 32;
  const gauss = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const trace = Array.from({ length: cols }, (_, j) => 1 / (j + 1)).reduce((sum, value) => sum + value, 0);
  const mean = Array.from({ length: cols }, gauss);
  const stretch = Math.sqrt(trace) / Math.hypot(...mean);
  const data = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    const scale = Math.exp(0.15 * gauss());
    for (let j = 0; j < cols; j++) data[i * cols + j] = stretch * mean[j] + (scale / Math.sqrt(j + 1)) * gauss();
  }
  return data;
}

const folder = mkdtempSync(join(tmpdir(), 'coregain-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const input = join(folder, 'X.npy');
await writeNpy(input, { data: embeddingLike(), shape: [rows, cols] });

const env = { ...process.env };
for (const name of ['OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS']) env[name] = String(threads);
const python = (method) => (out) => [values.python, [here('baselines.py'), method, input, String(bins), out]];
const contestants = {
  coregain: {
    command: (out) => [process.execPath, [here('coregain_partition.mjs'), input, String(bins), out, String(threads)]],
    repeats,
  },
  numpy: { command: python('numpy'), repeats },
  paper: { command: python('paper'), repeats: values['paper-repeats'] },
};
const notes = [];
if (spawnSync(values.python, ['-c', 'import numpy']).status !== 0) {
  const note = `SKIPPED numpy and paper: ${values.python} cannot import numpy. Name one that can with --python.`;
  console.warn(note);
  notes.push(note);
  delete contestants.numpy;
  delete contestants.paper;
}

function run(name, command) {
  const out = join(folder, `${name}.npy`);
  const [file, args] = command(out);
  return JSON.parse(execFileSync(file, args, { encoding: 'utf8', env, maxBuffer: 1 << 24 }));
}

const runs = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
const load = loadavg();
for (let round = 0; round < repeats; round++) {
  for (const [name, { command, repeats }] of Object.entries(contestants)) {
    if (round >= repeats) continue;
    const result = run(name, command);
    runs[name].push(result);
    console.log(`${name}: ${result.seconds.toFixed(3)} s, ${result.cpuSeconds.toFixed(3)} s of CPU`);
  }
}

const results = [];
for (const [name, all] of Object.entries(runs)) {
  if (all.length === 0) continue;
  results.push({
    name,
    ...spreadOf(all.map((result) => result.seconds)),
    cpuMedian: spreadOf(all.map((result) => result.cpuSeconds)).median,
    peakBytes: Math.max(...all.map((result) => result.peakBytes)),
    version: all[0].version,
    ...(all[0].engine && { engine: all[0].engine }),
    runs: all.map(({ seconds, cpuSeconds, peakBytes }) => ({ seconds, cpuSeconds, peakBytes })),
  });
}
for (const result of results) {
  result.timesCoregain = result.median / results[0].median;
  const { name, median, min, max, cpuMedian, peakBytes, timesCoregain } = result;
  console.log(
    `${name}: median ${median.toFixed(3)} s (${min.toFixed(3)}-${max.toFixed(3)}), CPU ${cpuMedian.toFixed(3)} s, ` +
      `peak ${(peakBytes / 2 ** 20).toFixed()} MiB, ${timesCoregain.toFixed(1)}x coregain's time`,
  );
}

async function orderOf(name) {
  const path = join(folder, `${name}.npy`);
  const { dataOffset } = await readNpyHeader(path);
  return Array.from(new BigInt64Array(new Uint8Array(readFileSync(path).subarray(dataOffset)).buffer), Number);
}

/** How often two orders differ: by place, and by bin. */
function compare(a, b) {
  const size = Math.floor(rows / bins);
  const binOf = (order) => {
    const found = new Int32Array(rows).fill(-1);
    for (const [i, row] of order.entries()) found[row] = Math.floor(i / size);
    return found;
  };
  const [binsA, binsB] = [binOf(a), binOf(b)];
  return {
    places: a.length,
    differentPlaces: a.filter((row, i) => row !== b[i]).length,
    rowsInAnotherBin: binsA.filter((bin, row) => bin !== binsB[row]).length,
  };
}

const orders = { coregain: await orderOf('coregain') };
if (contestants.numpy) {
  run('numpy64', python('numpy64'));
  for (const name of ['numpy64', 'numpy', 'paper'])
    if (name === 'numpy64' || runs[name].length) orders[name] = await orderOf(name);
}
const comparisons = {};
for (const [name, order] of Object.entries(orders)) {
  if (name === 'coregain') continue;
  comparisons[name] = compare(orders.coregain, order);
  const { places, differentPlaces, rowsInAnotherBin } = comparisons[name];
  console.log(
    `coregain and ${name}: ${differentPlaces} of ${places} places differ, ${rowsInAnotherBin} rows in another bin`,
  );
}

save(values.out, {
  what: `partition of ${rows} x ${cols} float32 into ${bins} bins, cosine gain; embedding-like data (power-law spectrum, common mean)`,
  loadBefore: load,
  threads,
  rows,
  cols,
  bins,
  results,
  // Float32 rounds: where two gains are closer than that, numpy and paper may choose another row.
  orderAgainstCoregain: comparisons,
  notes,
});
