import { relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { readConfig } from '../configFile.js';
import { checkExperiment, demoExperiment } from '../experiment/config.js';
import { type ExperimentPlan, planExperiment } from '../experiment/plan.js';
import { experimentTable } from '../report/experiment/table.js';
import { formatCount, formatSeconds, plural } from '../report/numbers.js';
import { runExperiment } from '../runExperiment.js';
import { addCommand } from './command.js';
import { integerFrom } from './options.js';

interface Flags {
  config?: string;
  dryRun?: true;
  out?: string;
  parallel?: number;
  threads?: number;
}

export function addExperiment(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'experiment',
    summary: 'trains on full data, coresets and random subsets, and compares what each keeps',
    examples: [
      'coregain experiment --dry-run                           # what the demonstration would do and cost',
      'coregain experiment --config examples/experiment.yaml',
    ],
    resumes: true,
    async action({ config: file, dryRun, out, parallel, threads }, job) {
      const source = file === undefined ? undefined : await readConfig(file);
      const typed = {
        ...(out !== undefined && { out: resolve(out) }),
        ...(parallel !== undefined && { parallel }),
        ...(threads !== undefined && { threads }),
      };
      const value = source ? source.value : demoExperiment;
      // What is no group of keys is left for the check to complain of.
      const isGroup = typeof value === 'object' && value !== null && !Array.isArray(value);
      const config = checkExperiment(isGroup ? { ...value, ...typed } : value, source);
      if (dryRun) {
        const plan = await planExperiment(config);
        return { json: { out: config.out, ...plan }, lines: describePlan(plan, config.out) };
      }
      const { summary, files } = await runExperiment(config, job);
      return {
        json: { out: config.out, files, ...summary },
        lines: [...experimentTable(summary), '', nameOf(files.report)],
      };
    },
  });
  command
    .option('--config <file>', 'YAML or JSON (default: a small experiment on rendered scenes)')
    .option('--dry-run', 'only say how many runs there are, and what time and memory to expect')
    .option('--out <folder>', 'folder to write (default: coregain-experiment)')
    .option('--parallel <count>', 'training runs at a time (default: one for each thread)', integerFrom(1))
    .option('--threads <count>', 'threads, 0 = all (default: 0)', integerFrom(0));
}

function describePlan(plan: ExperimentPlan, out: string): string[] {
  const { arms, draws, samples, cells, finished, toDo, steps, lanes, threads, stepSeconds, seconds } = plan;
  const size = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`;
  return [
    `${plural(arms, 'arm')} x ${plural(draws, 'draw')} of ${formatCount(samples.pool)} samples, validated on ${formatCount(samples.validation)}: ${formatCount(cells)} results`,
    `  ${plural(finished, 'run')} finished in ${nameOf(out)}, at most ${formatCount(toDo)} to do: ${formatCount(steps)} optimizer steps`,
    `  time    about ${formatSeconds(seconds)} of training, ${lanes} at a time on ${plural(threads, 'thread')} each; a step takes ${formatSeconds(stepSeconds)} (measured now)`,
    `  memory  about ${size(plan.memoryBytes)}`,
    `  disk    about ${size(plan.diskBytes)} of tokens and embeddings`,
  ];
}

function nameOf(out: string): string {
  return relative('.', out) || '.';
}
