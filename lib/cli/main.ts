#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../errors.js';
import { version } from '../version.js';
import { addBench } from './bench.js';
import { addCommonOptions } from './command.js';
import { addDiagnose } from './diagnose.js';
import { addDoctor } from './doctor.js';
import { addEmbed } from './embed.js';
import { addExperiment } from './experiment.js';
import { addGenerate } from './generate.js';
import { Interrupted } from './interrupt.js';
import { addPretrain } from './pretrain.js';
import { addReduce } from './reduce.js';
import { addRun } from './run.js';
import { addSelect } from './select.js';

/** Exit codes: 0 done, 1 failed, 2 wrong usage (a flag, an option's value, the configuration). */
const FAILED = 1;
const USAGE = 2;

function exitCodeOf(error: unknown): number {
  const { code } = error as { code?: unknown };
  const badValue = code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_OUT_OF_RANGE' || code === 'ERR_UNKNOWN_ID';
  return error instanceof ConfigError || badValue ? USAGE : FAILED;
}

function report(error: unknown): void {
  const message = error instanceof Error ? error.message : String(error);
  const stack = process.argv.includes('--verbose') && !(error instanceof Interrupted);
  process.stderr.write(`coregain: ${message}\n${stack ? `${(error as Error).stack}\n` : ''}`);
}

// Whoever reads our output may stop reading (`coregain ... | head`): that is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

const program = new Command('coregain')
  .description('Picks a coreset: the small part of a data set that trains a model almost as well as all of it.')
  .version(version)
  .addHelpText('after', '\nStart with:\n  $ coregain run\n  $ coregain run --config coregain.yaml')
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'coregain: ')) })
  .enablePositionalOptions()
  .exitOverride();
for (const add of [
  addRun,
  addGenerate,
  addEmbed,
  addReduce,
  addSelect,
  addDiagnose,
  addExperiment,
  addPretrain,
  addBench,
  addDoctor,
])
  add(program);
addCommonOptions(program);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  } else {
    report(error);
    process.exitCode = exitCodeOf(error);
  }
}
