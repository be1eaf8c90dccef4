/**
 * Encoder throughput: MultiMAE base at 224 px (393 tokens), random weights, seconds per sample.
 *
 *   node bench/encoder.mjs                         ours alone
 *   node bench/encoder.mjs --python .venv/bin/python   ours and PyTorch, taking turns in one run
 *
 * Options: --threads 2, --repeats 5, --batches 1,8, --out bench/results/encoder-<date>.json
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openEncoder } from '#lib/models/openEncoder.js';

const date = new Date().toISOString();
const { values } = parseArgs({
  options: {
    python: { type: 'string' },
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '5' },
    batches: { type: 'string', default: '1,8' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL(`results/encoder-${date.slice(0, 10)}.json`, import.meta.url)),
    },
  },
});
const threads = Number(values.threads);
const repeats = Number(values.repeats);
const batches = values.batches.split(',').map(Number);

async function ours() {
  const start = performance.now();
  const encoder = await openEncoder({ preset: 'base', threads, device: 'cpu' });
  const openSeconds = (performance.now() - start) / 1000;
  const time = async (batch) => {
    const rgb = Float32Array.from({ length: batch * 3 * 224 * 224 }, () => 2 * Math.random() - 1);
    const semseg = Int32Array.from({ length: batch * 56 * 56 }, () => Math.floor(133 * Math.random()));
    const begin = performance.now();
    await encoder.encode({ batch, height: 224, width: 224, rgb, semseg }, [11]);
    return (performance.now() - begin) / 1000 / batch;
  };
  return { about: { provider: encoder.provider, openSeconds }, time, close: () => encoder.close() };
}

async function pytorch(attention) {
  const script = fileURLToPath(new URL('encoder_pytorch.py', import.meta.url));
  const child = spawn(values.python, [script, '--threads', values.threads, '--attention', attention], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value);
  const about = await next();
  const time = (batch) => {
    child.stdin.write(`${batch}\n`);
    return next();
  };
  const close = async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
  return { about, time, close };
}

const contestants = { coregain: await ours() };
if (values.python) {
  contestants.pytorch = await pytorch('explicit');
  contestants.pytorchSdpa = await pytorch('sdpa');
}
const results = [];
for (const batch of batches) {
  const samples = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = -1; round < repeats; round++) {
    for (const [name, { time }] of Object.entries(contestants)) {
      const seconds = await time(batch);
      if (round >= 0) samples[name].push(seconds); // the first round warms up
    }
  }
  for (const [name, seconds] of Object.entries(samples)) {
    const sorted = seconds.toSorted((a, b) => a - b);
    const median = (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
    results.push({ name, batch, median, min: sorted[0], max: sorted.at(-1), seconds });
  }
}
for (const result of results) {
  const reference = results.find(({ name, batch }) => name === 'pytorch' && batch === result.batch);
  if (reference) result.timesPytorch = result.median / reference.median;
  const { name, batch, median, min, max, timesPytorch } = result;
  const ratio = timesPytorch ? `, ${timesPytorch.toFixed(2)}x PyTorch's time` : '';
  console.log(
    `${name} batch ${batch}: ${median.toFixed(3)} s a sample (${min.toFixed(3)}-${max.toFixed(3)}), ${(1 / median).toFixed(2)} samples/s${ratio}`,
  );
}
for (const { close } of Object.values(contestants)) await close();

const git = (...args) => execFileSync('git', args, { encoding: 'utf8' }).trim();
const report = {
  what: 'MultiMAE base, 224 px, rgb + semseg, 393 tokens, float32; seconds per sample, contestants in turn',
  date,
  commit: git('rev-parse', 'HEAD'),
  cpu: cpus()[0].model,
  cores: cpus().length,
  threads,
  node: process.version,
  contestants: Object.fromEntries(Object.entries(contestants).map(([name, { about }]) => [name, about])),
  results,
};
mkdirSync(dirname(values.out), { recursive: true });
writeFileSync(values.out, `${JSON.stringify(report, null, 1)}\n`);
console.log(`written to ${values.out}`);
