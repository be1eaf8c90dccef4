/**
 * Seconds and trustworthiness of UMAP beside umap-js (`npm install --no-save umap-js`) and umap-learn (a Python that has
 * it), each where it is there: a mixture of 50 Gaussians on the unit sphere.
 *
 *   node bench/umap.mjs
 *
 * Options: --rows 2000,5000 --cols 192 --dims 2,64 --threads 2 --repeats 3 --python python3
 * --out bench/results/umap-<date>.json
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { readEmbeddings, umap, writeNpy } from 'coregain';
import { rowMaker } from '#lib/bench/kinds.js';

const date = new Date().toISOString();
const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '2000,5000' },
    cols: { type: 'string', default: '192' },
    dims: { type: 'string', default: '2,64' },
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL(`results/umap-${date.slice(0, 10)}.json`, import.meta.url)),
    },
  },
});
const [cols, threads, repeats] = [values.cols, values.threads, values.repeats].map(Number);
const folder = mkdtempSync(join(tmpdir(), 'coregain-umap-'));
const NEIGHBOURS = 15;

const PYTHON = `
import sys, time, numpy, umap
source, target, dims, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
x = numpy.load(source)
umap.UMAP(n_epochs=2, n_jobs=threads).fit_transform(x[:100])  # compiles
start = time.perf_counter()
y = umap.UMAP(n_components=dims, n_neighbors=15, n_jobs=threads).fit_transform(x)
print(time.perf_counter() - start)
numpy.save(target, numpy.ascontiguousarray(y, dtype=numpy.float32))
`;
const hasLearn = spawnSync(values.python, ['-c', 'import umap, umap.umap_'], { stdio: 'ignore' }).status === 0;
const js = await import('umap-js').catch(() => undefined);
if (!js) console.warn('umap-js is not here (npm install --no-save umap-js): left out');
if (!hasLearn) console.warn(`${values.python} has no umap-learn: left out`);

const timed = async (work) => {
  const start = performance.now();
  const matrix = await work();
  return { matrix, seconds: (performance.now() - start) / 1000 };
};

const contestants = {
  coregain: ({ data, dims, seed }) =>
    timed(async () => (await umap.fit(data, { dims, seed, threads, neighbours: NEIGHBOURS })).matrix),
  ...(js && {
    'umap-js': ({ data, dims }) => {
      const rows = Array.from({ length: data.rows }, (_, i) => [...data.data.subarray(i * cols, (i + 1) * cols)]);
      const nEpochs = data.rows <= 10_000 ? 500 : 200;
      return timed(async () => {
        const layout = new js.UMAP({ nComponents: dims, nNeighbors: NEIGHBOURS, nEpochs }).fit(rows);
        return { data: Float32Array.from(layout.flat()), rows: data.rows, cols: dims };
      });
    },
  }),
  ...(hasLearn && {
    'umap-learn': async ({ path, dims }) => {
      const target = join(folder, 'layout.npy');
      const args = ['-c', PYTHON, path, target, dims, threads].map(String);
      const seconds = Number(execFileSync(values.python, args, { encoding: 'utf8' }));
      return { matrix: await readEmbeddings(target), seconds };
    },
  }),
};

/** Of an evenly spaced sample of rows among themselves, k = 15. */
function trustworthiness(data, layout, k = 15, most = 1000) {
  const n = Math.min(data.rows, most);
  const at = Array.from({ length: n }, (_, i) => Math.floor((i * data.rows) / n));
  const ordered = ({ data: x, cols: width }, i) => {
    const distances = at.map((row) => {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += (x[row * width + c] - x[at[i] * width + c]) ** 2;
      return sum;
    });
    return at
      .map((_, j) => j)
      .filter((j) => j !== i)
      .sort((a, b) => distances[a] - distances[b] || a - b);
  };
  let excess = 0;
  for (let i = 0; i < n; i++) {
    const rank = new Int32Array(n);
    for (const [position, j] of ordered(data, i).entries()) rank[j] = position + 1;
    for (const j of ordered(layout, i).slice(0, k)) excess += Math.max(0, rank[j] - k);
  }
  return 1 - (2 * excess) / (n * k * (2 * n - 3 * k - 1));
}

const results = [];
for (const rows of values.rows.split(',').map(Number)) {
  const data = { data: new Float32Array(new SharedArrayBuffer(rows * cols * 4)), rows, cols };
  const fill = rowMaker('mix', cols, 1);
  for (let row = 0; row < rows; row++) fill(data.data.subarray(row * cols, (row + 1) * cols));
  const path = join(folder, 'x.npy');
  await writeNpy(path, { data: data.data, shape: [rows, cols] });
  for (const dims of values.dims.split(',').map(Number)) {
    const runs = Object.fromEntries(Object.keys(contestants).map((name) => [name, { seconds: [], trust: [] }]));
    for (let seed = 0; seed < repeats; seed++) {
      for (const [name, run] of Object.entries(contestants)) {
        const { matrix, seconds } = await run({ data, path, dims, seed });
        runs[name].seconds.push(seconds);
        runs[name].trust.push(trustworthiness(data, matrix));
      }
    }
    for (const [name, { seconds, trust }] of Object.entries(runs)) {
      const sorted = seconds.toSorted((a, b) => a - b);
      const row = { name, rows, cols, dims, median: sorted[sorted.length >> 1], min: sorted[0], max: sorted.at(-1) };
      results.push({ ...row, seconds, trustworthiness: trust });
      const spread = `${row.median.toFixed(2)} s (${row.min.toFixed(2)}..${row.max.toFixed(2)})`;
      console.log(`${rows} x ${cols} -> ${dims} ${name}: ${spread}, trustworthiness ${Math.min(...trust).toFixed(4)}`);
    }
  }
}
rmSync(folder, { recursive: true });

mkdirSync(dirname(values.out), { recursive: true });
const report = {
  what: `seconds and trustworthiness (k = 15, least of ${repeats} seeds printed) of UMAP, float32, mixture of 50 Gaussians on the unit sphere`,
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
