/**
 * Seconds and quality of UMAP beside umap-js (`npm install umap-js` in some folder) and umap-learn (a Python that has it),
 * each where it is there, one after the other: a mixture of 50 Gaussians on the unit sphere.
 *
 *   node bench/umap.mjs --umap-js ../umapjs --python /usr/bin/python3
 *
 * Options: --cases 20000x256-2,5000x512-512 (rows x columns - dimensions) --kind mix (of lib/bench/kinds.ts) --epochs 500 up
 * to 10,000 rows, else 200 (of all) --threads 2 (umap-js has one) --repeats 3 --others 1 (repeats of the others) --limit 900
 * (seconds for each run of the others; a case that takes longer is reported so, and not repeated) --umap-js . --python python3
 * --out bench/results/umap-<date>.json
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { readEmbeddings, umap, writeNpy } from 'coregain';
import { rowMaker } from '#lib/bench/kinds.js';
import { spreadOf } from '#lib/bench/statistics.js';
import { optionsOf, save } from './script.mjs';

const values = optionsOf('umap', {
  cases: '20000x256-2,5000x512-512',
  kind: 'mix',
  epochs: undefined,
  threads: 2,
  repeats: 3,
  others: 1,
  limit: 900,
  'umap-js': '.',
  python: 'python3',
});
const { threads, repeats, others, limit } = values;
const folder = mkdtempSync(join(tmpdir(), 'coregain-umap-'));
const NEIGHBOURS = 15;
const SAMPLE = 500;
/** umap-learn compiles itself first, in the same process. */
const COMPILING_SECONDS = 180;

const PYTHON = `
import sys, time, numpy, umap
source, target, dims, epochs, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
x = numpy.load(source)
umap.UMAP(n_epochs=2, n_jobs=threads).fit_transform(x[:5000])  # compiles
wall, cpu = time.perf_counter(), time.process_time()
model = umap.UMAP(n_components=dims, n_neighbors=${NEIGHBOURS}, n_epochs=epochs, n_jobs=threads)
y = model.fit_transform(x)
print(time.perf_counter() - wall, time.process_time() - cpu)
numpy.save(target, numpy.ascontiguousarray(y, dtype=numpy.float32))
near = getattr(model, "_knn_indices", None)  # below 4,096 rows it compares all, and keeps none
near = numpy.zeros((1, 1)) if near is None else near
numpy.save(target + ".near.npy", numpy.ascontiguousarray(near, dtype=numpy.float32))
`;

function has(work) {
  try {
    return work();
  } catch {
    return false;
  }
}
const jsFolder = resolve(values['umap-js']);
const hasJs = has(() => createRequire(join(jsFolder, 'package.json')).resolve('umap-js'));
const env = { ...process.env, NUMBA_NUM_THREADS: String(threads), OMP_NUM_THREADS: String(threads) };
const hasLearn = spawnSync(values.python, ['-c', 'import umap, umap.umap_'], { stdio: 'ignore' }).status === 0;
if (!hasJs) console.warn(`${jsFolder} has no umap-js (npm install umap-js): left out`);
if (!hasLearn) console.warn(`${values.python} has no umap-learn: left out`);

/** Runs that take more than `limit` seconds give undefined. */
const contestants = {
  coregain: {
    repeats,
    async run({ data, dims, epochs }, seed) {
      const [start, before] = [performance.now(), process.cpuUsage()];
      const { matrix, model } = await umap.fit(data, { dims, seed, threads, epochs, neighbours: NEIGHBOURS });
      const used = process.cpuUsage(before);
      const seconds = (performance.now() - start) / 1000;
      return {
        matrix,
        neighbourSearch: model.neighbourSearch,
        recall: model.recall,
        seconds,
        cpuSeconds: (used.user + used.system) / 1e6,
      };
    },
  },
  ...(hasJs && {
    'umap-js': {
      repeats: others,
      async run({ data, dims, epochs }) {
        const workerData = { ...data, folder: jsFolder, dims, epochs, neighbours: NEIGHBOURS };
        const worker = new Worker(new URL('umap_js.mjs', import.meta.url), { workerData });
        const result = await new Promise((done, fail) => {
          const timer = setTimeout(() => done(undefined), limit * 1000);
          worker.once('message', done).once('error', fail);
          worker.once('exit', () => clearTimeout(timer));
        });
        await worker.terminate();
        if (!result) return;
        const { layout, near, seconds } = result;
        return {
          matrix: { data: layout, rows: data.rows, cols: dims },
          near: (i) => near[i],
          seconds,
          cpuSeconds: seconds,
        };
      },
    },
  }),
  ...(hasLearn && {
    'umap-learn': {
      repeats: others,
      async run({ data: x, path, dims, epochs }) {
        const target = join(folder, 'layout.npy');
        const args = ['-c', PYTHON, path, target, dims, epochs, threads].map(String);
        const child = spawnSync(values.python, args, {
          encoding: 'utf8',
          env,
          timeout: (limit + COMPILING_SECONDS) * 1000,
          killSignal: 'SIGKILL',
        });
        if (child.signal === 'SIGKILL') return;
        if (child.status !== 0) throw new Error(`umap-learn: ${child.stderr}`);
        const [seconds, cpuSeconds] = child.stdout.trim().split(' ').map(Number);
        const found = await readEmbeddings(`${target}.near.npy`);
        const near =
          found.rows === x.rows ? (i) => found.data.subarray(i * found.cols, (i + 1) * found.cols) : undefined;
        return { matrix: await readEmbeddings(target), near, seconds, cpuSeconds };
      },
    },
  }),
};

