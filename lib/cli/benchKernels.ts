import { join } from 'node:path';
import type { Command } from 'commander';
import { benchKernels, KERNELS, type KernelBenchReport, type KernelName } from '../bench/kernelBench.js';
import type { EngineDevice } from '../device.js';
import { writeFileAtomically } from '../files.js';
import { PRECISIONS, type Precision } from '../kernels/kernels.js';
import { formatCount, formatSeconds, formatValue } from '../report/numbers.js';
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

function kernelLines({ results, notes, settings }: KernelBenchReport): string[] {
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
    'of bandwidth',
  ];
  const table = results.map((r) => [
    r.kernel,
    r.name,
    r.precision,
    r.device,
    formatSeconds(r.seconds.median),
    `${formatSeconds(r.seconds.min)} to ${formatSeconds(r.seconds.max)}`,
    formatValue(r.gigaflops),
    formatValue(r.gigabytes),
    r.bandwidthShare === undefined ? '' : `${Math.round(100 * r.bandwidthShare)}%`,
  ]);
  const widths = head.map((text, i) => Math.max(text.length, ...table.map((line) => line[i]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd();
  const shape = `${formatCount(rows)} x ${formatCount(dims)}, ${threads} threads, rows ready`;
  return [shape, '', line(head), ...table.map(line), ...(notes.length > 0 ? ['', ...notes] : [])];
}
