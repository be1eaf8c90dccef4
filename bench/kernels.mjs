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
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { benchKernels, KERNELS } from '#lib/bench/kernelBench.js';
import { kernelLines } from '#lib/cli/benchKernels.js';

const date = new Date().toISOString().slice(0, 10);
const { values } = parseArgs({
  options: {
    dims: { type: 'string', default: '768' },
    repeats: { type: 'string', default: '5' },
    threads: { type: 'string', default: '0' },
    devices: { type: 'string', default: 'cpu' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string', default: fileURLToPath(new URL(`results/kernels-${date}.json`, import.meta.url)) },
  },
});
const { python, out } = values;
const shared = {
  dims: Number(values.dims),
  repeats: Number(values.repeats),
  threads: Number(values.threads) || undefined,
  devices: values.devices.split(','),
  python,
};
const reports = [];
for (const sizes of [{ rows: 20_000 }, { rows: 50_000, kernels: KERNELS.filter((name) => name !== 'nearest') }]) {
  const report = await benchKernels({ ...shared, ...sizes });
  reports.push(report);
  console.log(kernelLines(report).join('\n'), '\n');
  writeFileSync(out, `${JSON.stringify({ date: report.date, command: 'node bench/kernels.mjs', reports }, null, 1)}\n`);
}
