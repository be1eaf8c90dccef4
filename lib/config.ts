/** The configuration of a whole run: its schema, and how it is read from a YAML or JSON file. */
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { AGGREGATIONS } from './embed/aggregate.js';
import { ConfigError } from './errors.js';
import type { PresetName } from './models/presets.js';
import { presets } from './models/presets.js';
import { REDUCTIONS } from './reduce/reduce.js';
import { ENGINES, GAINS, REMAINDERS } from './select/bins.js';
import { parseBudget } from './select/draw.js';
import { STRATEGIES } from './select/select.js';

/** Every message is what the value must be; `problems` puts the key before and the value behind it. */
const atLeast = (min: number, what = `an integer >= ${min}`) => z.int(what).min(min, what);
const choice = <const T extends string>(values: readonly T[]) => z.enum(values, `one of ${values.join(', ')}`);
const path = z.string('a path').min(1, 'a path');
const group = 'a group of keys';

const BUDGET = 'a fraction in (0, 1), a percentage like "20%" or a whole number of samples';
const IDS = 'a list of ids (or of row numbers, where rows have no ids), or the path of a file with one a line';
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
          /** `.pth` or `.safetensors`; seeded random weights without. */
          weights: path.optional(),
          /** `model.json`, for shapes that are no preset. */
          model: path.optional(),
          /** Of the random weights. */
          seed: atLeast(0).default(0),
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
      .strictObject({ method: choice(REDUCTIONS).default('pca'), dims: atLeast(1).default(64) }, group)
      .prefault({}),
    select: z
      .strictObject(
        {
          /** `round-robin` needs groups, which only `select` can be given. */
          strategy: choice(STRATEGIES.filter((name) => name !== 'round-robin')).default('bins'),
          /** Of `kmeans`; a tenth of the budget if not given. */
          clusters: atLeast(1).optional(),
          bins: atLeast(1).default(10),
          gain: choice(GAINS).default('sqeuclidean'),
          /** See `parseBudget`. */
          budget: z.custom<number | string>(isBudget, BUDGET).default(0.2),
          /** Of the draw. */
          seed: atLeast(0).default(0),
          remainder: choice(REMAINDERS).default('spread'),
          engine: choice(ENGINES).default('auto'),
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

/** A value to be checked, and how to say where in its file a key stands. */
export interface ConfigSource {
  readonly value: unknown;
  /** Name for messages. */
  readonly name: string;
  /** Relative paths start here. */
  readonly folder: string;
  lineOf(key: readonly PropertyKey[]): number | undefined;
}

/**
 * Checks a configuration, fills in defaults and makes paths absolute (relative to `source.folder`).
 * @throws {ConfigError} `ERR_CONFIG` naming the file, the line and every bad key.
 */
export function checkConfig(value: RunConfigInput | RunConfig, source?: Omit<ConfigSource, 'value'>): RunConfig {
  const { name, folder, lineOf } = source ?? { name: 'The configuration', folder: '.', lineOf: () => undefined };
  const parsed = schema.safeParse(value);
  const found = parsed.success
    ? conflicts(parsed.data)
    : parsed.error.issues.flatMap((issue) => problems(issue, value));
  if (found.length > 0 || !parsed.success) {
    const text = found.map(({ key, sentence }) => {
      const line = lineOf(key);
      return `${line === undefined ? name : `${name}:${line}`}: ${sentence}`;
    });
    throw new ConfigError('ERR_CONFIG', text.join('\n'));
  }
  return withPaths(parsed.data, folder);
}

/**
 * Reads a YAML or JSON file for `checkConfig`.
 * @throws {ConfigError} `ERR_CONFIG` where it cannot be read or parsed.
 */
export async function readConfig(file: string): Promise<ConfigSource> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('ERR_CONFIG', `${file} cannot be read: ${(cause as Error).message}.`, { cause });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken) throw new ConfigError('ERR_CONFIG', `${file} is neither YAML nor JSON: ${broken.message}`);
  return {
    value: document.toJS(),
    name: file,
    folder: dirname(file),
    lineOf(key) {
      // A key that is missing is searched for in the group that should have it.
      for (let length = key.length; length > 0; length--) {
        const node = document.getIn(key.slice(0, length), true) as { range?: [number, number, number] } | undefined;
        if (node?.range) return lines.linePos(node.range[0]).line;
      }
      return undefined;
    },
  };
}

interface Problem {
  key: readonly PropertyKey[];
  sentence: string;
}

function conflicts({ data, encoder }: z.output<typeof schema>): Problem[] {
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
  return found;
}

/** One sentence a problem, with the key's full path. */
function problems(issue: z.core.$ZodIssue, root: unknown): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(issue.path);
    return issue.keys.map((key) => {
      const full = [...issue.path, key];
      const near = nearest(key, known);
      const cure = near ? `Did you mean \`${near}\`?` : `Known here: ${known.join(', ')}.`;
      return { key: full, sentence: `\`${full.join('.')}\` is not a key of the configuration. ${cure}` };
    });
  }
  const actual = issue.path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown>)?.[key], root);
  const name = issue.path.length > 0 ? `\`${issue.path.join('.')}\`` : 'The configuration';
  const but = actual === undefined ? 'it is missing' : `it is ${JSON.stringify(actual)}`;
  return [{ key: issue.path, sentence: `${name} must be ${issue.message}, but ${but}.` }];
}

/** Keys that the schema has at a path. */
function keysAt(path: readonly PropertyKey[]): string[] {
  let at: unknown = schema;
  for (const key of path) at = bare((bare(at) as z.ZodObject).shape[String(key)]);
  return Object.keys((bare(at) as z.ZodObject).shape);
}

/** A schema without its `optional` and `prefault` wrappers. */
function bare(wrapped: unknown): unknown {
  const inner = (wrapped as { def?: { innerType?: unknown } }).def?.innerType;
  return inner ? bare(inner) : wrapped;
}

/** The known key that a misspelt one probably means. */
function nearest(key: string, known: readonly string[]): string | undefined {
  const scored = known.map((name) => ({ name, distance: editDistance(key.toLowerCase(), name) }));
  const best = scored.sort((a, b) => a.distance - b.distance)[0];
  return best && best.distance <= Math.max(2, Math.floor(best.name.length / 3)) ? best.name : undefined;
}

/** Levenshtein distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function withPaths(config: z.output<typeof schema>, folder: string): RunConfig {
  const { data, encoder, embed, select } = config;
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
    select: { ...select, ...list('include', select.include), ...list('exclude', select.exclude) },
    out,
  };
}
