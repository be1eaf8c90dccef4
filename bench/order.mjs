/**
 * Order equality: random small problems of every kind of data, each against the big-integer oracle of the tests, on
 * random SIMD levels and numbers of threads. Exits with 1 on any mismatch.
 *
 *   node bench/order.mjs
 *
 * Options: --cases 5000, --seed 0, --out bench/results/order-<date>.json
 */
import { execFileSync } from 'node:child_process';
import { native } from '#lib/native.js';
import { below, stream } from '#lib/select/random.js';
import { here, optionsOf, save } from './script.mjs';

const values = optionsOf('order', { cases: 5000, seed: 0 });

// The oracle and its data are part of the tests, in TypeScript.
const compiled = here('../build/oracle');
execFileSync(
  process.execPath,
  [
    ...[here('../node_modules/typescript/bin/tsc'), '--ignoreConfig', '--module', 'nodenext', '--target', 'es2022'],
    ...[
      '--lib',
      'es2023',
      '--types',
      'node',
      '--skipLibCheck',
      '--rootDir',
      here('../test/select'),
      '--outDir',
      compiled,
    ],
    ...[here('../test/select/oracle.ts'), here('../test/select/data.ts')],
  ],
  { stdio: 'inherit' },
);
const { oracle } = await import(`${compiled}/oracle.js`);
const { cloud, clouds } = await import(`${compiled}/data.js`);

const levels = native().cpu().available;
const words = stream(values.seed, 0);
const pick = (choices) => choices[below(words, choices.length)];
const start = performance.now();
const totals = { cases: 0, steps: 0, tiedSteps: 0, float64Decisions: 0, exactDecisions: 0, mismatches: 0 };
const kinds = Object.fromEntries(Object.keys(clouds).map((kind) => [kind, { ...totals }]));
const mismatches = [];

for (let i = 0; i < values.cases; i++) {
  const kind = pick(Object.keys(clouds));
  const rows = 1 + below(words, 48);
  const cols = pick([1, 2, 3, 4, 7, 8, 15, 16, 17, 24, 33]);
  const settings = {
    bins: 1 + below(words, rows),
    gain: pick(['sqeuclidean', 'cosine']),
    remainder: pick(['spread', 'drop']),
    threads: pick([1, 2, 5]),
    simd: pick(levels),
  };
  const type = pick(['float32', 'float64']);
  const matrix = cloud(kind, i, rows, cols, type);
  const expected = oracle(matrix, settings);
  const control = new Int32Array(new SharedArrayBuffer(8));
  const found = await native().greedyBins({ ...matrix, ...settings, control });
  const equal =
    expected.order.length === found.order.length && expected.order.every((row, at) => row === found.order[at]);
  if (!equal) mismatches.push({ case: i, kind, rows, cols, type, ...settings });
  for (const count of [totals, kinds[kind]]) {
    count.cases++;
    count.steps += expected.order.length;
    count.tiedSteps += expected.ties;
    count.float64Decisions += found.float64Decisions;
    count.exactDecisions += found.exactDecisions;
    count.mismatches += equal ? 0 : 1;
  }
}

const seconds = (performance.now() - start) / 1000;
console.log(
  `${totals.cases} cases, ${totals.steps} steps (${totals.tiedSteps} with ties): ${totals.mismatches} mismatches; ` +
    `float64 decided ${totals.float64Decisions} times, exact integers ${totals.exactDecisions} times; ${seconds.toFixed(0)} s`,
);
save(values.out, {
  what: 'order of the native engine against the big-integer oracle: random small problems, SIMD levels and threads',
  simdLevels: levels,
  seed: values.seed,
  seconds,
  ...totals,
  kinds,
  mismatchedCases: mismatches.slice(0, 100),
});
if (totals.mismatches > 0) process.exitCode = 1;
