/**
 * Scenes per second, PNG and JSON writing included, with the longest wait of the event loop meanwhile; and what the
 * renderer does alone.
 *
 *   node bench/scenes.mjs
 *
 * Options: --threads 2, --repeats 5, --scenes 200, --sizes 128,224, --out bench/results/scenes-<date>.json
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { spreadOf } from '#lib/bench/statistics.js';
import { generateScenes } from '#lib/data/generate.js';
import { packScene, planClips, sampleScene } from '#lib/data/scenes.js';
import { native } from '#lib/native.js';
import { optionsOf, save } from './script.mjs';

const { threads, repeats, scenes, sizes, out } = optionsOf('scenes', {
  threads: 2,
  repeats: 5,
  scenes: 200,
  sizes: '128,224',
});

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

const results = [];
async function measure(name, size, run) {
  await run(0); // files, code and caches warm
  const runs = [];
  for (let seed = 1; seed <= repeats; seed++) runs.push(await run(seed));
  const rates = runs.map(({ perSecond }) => perSecond);
  const waits = runs.flatMap(({ longestWaitMs }) => longestWaitMs ?? []);
  const result = {
    name,
    size,
    scenes,
    ...spreadOf(rates),
    runs: rates,
    ...(waits.length > 0 && { longestWaitMs: Math.max(...waits) }),
  };
  results.push(result);
  const wait = waits.length > 0 ? `, event loop waits at most ${result.longestWaitMs.toFixed(0)} ms` : '';
  console.log(
    `${name} ${size} px: ${result.median.toFixed(1)} scenes/s (${result.min.toFixed(1)}..${result.max.toFixed(1)})${wait}`,
  );
}

for (const size of sizes.split(',').map(Number)) {
  await measure('generate uniform', size, (seed) => generate(size, 'uniform', seed));
  await measure('generate logs', size, (seed) => generate(size, 'logs', seed));
  await measure('render only', size, (seed) => renderOnly(size, seed));
}

save(out, {
  what: 'scenes per second; generate = sampling, rendering, 4 PNG and 1 JSON for each scene, manifest',
  threads,
  results,
});
