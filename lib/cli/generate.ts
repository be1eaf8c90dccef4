import { type Command, Option } from 'commander';
import { generateScenes } from '../data/generate.js';
import type { Regime } from '../data/scenes.js';
import { formatSeconds, plural } from '../report/numbers.js';
import { addCommand } from './command.js';
import { integerFrom, threadsOption } from './options.js';

interface Flags {
  out: string;
  scenes: number;
  size: number;
  regime: Regime;
  seed: number;
  threads?: number;
}

export function addGenerate(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'generate',
    needs: ['out'],
    summary: 'render a CLEVR-like data set: RGB, class mask, instance mask, metric depth',
    examples: [
      'coregain generate --out scenes',
      'coregain generate --out scenes --scenes 5000 --size 224 --regime uniform --seed 1',
    ],
    resumes: true,
    async action({ out, scenes, size, regime, seed, threads }, job) {
      const result = await generateScenes(out, { scenes, size, regime, seed, threads, ...job });
      const { train, val, rendered, seconds } = result;
      const there = result.scenes - rendered;
      return {
        json: result,
        lines: [
          `${plural(result.scenes, 'scene')} in ${out}: ${train} train, ${val} val` +
            ` (${rendered} rendered in ${formatSeconds(seconds)}${there > 0 ? `, ${there} were there` : ''})`,
        ],
      };
    },
  });
  command
    .option('--out <folder>', 'folder to write')
    .option('--scenes <count>', 'number of scenes, train and val together', integerFrom(1), 1000)
    .option('--size <pixels>', 'width and height of the images', integerFrom(32), 128)
    .addOption(
      new Option(
        '--regime <name>',
        "uniform: CLEVR's distribution; logs: clips of near-duplicates, as recordings have them",
      )
        .choices(['uniform', 'logs'])
        .default('logs'),
    )
    .option('--seed <number>', 'the same seed gives the same bytes', integerFrom(0), 0);
  threadsOption(command);
}
