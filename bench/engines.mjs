/**
 * The engines beside numpy and the paper's algorithm at the sizes that matter, through the code of `coregain bench`:
 * N = 2k, 4k, 8k (the paper's algorithm goes no further), 10k to 100k, and 400k for the lazy engine alone.
 *
 *   node bench/engines.mjs                                   hours
 *   node bench/engines.mjs --kinds real --dims 768 --limit 60
 *
 * Options: --kinds real,iso,mix,sph, --dims 768,1024, --parts small,middle,large, --threads 1,2, --repeats 3,
 * --limit 120 (seconds: beyond it sweep and numpy are extrapolated, and marked), --python python3,
 * --out bench/results/engines-<date>.json. The file is written anew after each part and kind, so that a stop loses
 * only what was under way.
 */
import { writeFileSync } from 'node:fs';
import { bench } from '#lib/bench/bench.js';
import { exponents } from '#lib/bench/summarize.js';
import { benchLines } from '#lib/bench/table.js';
import { optionsOf } from './script.mjs';

const PARTS = {
  // cosine: the one gain that the paper's algorithm knows
  small: {
    rows: [2000, 4000, 8000],
    engines: ['lazy', 'gram', 'sweep'],
    baselines: ['numpy', 'paper'],
    gain: 'cosine',
  },
  middle: {
    rows: [10_000, 20_000, 50_000, 100_000],
    engines: ['lazy', 'sweep'],
    baselines: ['numpy'],
    gain: 'sqeuclidean',
  },
  large: { rows: [400_000], engines: ['lazy'], baselines: [], gain: 'sqeuclidean' },
};
const values = optionsOf('engines', {
  kinds: 'real,iso,mix,sph',
  dims: '768,1024',
  parts: Object.keys(PARTS).join(),
  threads: '1,2',
  repeats: 3,
  limit: 120,
  python: 'python3',
});
const numbers = (list) => list.split(',').map(Number);
const parts = values.parts.split(',');
for (const part of parts) {
  if (!PARTS[part]) throw new RangeError(`--parts is a list of ${Object.keys(PARTS).join(', ')}, not ${part}.`);
}

let whole;
for (const kind of values.kinds.split(',')) {
  for (const part of parts) {
    const report = await bench({
      ...PARTS[part],
      kinds: [kind],
      dims: numbers(values.dims),
      threads: numbers(values.threads),
      repeats: values.repeats,
      limitSeconds: values.limit,
      python: values.python,
      onProgress: ({ done, total }) => console.error(`${kind} ${part}: ${done}/${total}`),
    });
    const results = [...(whole?.results ?? []), ...report.results];
    whole = {
      ...(whole ?? report),
      results,
      exponents: exponents(results),
      notes: [...(whole?.notes ?? []), ...report.notes],
      failures: [...(whole?.failures ?? []), ...report.failures],
      // Roofline shares are of the bandwidth that was measured for their part.
      parts: [...(whole?.parts ?? []), { kind, part, date: report.date, machine: report.machine }],
    };
    writeFileSync(values.out, `${JSON.stringify(whole, null, 1)}\n`);
  }
}
console.log(benchLines(whole).join('\n'));
console.log(`written to ${values.out}`);
