/**
 * The pairwise kernels beside numpy and PyTorch at typical sizes, through the code of `coregain bench kernels`: all of
 * them at 20,000 x 768, and all but the nearest rows at 50,000 x 768. About four minutes on two threads.
 *
 *   node bench/kernels.mjs
 *
 * Options: --dims 768 --repeats 5 --threads 0 (= all), --devices cpu,cuda, --python python3,
 * --out bench/results/kernels-<date>.json
 */
import { writeFileSync } from 'node:fs';
import { benchKernels, KERNELS } from '#lib/bench/kernelBench.js';
import { kernelLines } from '#lib/cli/benchKernels.js';
import { optionsOf } from './script.mjs';

const { dims, repeats, threads, devices, python, out } = optionsOf('kernels', {
  dims: 768,
  repeats: 5,
  threads: 0,
  devices: 'cpu',
  python: 'python3',
});
const shared = {
  dims,
  repeats,
  threads: threads || undefined,
  devices: devices.split(','),
  python,
};
const reports = [];
for (const sizes of [{ rows: 20_000 }, { rows: 50_000, kernels: KERNELS.filter((name) => name !== 'nearest') }]) {
  const report = await benchKernels({ ...shared, ...sizes });
  reports.push(report);
  console.log(kernelLines(report).join('\n'), '\n');
  writeFileSync(out, `${JSON.stringify({ date: report.date, command: 'node bench/kernels.mjs', reports }, null, 1)}\n`);
}
