import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readConfig } from '../configFile.js';
import { checkExperiment, demoExperiment } from '../experiment/config.js';
import { experiment } from '../experiment/experiment.js';
import { addCommand } from './command.js';
import { integerFrom } from './options.js';

interface Flags {
  config?: string;
  out?: string;
  parallel?: number;
  threads?: number;
}

export function addExperiment(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'experiment',
    summary: 'trains on full data, coresets and random subsets, and compares what each keeps',
    examples: ['coregain experiment --config examples/experiment.yaml'],
    resumes: true,
    async action({ config: file, out, parallel, threads }, job) {
      const source = file === undefined ? undefined : await readConfig(file);
      const typed = { ...(out && { out: resolve(out) }), ...(parallel && { parallel }), ...(threads && { threads }) };
      const config = checkExperiment({ ...((source?.value ?? demoExperiment) as object), ...typed }, source);
      const summary = await experiment(config, job);
      return { json: summary, lines: summary.comparisons.map((c) => JSON.stringify(c)) };
    },
  });
  command
    .option('--config <file>', 'YAML or JSON (default: a small experiment on rendered scenes)')
    .option('--out <folder>', 'folder to write (default: coregain-experiment)')
    .option('--parallel <count>', 'training runs at a time (default: one for each thread)', integerFrom(1))
    .option('--threads <count>', 'threads, 0 = all (default: 0)', integerFrom(0));
}
