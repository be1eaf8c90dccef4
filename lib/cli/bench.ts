import { type Command, InvalidArgumentError, Option } from 'commander';
import { bench, writeBench } from '../bench/bench.js';
import { KINDS } from '../bench/kinds.js';
import { BASELINES } from '../bench/plan.js';
import { benchLines } from '../bench/table.js';
import type { BaselineName, Kind } from '../bench/types.js';
import { ENGINES, type Engine, GAINS } from '../select/bins.js';
import type { Gain } from '../select/types.js';
import { addBenchKernels } from './benchKernels.js';
import { addCommand } from './command.js';
import { integerFrom, listOf } from './options.js';
import { shortPath } from './summary.js';

interface Flags {
  embeddings?: string;
  kinds?: Kind[];
  rows?: number[];
  dims?: number[];
  bins: number;
  gain: Gain;
  engines?: Engine[];
  baselines?: (BaselineName | 'none')[];
  threads?: number[];
  repeats: number;
  limit: number;
  seed: number;
  python: string;
  out: string;
}

export function addBench(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'bench',
    summary: 'time the engines beside numpy and the paper, on this machine and your data',
    examples: [
      'coregain bench                               # synthetic embeddings, a few minutes',
      'coregain bench --embeddings X.npy --engines auto,sweep --baselines none',
      'coregain bench --kinds real --rows 5000,10000,20000 --dims 768 --threads 1,2 --limit 30',
    ],
    resumes: false,
    async action({ limit, out, baselines, ...flags }, job) {
      const chosen = baselines?.filter((name) => name !== 'none');
      const report = await bench({ ...flags, baselines: chosen, limitSeconds: limit, ...job });
      const files = await writeBench(report, out);
      return {
        json: report,
        lines: [
          ...benchLines(report),
          '',
          `  data     ${shortPath(files.json)}`,
          `  page     ${shortPath(files.html)}`,
        ],
        failed: report.failures.length > 0,
      };
    },
  });
  command
    .option('--embeddings <file>', 'float32 or float64 [N, d], .npy in C order, instead of synthetic ones')
    .option('--kinds <list>', `synthetic embeddings, of ${KINDS.join(',')} (default: all)`, listOf(KINDS))
    .option('--rows <list>', 'N (default: 1000,2000,5000; with --embeddings a quarter, half and all)', integersFrom(1))
    .option('--dims <list>', 'd of synthetic embeddings (default: 64,768)', integersFrom(1))
    .option('--bins <count>', 'number of bins', integerFrom(1), 10)
    .addOption(new Option('--gain <name>', 'what a bin maximises').choices(GAINS).default('cosine'))
    .option('--engines <list>', `of ${ENGINES.join(',')} (default: all)`, listOf(ENGINES))
    .option(
      '--baselines <list>',
      `of ${BASELINES.join(',')}, or none (default: all, where Python has numpy)`,
      listOf([...BASELINES, 'none']),
    )
    .option('--threads <list>', 'numbers of threads (default: 1 and all)', integersFrom(1))
    .option('--repeats <count>', 'processes for each figure', integerFrom(1), 3)
    .option('--limit <seconds>', 'extrapolate sweep and numpy where they would take longer', secondsOf, 60)
    .option('--seed <number>', 'seed of the synthetic embeddings', integerFrom(0), 0)
    .option('--python <program>', 'interpreter for the baselines', 'python3')
    .option('--out <folder>', 'folder for bench.json and bench.html', 'coregain-bench');
  // with the program's own setting: what follows `kernels` is its, --rows included
  addBenchKernels(command.enablePositionalOptions());
}

function integersFrom(min: number): (text: string) => number[] {
  const read = integerFrom(min);
  return (text) =>
    text.split(',').map((part) => {
      try {
        return read(part);
      } catch {
        throw new InvalidArgumentError(`It must be a list of integers >= ${min} like 1000,2000.`);
      }
    });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds > 0)) throw new InvalidArgumentError('It must be a number of seconds > 0.');
  return seconds;
}
