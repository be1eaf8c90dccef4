/** How option values are read, and the options that several commands share. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type EngineDevice, isEngineDevice } from '../device.js';
import { AGGREGATIONS, type Aggregation } from '../embed/aggregate.js';
import { ConfigError } from '../errors.js';
import { ELEMENT_TYPES, type ElementType } from '../formats/elements.js';
import type { EmbeddingFile } from '../formats/source.js';
import { type PresetName, presets } from '../models/presets.js';
import { ENGINES, type Engine, GAINS, REMAINDERS } from '../select/bins.js';
import { parseBudget } from '../select/draw.js';
import { OF_STRATEGY, STRATEGIES, type Strategy } from '../select/select.js';
import type { Gain, Remainder } from '../select/types.js';

/** Reads an integer >= `min`. */
export function integerFrom(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`It must be an integer >= ${min}.`);
    }
    return value;
  };
}

/** Reads an amount of memory, in bytes: `500MB`, `2GB`, `1.5GiB`. */
export function memoryOf(text: string): number {
  const [, amount, unit] = /^([\d.]+)\s*([KMGT]i?B)$/i.exec(text.trim()) ?? [];
  const bytes =
    Number(amount) * (unit?.[1] === 'i' ? 1024 : 1000) ** (1 + 'KMGT'.indexOf(unit?.[0]?.toUpperCase() ?? ''));
  if (!(bytes >= 1)) throw new InvalidArgumentError('It must be an amount like 500MB, 2GB or 1.5GiB.');
  return Math.floor(bytes);
}

/** Reads a number in `min`..`max`. */
export function numberIn(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= min && value <= max)) {
      throw new InvalidArgumentError(`It must be a number in ${min}..${max}.`);
    }
    return value;
  };
}

/** Reads a budget: a number where it is one, so that `0.2` is what 0.2 in a configuration is. */
function budgetOf(text: string): number | string {
  const budget = text.endsWith('%') ? text : Number(text);
  try {
    parseBudget(budget, Number.MAX_SAFE_INTEGER);
  } catch {
    throw new InvalidArgumentError('It must be a fraction in (0, 1), a percentage like 20% or a whole number of rows.');
  }
  return budget;
}

/** Reads `auto`, `cpu`, `cuda` or `cuda:N`. */
export function engineDevice(text: string): EngineDevice {
  if (!isEngineDevice(text)) throw new InvalidArgumentError('It must be auto, cpu, cuda or cuda:N.');
  return text;
}

/** Reads a list separated by commas. */
export function listOf<const T extends string>(choices: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(',').map((part) => {
      if (!(choices as readonly string[]).includes(part)) {
        throw new InvalidArgumentError(`It must be a list of ${choices.join(', ')}.`);
      }
      return part as T;
    });
}

function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices);
}

/** What `encoderOptions` adds. */
export interface EncoderFlags {
  preset?: PresetName;
  weights?: string;
  model?: string;
  device?: 'auto' | 'cpu' | 'cuda';
  aggregation?: Aggregation;
  modalities?: ('rgb' | 'semseg')[];
  layer?: number;
  batch?: number;
  cache?: string;
  split?: string;
}

/** @param cache in words, the folder of the cache where none is given. */
export function encoderOptions(command: Command, cache = 'cache in the output folder'): Command {
  return command
    .option('--split <name>', 'take this split of the data set, or `all` (default: train)')
    .addOption(choice('--preset <name>', 'shape of the encoder (default: tiny)', Object.keys(presets)))
    .option(
      '--weights <file>',
      'weights, .pth or .safetensors (default: of tiny those of this package, else seeded random ones)',
    )
    .option('--model <file>', 'model.json, for a shape that is no preset')
    .addOption(choice('--device <name>', 'where the encoder runs (default: auto)', ['auto', 'cpu', 'cuda']))
    .option('--modalities <list>', 'rgb, semseg or rgb,semseg (default: all of the encoder)', listOf(['rgb', 'semseg']))
    .option('--layer <block>', 'block whose tokens are taken, from 0 (default: the last)', integerFrom(0))
    .addOption(choice('--aggregation <how>', 'tokens -> one vector (default: concat-modalities)', AGGREGATIONS))
    .option('--batch <count>', 'samples per run of the encoder (default: 8)', integerFrom(1))
    .option('--cache <folder>', `embedding cache (default: ${cache})`);
}

