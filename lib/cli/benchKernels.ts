import { join } from 'node:path';
import type { Command } from 'commander';
import { benchKernels, KERNELS, type KernelBenchReport, type KernelName } from '../bench/kernelBench.js';
import type { EngineDevice } from '../device.js';
import { writeFileAtomically } from '../files.js';
import { PRECISIONS, type Precision } from '../kernels/kernels.js';
import { formatCount, formatValue } from '../report/numbers.js';
import { addCommand } from './command.js';
import { engineDevice, integerFrom, listOf, threadsOption } from './options.js';
import { shortPath } from './summary.js';

interface Flags {
  rows: number;
  dims: number;
  queries?: number;
  k?: number;
  precisions?: Precision[];
  devices: EngineDevice[];
  kernels?: KernelName[];
  repeats: number;
  threads?: number;
  seed: number;
  python: string;
  baselines: boolean;
  out: string;
}

/** `coregain bench kernels`. */
export function addBenchKernels(bench: Command): void {
  const command = addCommand<Flags>(bench, {
    name: 'kernels',
    summary: 'rates of the pairwise kernels in each precision, beside numpy and PyTorch',
    examples: [
      'coregain bench kernels',
      'coregain bench kernels --rows 100000 --devices cpu,cuda --precisions fp32,bf16',
    ],
    resumes: false,
    async action({ out, baselines, python, threads, ...flags }, job) {
      const report = await benchKernels({
        ...flags,
        threads: threads || undefined,
        python: baselines && python,
        ...job,
      });
      const file = join(out, 'kernels.json');
      await writeFileAtomically(file, `${JSON.stringify(report, null, 1)}\n`);
      return { json: report, lines: [...kernelLines(report), '', `  data     ${shortPath(file)}`] };
    },
  });
  command
    .option('--rows <count>', 'N', integerFrom(2), 20_000)
    .option('--dims <count>', 'd', integerFrom(1), 768)
    .option(
      '--queries <count>',
      'rows that distances and facility location compare with all (default: 1024)',
      integerFrom(1),
    )
    .option('--k <count>', 'nearest rows of each row (default: 15)', integerFrom(1))
    .option('--precisions <list>', `of ${PRECISIONS.join(',')} (default: all)`, listOf(PRECISIONS))
    .option('--devices <list>', 'of cpu, cuda and cuda:N', (text: string) => text.split(',').map(engineDevice), [
      'cpu',
    ] as EngineDevice[])
    .option('--kernels <list>', `of ${KERNELS.join(',')} (default: all)`, listOf(KERNELS))
    .option('--repeats <count>', 'timed calls for each figure', integerFrom(1), 5)
    .option('--seed <number>', 'seed of the embeddings', integerFrom(0), 0)
    .option('--python <program>', 'interpreter for numpy and PyTorch', 'python3')
    .option('--no-baselines', 'leave out numpy and PyTorch')
    .option('--out <folder>', 'folder for kernels.json', 'coregain-bench');
  threadsOption(command);
}

function formatMilliseconds(seconds: number): string {
  return `${formatValue(Number((1000 * seconds).toPrecision(3)))} ms`;
}

export function kernelLines({ results, notes, settings, copyRates, ...report }: KernelBenchReport): string[] {
  const { rows, dims, threads } = settings;
  const head = [
    'kernel',
    'who',
    'precision',
    'device',
    'median',
    'smallest to largest',
    'GFLOP/s',
    'GB/s',
    'of a copy',
  ];
  const table = results.map((r) => [
    r.kernel,
    r.name,
    r.precision,
    r.device,
    formatMilliseconds(r.seconds.median),
    `${formatMilliseconds(r.seconds.min)} to ${formatMilliseconds(r.seconds.max)}`,
    formatValue(r.gigaflops),
    formatValue(r.gigabytes),
    r.copyShare === undefined ? '' : `${Math.round(100 * r.copyShare)}%`,
  ]);
  const widths = head.map((text, i) => Math.max(text.length, ...table.map((line) => line[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  const shape = `${formatCount(rows)} x ${formatCount(dims)}, ${threads} threads, rows ready`;
  const commit = report.commit ? ` (${report.commit.slice(0, 7)}${report.changed ? ', changed' : ''})` : '';
  return [
    `coregain ${report.version}${commit}, ${report.date}, ${report.machine.processor}`,
    shape,
    ...copyRates.map(
      (rate) => `copies on ${rate.device}: ${formatValue(rate.bytesPerSecond / 1e9)} GB/s, read and written`,
    ),
    '',
    line(head),
    ...table.map(line),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ];
}
