/**
 * Encoder throughput: MultiMAE base at 224 px (393 tokens), random weights, seconds per sample.
 *
 *   node bench/encoder.mjs                         ours alone
 *   node bench/encoder.mjs --python .venv/bin/python   ours and PyTorch, taking turns in one run
 *
 * Options: --threads 2, --repeats 5, --batches 1,8, --out bench/results/encoder-<date>.json
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { spreadOf } from '#lib/bench/statistics.js';
import { openEncoder } from '#lib/models/openEncoder.js';
import { here, optionsOf, save } from './script.mjs';

const { python, threads, repeats, batches, out } = optionsOf('encoder', {
  python: undefined,
  threads: 2,
  repeats: 5,
  batches: '1,8',
});

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
  const script = here('encoder_pytorch.py');
  const child = spawn(python, [script, '--threads', String(threads), '--attention', attention], {
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
if (python) {
  contestants.pytorch = await pytorch('explicit');
  contestants.pytorchSdpa = await pytorch('sdpa');
}
const results = [];
for (const batch of batches.split(',').map(Number)) {
  const samples = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = -1; round < repeats; round++) {
    for (const [name, { time }] of Object.entries(contestants)) {
      const seconds = await time(batch);
      if (round >= 0) samples[name].push(seconds); // the first round warms up
    }
  }
  for (const [name, seconds] of Object.entries(samples)) {
    results.push({ name, batch, ...spreadOf(seconds), seconds });
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

save(out, {
  what: 'MultiMAE base, 224 px, rgb + semseg, 393 tokens, float32; seconds per sample, contestants in turn',
  threads,
  contestants: Object.fromEntries(Object.entries(contestants).map(([name, { about }]) => [name, about])),
  results,
});
