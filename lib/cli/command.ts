import type { Command } from 'commander';
import { ConfigError } from '../errors.js';
import type { JobOptions } from '../progress.js';
import { Interrupted, interruptible } from './interrupt.js';
import { progressLine } from './progressLine.js';

/** Options that every command takes. */
export interface CommonFlags {
  json?: true;
  quiet?: true;
  verbose?: true;
}

/** What a command has to say when it has ended. */
export interface Outcome {
  /** The one document of `--json`. */
  json: unknown;
  /** For people. */
  lines: readonly string[];
  /** The command did its work, but what it found is not good. */
  failed?: boolean;
}

export interface CommandSpec<Flags> {
  name: string;
  /** Flags that cannot be left out. Commander's own check would hide a misspelt one behind the one that it was meant as. */
  needs?: readonly (keyof Flags & string)[];
  /** One line for the list of commands. */
  summary: string;
  examples: readonly string[];
  /** Whether the same command goes on where it was interrupted. */
  resumes: boolean;
  action(flags: Flags, job: JobOptions): Promise<Outcome>;
}

/** Adds a command whose action can be interrupted, shows progress on a terminal, and prints its outcome once. */
export function addCommand<Flags extends object>(program: Command, spec: CommandSpec<Flags>): Command {
  return program
    .command(spec.name)
    .description(spec.summary)
    .addHelpText('after', `\nExamples:\n${spec.examples.map((line) => `  $ ${line}`).join('\n')}`)
    .action(async (flags: Flags & CommonFlags) => {
      checkNeeds(spec.name, flags, spec.needs ?? []);
      const { signal, stop } = interruptible();
      const line = progressLine(process.stderr);
      try {
        const outcome = await spec.action(flags, { signal, onProgress: flags.quiet ? undefined : line.onProgress });
        line.end();
        print(outcome, flags);
        if (outcome.failed) process.exitCode = 1;
      } catch (error) {
        line.end();
        if (!signal.aborted) throw error;
        throw new Interrupted(
          spec.resumes
            ? 'interrupted. Run the same command again: it goes on where it stopped.'
            : 'interrupted. Nothing was written; run the same command again.',
          { cause: error },
        );
      } finally {
        stop();
      }
    });
}

/** ConfigError `ERR_FLAG_MISSING` naming every flag in `names` that was not given. */
export function checkNeeds<Flags extends object>(
  command: string,
  flags: Flags,
  names: readonly (keyof Flags & string)[],
  otherwise = `See coregain ${command} --help`,
): void {
  const missing = names.filter((name) => flags[name] === undefined).map((name) => `--${name}`);
  if (missing.length === 0) return;
  throw new ConfigError('ERR_FLAG_MISSING', `\`${command}\` needs ${missing.join(' and ')}. ${otherwise}.`);
}

/** Adds the options that every command takes, last in its help. */
export function addCommonOptions(program: Command): void {
  for (const command of program.commands) {
    command
      .option('--json', 'print the result as one JSON document')
      .option('--quiet', 'print nothing but errors')
      .option('--verbose', 'print stack traces with errors');
    addCommonOptions(command);
  }
}

function print({ json, lines }: Outcome, flags: CommonFlags): void {
  if (flags.json) process.stdout.write(`${JSON.stringify(json, null, 2)}\n`);
  else if (!flags.quiet && lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
}
