/** The configuration of a whole run. */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { atLeast, type ConfigSource, checkAgainst, choice, group, type Problem, path } from './configFile.js';
import { type EngineDevice, isEngineDevice } from './device.js';
import { AGGREGATIONS } from './embed/aggregate.js';
import type { PresetName } from './models/presets.js';
import { presets } from './models/presets.js';
import { OF_REDUCTION, REDUCTIONS } from './reduce/reduce.js';
import { NEIGHBOUR_SEARCHES } from './reduce/umap.js';
import { ENGINES, GAINS, REMAINDERS } from './select/bins.js';
import { parseBudget } from './select/draw.js';
import { OF_STRATEGY, STRATEGIES } from './select/select.js';

const BUDGET = 'a fraction in (0, 1), a percentage like "20%" or a whole number of samples';
const FRACTION = 'a number > 0, at most 2';
const IDS = 'a list of ids (or of row numbers, where rows have no ids), or the path of a file with one a line';
const device = z.custom<EngineDevice>(isEngineDevice, 'auto, cpu, cuda or cuda:N');
const ids = z.union([path, z.array(z.union([z.string(), z.int().min(0)]))], IDS);

/** Whether some number of samples can have this budget; how many there are is not known yet. */
function isBudget(value: unknown): boolean {
  try {
    return parseBudget(value as number | string, Number.MAX_SAFE_INTEGER) > 0;
  } catch {
    return false;
  }
}

const schema = z.strictObject(
  {
    /** Where the samples come from: exactly one of `path` and `generate`. */
    data: z.strictObject(
      {
        /** A folder with `manifest.jsonl`, a CLEVR-style folder, or an NYU-Depth-v2 `.mat` file. */
        path: path.optional(),
        /** Renders CLEVR-like scenes, see `generateScenes`. */
        generate: z
          .strictObject(
            {
              scenes: atLeast(1).default(1000),
              /** Pixels. */
              size: atLeast(32).default(128),
              regime: choice(['uniform', 'logs']).default('logs'),
              seed: atLeast(0).default(0),
              /** `<out>/data` if not given. */
              folder: path.optional(),
            },
            group,
          )
          .optional(),
        /** The coreset is chosen from this split; `all` = from all samples. */
        split: z.string('the name of a split').min(1, 'the name of a split').default('train'),
      },
      group,
    ),
    encoder: z
      .strictObject(
        {
          /** `tiny` where neither `preset` nor `weights` nor `model` is given. */
          preset: choice(Object.keys(presets) as PresetName[]).optional(),
          /** `.pth` or `.safetensors`; those of this package for `tiny`, else seeded random weights, without. */
          weights: path.optional(),
          /** `model.json`, for shapes that are no preset. */
          model: path.optional(),
          /** Takes seeded random weights where there are no others to take. */
          seed: atLeast(0).optional(),
          device: choice(['auto', 'cpu', 'cuda']).default('auto'),
        },
        group,
      )
      .prefault({}),
    embed: z
      .strictObject(
        {
          aggregation: choice(AGGREGATIONS).default('concat-modalities'),
          /** All that the encoder has if not given. */
          modalities: z
            .array(choice(['rgb', 'semseg']), 'a list of rgb and semseg')
            .min(1, 'a list with at least one modality')
            .optional(),
          /** Block whose tokens are taken, 0-based; the last if not given. */
          layer: atLeast(0).optional(),
          /** Samples per run of the encoder. */
          batch: atLeast(1).default(8),
          /** `<out>/cache` if not given. Several runs can share one. */
          cache: path.optional(),
        },
        group,
      )
      .prefault({}),
    reduce: z
      .strictObject(
        {
          method: choice(REDUCTIONS).default('pca'),
          /** Of `pca` and `umap`; 64 if not given. */
          dims: atLeast(1).optional(),
          /** Of `umap`; see `UmapOptions` for what is meant where they are not given. */
          neighbours: atLeast(2).optional(),
          neighbourSearch: choice(NEIGHBOUR_SEARCHES).optional(),
          minDist: z.number('a number in 0..1').min(0, 'a number in 0..1').max(1, 'a number in 0..1').optional(),
          epochs: atLeast(1).optional(),
          /** Of `pca` and `umap`; 0 and `auto` if not given. */
          seed: atLeast(0).optional(),
          device: device.optional(),
        },
        group,
      )
      .prefault({}),
    select: z
      .strictObject(
        {
          /** `round-robin` needs groups, which only `select` can be given. */
          strategy: choice(STRATEGIES.filter((name) => name !== 'round-robin')).default('bins'),
          /** Of `kmeans`; a tenth of the budget if not given. */
          clusters: atLeast(1).optional(),
          /** Of `dbal`; 0.4 if not given. */
          fraction: z.number(FRACTION).gt(0, FRACTION).max(2, FRACTION).optional(),
          /** Of `bins`; 10 if not given. */
          bins: atLeast(1).optional(),
          /** Of `bins`; `sqeuclidean` if not given. */
          gain: choice(GAINS).optional(),
          /** See `parseBudget`. */
          budget: z.custom<number | string>(isBudget, BUDGET).default(0.2),
          /** Of the draw. */
          seed: atLeast(0).default(0),
          /** Of `bins`; `spread` if not given. */
          remainder: choice(REMAINDERS).optional(),
          /** Of `bins`; `auto` if not given. */
          engine: choice(ENGINES).optional(),
          device: device.default('auto'),
          include: ids.optional(),
          exclude: ids.optional(),
        },
        group,
      )
      .prefault({}),
    /** Threads of every stage, 0 = all. */
    threads: atLeast(0).default(0),
    /** Output folder. `coregain-out` in the current folder if not given. */
    out: path.optional(),
  },
  group,
);