function squares({ data, rows, cols }, i) {
  const out = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let c = 0; c < cols; c++) sum += (data[row * cols + c] - data[i * cols + c]) ** 2;
    out[row] = sum;
  }
  out[i] = Number.POSITIVE_INFINITY; // no neighbour of its own
  return out;
}

function nearest(squares, k) {
  const near = [];
  for (let row = 0; row < squares.length; row++) {
    if (near.length === k && squares[row] >= squares[near[k - 1]]) continue;
    let at = Math.min(near.length, k - 1);
    for (; at > 0 && squares[near[at - 1]] > squares[row]; at--) near[at] = near[at - 1];
    near[at] = row;
  }
  return near;
}

/**
 * Of an evenly spaced sample of rows among all rows, k = 15: trustworthiness (Venna and Kaski 2001), the share of the k nearest
 * in the data that are the k nearest in the layout, and, where the neighbours that the program found are known, the share
 * of them that it should have found (k = 14, without the row itself).
 */
function quality(data, layout, near) {
  const { rows } = data;
  const [n, k] = [Math.min(rows, SAMPLE), NEIGHBOURS];
  let [excess, kept, found] = [0, 0, 0];
  for (let s = 0; s < n; s++) {
    const i = Math.floor((s * rows) / n);
    const before = squares(data, i);
    const wanted = nearest(before, k);
    for (const j of nearest(squares(layout, i), k)) {
      if (wanted.includes(j)) kept++;
      let rank = 1;
      for (let row = 0; row < rows; row++) if (before[row] < before[j]) rank++;
      excess += Math.max(0, rank - k);
    }
    const mine = near && [...near(i)].filter((j) => j !== i && before[j] <= before[wanted[k - 2]]);
    found += mine ? Math.min(k - 1, mine.length) : 0;
  }
  return {
    trustworthiness: 1 - (2 * excess) / (n * k * (2 * rows - 3 * k - 1)),
    preserved: kept / (n * k),
    ...(near && { recall: found / (n * (k - 1)) }),
  };
}

const results = [];
for (const text of values.cases.split(',')) {
  const [rows, cols, dims] = text.split(/[x-]/).map(Number);
  const epochs = Number(values.epochs ?? (rows <= 10_000 ? 500 : 200));
  const data = { data: new Float32Array(new SharedArrayBuffer(rows * cols * 4)), rows, cols };
  const fill = rowMaker(values.kind, cols, 1);
  for (let row = 0; row < rows; row++) fill(data.data.subarray(row * cols, (row + 1) * cols));
  const path = join(folder, 'x.npy');
  await writeNpy(path, { data: data.data, shape: [rows, cols] });
  const wanted = { data, path, dims, epochs };
  for (const [name, { repeats, run }] of Object.entries(contestants)) {
    const runs = [];
    for (let seed = 0; seed < repeats; seed++) {
      const result = await run(wanted, seed);
      if (!result) break;
      const { matrix, near, ...figures } = result;
      runs.push({ ...figures, ...quality(data, matrix, near) });
    }
    results.push({ name, rows, cols, dims, epochs, runs, ...(runs.length === 0 && { noResultInSeconds: limit }) });
    const of = (key) => spreadOf(runs.map((one) => one[key]));
    const line =
      runs.length === 0
        ? `no result in ${limit} s`
        : `${of('seconds').median.toFixed(2)} s (${of('seconds').min.toFixed(2)}-${of('seconds').max.toFixed(2)}), ` +
          `CPU ${of('cpuSeconds').median.toFixed(2)} s, trustworthiness ${of('trustworthiness').median.toFixed(4)}, ` +
          `preserved ${of('preserved').median.toFixed(3)}, recall ${runs[0].recall === undefined ? 'not known' : of('recall').median.toFixed(4)}`;
    console.log(`${rows} x ${cols} -> ${dims}, ${epochs} epochs, ${name}: ${line}`);
  }
}
rmSync(folder, { recursive: true });

save(values.out, {
  what: `UMAP, float32, ${values.kind} of lib/bench/kinds.ts: seconds, CPU seconds, and of ${SAMPLE} rows trustworthiness, share of neighbours preserved (k = ${NEIGHBOURS}) and recall of the search`,
  threads,
  results,
});
