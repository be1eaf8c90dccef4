import { type Command, Option } from 'commander';
import { checkConfig, demoConfig, type RunConfigInput } from '../config.js';
import { readConfig } from '../configFile.js';
import { REDUCTIONS } from '../reduce/reduce.js';
import { formatSeconds } from '../report/numbers.js';
import { type RunResult, run } from '../run.js';
import { addCommand } from './command.js';
import { withFlags } from './configFlags.js';
import {
  checkStrategyFlags,
  type EncoderFlags,
  encoderOptions,
  integerFrom,
  type SelectFlags,
  selectOptions,
  threadsOption,
} from './options.js';
import { binCounts, describeFiles, describeSelection } from './summary.js';

interface Flags extends EncoderFlags, SelectFlags {
  config?: string;
  data?: string;
  force?: true;
}

export function addRun(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'run',
    summary: 'all of it: data -> embed -> reduce -> select -> report',
    examples: [
      'coregain run                                 # a demonstration: renders 1,000 scenes, selects 20 %',
      'coregain run --config coregain.yaml --budget 500 --out picked',
      'coregain run --data clevr --preset base --weights multimae-b.pth --out picked',
    ],
    resumes: true,
    async action({ force, config: file, ...flags }, job) {
      const source = file === undefined ? undefined : await readConfig(file);
      const base = source?.value ?? (flags.data ? {} : demoConfig);
      const merged = (await withFlags(base, flags)) as RunConfigInput;
      checkStrategyFlags(flags, merged?.select?.strategy ?? 'bins');
      const config = checkConfig(merged, source);
      const result = await run(config, { ...job, force });
      return { json: machineResult(result), lines: describe(result) };
    },
  });
  command
    .option('--config <file>', 'YAML or JSON; flags win over it')
    .option('--data <path>', 'data set: a folder, or an NYU-Depth-v2 .mat file (default: rendered scenes)')
    .option('--out <folder>', 'folder to write (default: coregain-out)')
    .option('--force', 'replace the result of another configuration in that folder')
    .option('--scenes <count>', 'without --data: scenes to render (default: 1000)', integerFrom(1))
    .option('--size <pixels>', 'without --data: their width and height (default: 128)', integerFrom(32))
    .addOption(
      new Option('--regime <name>', 'without --data: how they are distributed (default: logs)').choices([
        'uniform',
        'logs',
      ]),
    );
  encoderOptions(command);
  command
    .addOption(new Option('--reduce <method>', 'reduction (default: pca)').choices(REDUCTIONS))
    .option('--dims <count>', 'dimensions after it (default: 64)', integerFrom(1));
  selectOptions(command);
  threadsOption(command);
}

function machineResult({ config, selection, encoder, generated, embedded, record, files }: RunResult) {
  const { counts, stages, peakMemoryBytes, notes } = record;
  return {
    out: config.out,
    files,
    counts,
    bins: binCounts(selection),
    encoder,
    ...(generated && { generated }),
    embedded,
    stages,
    peakMemoryBytes,
    notes,
  };
}

function describe({ selection, encoder, record, files }: RunResult): string[] {
  const { stages, notes, peakMemoryBytes } = record;
  const total = stages.reduce((sum, { seconds }) => sum + seconds, 0);
  const times = stages.map(({ name, seconds }) => `${name} ${formatSeconds(seconds)}`).join(', ');
  return [
    ...describeSelection(selection, 'sample'),
    '',
    `  ${formatSeconds(total)}: ${times}; peak memory ${Math.round(peakMemoryBytes / 2 ** 20)} MiB`,
    `  encoder: ${encoder.origin}; ran on ${encoder.provider}`,
    ...notes.map((note) => `  note: ${note}`),
    '',
    ...describeFiles(files),
  ];
}
