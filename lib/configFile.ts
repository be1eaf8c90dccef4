/** Configuration files: reading them, checking them against a schema, and saying where a mistake stands. */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { ConfigError } from './errors.js';

/** Every message is what the value must be; `problems` puts the key before and the value behind it. */
export const atLeast = (min: number, what = `an integer >= ${min}`) => z.int(what).min(min, what);
export const choice = <const T extends string>(values: readonly T[]) => z.enum(values, `one of ${values.join(', ')}`);
export const path = z.string('a path').min(1, 'a path');
export const group = 'a group of keys';

/** A value to be checked, and how to say where in its file a key stands. */
export interface ConfigSource {
  readonly value: unknown;
  /** Name for messages. */
  readonly name: string;
  /** Relative paths start here. */
  readonly folder: string;
  lineOf(key: readonly PropertyKey[]): number | undefined;
}

export interface Problem {
  key: readonly PropertyKey[];
  sentence: string;
}

/**
 * Checks `value` against a schema and for what no schema can say.
 * @throws {ConfigError} `ERR_CONFIG` naming the file, the line and every bad key.
 */
export function checkAgainst<Schema extends z.ZodObject>(
  schema: Schema,
  value: unknown,
  source: Omit<ConfigSource, 'value'> | undefined,
  conflicts: (parsed: z.output<Schema>) => Problem[],
): z.output<Schema> {
  const { name, lineOf } = source ?? { name: 'The configuration', lineOf: () => undefined };
  const parsed = schema.safeParse(value);
  const found = parsed.success
    ? conflicts(parsed.data)
    : parsed.error.issues.flatMap((issue) => problems(schema, issue, value));
  if (found.length > 0 || !parsed.success) {
    const text = found.map(({ key, sentence }) => {
      const line = lineOf(key);
      return `${line === undefined ? name : `${name}:${line}`}: ${sentence}`;
    });
    throw new ConfigError('ERR_CONFIG', text.join('\n'));
  }
  return parsed.data;
}

/**
 * Reads a YAML or JSON file for the check of a configuration.
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

/** One sentence a problem, with the key's full path. */
function problems(schema: z.ZodObject, issue: z.core.$ZodIssue, root: unknown): Problem[] {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path);
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
function keysAt(schema: z.ZodObject, path: readonly PropertyKey[]): string[] {
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