/** What `selectOptions` adds. */
export interface SelectFlags {
  strategy?: Strategy;
  clusters?: number;
  fraction?: number;
  bins?: number;
  budget?: number | string;
  gain?: Gain;
  seed?: number;
  remainder?: Remainder;
  engine?: Engine;
  include?: string;
  exclude?: string;
}

export function selectOptions(command: Command): Command {
  return command
    .addOption(
      choice('--strategy <name>', 'how the coreset is chosen, see docs/strategies.md (default: bins)', STRATEGIES),
    )
    .option(
      '--clusters <count>',
      'of the strategy kmeans: number of clusters (default: a tenth of the budget)',
      integerFrom(1),
    )
    .option(
      '--fraction <number>',
      'of the strategy dbal: eps as a fraction of the usual distance between rows, above 0, at most 2 (default: 0.4)',
      fractionOf,
    )
    .option('--bins <count>', 'number of bins (default: 10)', integerFrom(1))
    .option(
      '--budget <amount>',
      'size of the coreset: a fraction (0.2), a percentage (20%) or a count (500) (default: 0.2)',
      budgetOf,
    )
    .addOption(choice('--gain <name>', 'what a bin maximises (default: sqeuclidean)', GAINS))
    .option('--seed <number>', 'seed of the draw (default: 0)', integerFrom(0))
    .addOption(
      choice('--remainder <how>', 'the last N mod bins rows: into the bins, or nowhere (default: spread)', REMAINDERS),
    )
    .addOption(choice('--engine <name>', 'how the bins are found; all give the same bins (default: auto)', ENGINES))
    .option('--include <ids>', 'ids that must be in the coreset: a list a,b,c or a file with one a line')
    .option('--exclude <ids>', 'ids that must not be in it: a list or a file');
}

function fractionOf(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 2)) throw new InvalidArgumentError('It must be a number > 0, at most 2.');
  return value;
}

/** ConfigError `ERR_FLAG_UNUSED` naming a flag that was given but that the strategy does not look at. */
export function checkStrategyFlags(flags: object, strategy: Strategy): void {
  for (const [flag, owner] of Object.entries(OF_STRATEGY)) {
    if (owner === strategy || (flags as Record<string, unknown>)[flag] === undefined) continue;
    throw new ConfigError(
      'ERR_FLAG_UNUSED',
      `\`--${flag}\` is of the strategy ${owner}, not of ${strategy}. Add \`--strategy ${owner}\`, or leave it out.`,
    );
  }
}

export function threadsOption(command: Command): Command {
  return command.option('--threads <count>', 'threads, 0 = all (default: 0)', integerFrom(0));
}

/** What `embeddingOptions` adds. */
export interface EmbeddingFlags {
  embeddings: string;
  name?: string | undefined;
  cols?: number | undefined;
  dtype?: ElementType | undefined;
  where?: string | undefined;
}

export function embeddingOptions(command: Command): Command {
  return command
    .option(
      '--embeddings <path>',
      'numbers [N, d] in .npy, .npz, .safetensors, .h5, .parquet, .arrow, .lance, .fvecs or raw, or several such files by a folder or a quoted pattern; see docs/formats.md',
    )
    .option(
      '--name <array>',
      'array of .npz, .safetensors or .h5, or column of a table; f* or x,y for a column a feature (default: the only one there may be)',
    )
    .option('--cols <count>', 'values in a row of raw embeddings (.f32, .bin, ...)', integerFrom(1))
    .addOption(choice('--dtype <name>', 'type of raw embeddings (default: float32)', ELEMENT_TYPES))
    .option('--where <sql>', 'of .parquet and .lance: only rows for which this is true, e.g. "split = \'train\'"');
}

/** What the flags of `embeddingOptions` say, for the library. */
export function embeddingFile({ embeddings, name, cols, dtype, where }: EmbeddingFlags): EmbeddingFile {
  return { path: embeddings, name, cols, dtype, where };
}