/** What a person writes: everything but `data` may be left out. */
export type RunConfigInput = z.input<typeof schema>;

/** A whole configuration: defaults filled in, paths absolute. */
export type RunConfig = z.output<typeof schema> & { out: string };

/** What `coregain run` does when nothing is said: a demonstration that needs no download. */
export const demoConfig: RunConfigInput = { data: { generate: {} } };

/**
 * Checks a configuration, fills in defaults and makes paths absolute (relative to `source.folder`).
 * @throws {ConfigError} `ERR_CONFIG` naming the file, the line and every bad key.
 */
export function checkConfig(value: RunConfigInput | RunConfig, source?: Omit<ConfigSource, 'value'>): RunConfig {
  return withPaths(checkAgainst(schema, value, source, conflicts), source?.folder ?? '.');
}

/** What is meant by keys of `bins` that are not given. */
const BINS = { bins: 10, gain: 'sqeuclidean', remainder: 'spread', engine: 'auto' } as const;

function conflicts({ data, encoder, reduce, select }: z.output<typeof schema>): Problem[] {
  const found: Problem[] = [];
  if (data.path !== undefined && data.generate) {
    found.push({ key: ['data', 'generate'], sentence: '`data` has both `path` and `generate`. Take one of them out.' });
  }
  if (data.path === undefined && !data.generate) {
    found.push({
      key: ['data'],
      sentence: '`data` has neither `path` nor `generate`. Give the path of a data set, or what to generate.',
    });
  }
  if (encoder.preset && encoder.model) {
    found.push({
      key: ['encoder', 'model'],
      sentence: '`encoder` has both `preset` and `model`. Take one of them out.',
    });
  }
  return [
    ...found,
    ...ofOthers(reduce, OF_REDUCTION, ['reduce', 'method'], reduce.method),
    ...ofOthers(select, OF_STRATEGY, ['select', 'strategy'], select.strategy),
  ];
}

/** Keys of a group that the chosen strategy or method does not look at. */
function ofOthers(
  given: object,
  owners: Readonly<Record<string, string | readonly string[]>>,
  [group, choosing]: readonly [string, string],
  chosen: string,
): Problem[] {
  return Object.entries(given).flatMap(([key, value]) => {
    const of = [owners[key] ?? chosen].flat();
    if (value === undefined || of.includes(chosen)) return [];
    const cure = `Take it out, or set \`${group}.${choosing}\` to ${of.join(' or ')}.`;
    return [
      {
        key: [group, key],
        sentence: `\`${group}.${key}\` is of the ${choosing} ${of.join(' and ')}, not of ${chosen}. ${cure}`,
      },
    ];
  });
}

function withPaths(config: z.output<typeof schema>, folder: string): RunConfig {
  const { data, encoder, embed, reduce, select } = config;
  const out = config.out === undefined ? resolve('coregain-out') : resolve(folder, config.out);
  const absolute = <K extends string>(key: K, value: string | undefined) =>
    (value === undefined ? {} : { [key]: resolve(folder, value) }) as { [key in K]?: string };
  const list = <K extends string, T>(key: K, value: T | string | undefined) =>
    typeof value === 'string' ? absolute(key, value) : {};
  return {
    ...config,
    data: {
      ...data,
      ...absolute('path', data.path),
      ...(data.generate && {
        generate: { ...data.generate, folder: resolve(folder, data.generate.folder ?? join(out, 'data')) },
      }),
    },
    encoder: { ...encoder, ...absolute('weights', encoder.weights), ...absolute('model', encoder.model) },
    embed: { ...embed, cache: resolve(folder, embed.cache ?? join(out, 'cache')) },
    reduce: { ...(reduce.method !== 'none' && { dims: 64 }), ...reduce },
    select: {
      ...(select.strategy === 'bins' && BINS),
      ...select,
      ...list('include', select.include),
      ...list('exclude', select.exclude),
    },
    out,
  };
}
