/**
 * Scenes per second, PNG and JSON writing included, with the longest wait of the event loop meanwhile; and what the
 * renderer does alone.
 *
 *   node bench/scenes.mjs
 *
 * Options: --threads 2, --repeats 5, --scenes 200, --sizes 128,224, --out bench/results/scenes-<date>.json
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generateScenes } from '#lib/data/generate.js';
import { packScene, planClips, sampleScene } from '#lib/data/scenes.js';
import { native } from '#lib/native.js';

const date = new Date().toISOString();
const { values } = parseArgs({
  options: {
    threads: { type: 'string', default: '2' },
    repeats: { type: 'string', default: '5' },
    scenes: { type: 'string', default: '200' },
    sizes: { type: 'string', default: '128,224' },
    out: {
      type: 'string',
      default: fileURLToPath(new URL(`results/scenes-${date.slice(0, 10)}.json`, import.meta.url)),
    },
  },
});
const threads = Number(values.threads);
const repeats = Number(values.repeats);
const scenes = Number(values.scenes);

async function generate(size, regime, seed) {
  const folder = mkdtempSync(join(tmpdir(), 'coregain-bench-'));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  try {
    delay.enable();
    const { seconds } = await generateScenes(folder, { scenes, size, regime, seed, threads });
    delay.disable();
    return { perSecond: scenes / seconds, longestWaitMs: delay.max / 1e6 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function renderOnly(size, seed) {
  const packed = planClips('uniform', scenes, seed, 0.2).map((clip) => packScene(sampleScene(seed, clip, 1)));
  const start = performance.now();
  for (let i = 0; i < scenes; i += 16)
    await native().renderScenes({ scenes: packed.slice(i, i + 16), size, labelsOnly: false, threads });
  return { perSecond: scenes / ((performance.now() - start) / 1000) };
}

const sorted = (runs) => runs.map(({ perSecond }) => perSecond).sort((a, b) => a - b);
const results = [];
async function measure(name, size, run) {
  await run(0); // files, code and caches warm
  const runs = [];
  for (let seed = 1; seed <= repeats; seed++) runs.push(await run(seed));
  const rates = sorted(runs);
  const waits = runs.flatMap(({ longestWaitMs }) => longestWaitMs ?? []);
  const result = {
    name,
    size,
    scenes,
    median: rates[rates.length >> 1],
    min: rates[0],
    max: rates.at(-1),
    runs: rates,
    ...(waits.length > 0 && { longestWaitMs: Math.max(...waits) }),
  };
  results.push(result);
  const wait = waits.length > 0 ? `, event loop waits at most ${result.longestWaitMs.toFixed(0)} ms` : '';
  console.log(
    `${name} ${size} px: ${result.median.toFixed(1)} scenes/s (${result.min.toFixed(1)}..${result.max.toFixed(1)})${wait}`,
  );
}

for (const size of values.sizes.split(',').map(Number)) {
  await measure('generate uniform', size, (seed) => generate(size, 'uniform', seed));
  await measure('generate logs', size, (seed) => generate(size, 'logs', seed));
  await measure('render only', size, (seed) => renderOnly(size, seed));
}

mkdirSync(dirname(values.out), { recursive: true });
const report = {
  what: 'scenes per second; generate = sampling, rendering, 4 PNG and 1 JSON for each scene, manifest',
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
