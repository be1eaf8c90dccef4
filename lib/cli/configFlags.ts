import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { readIdList } from '../idList.js';
import { OF_REDUCTION } from '../reduce/reduce.js';
import { OF_STRATEGY } from '../select/select.js';

/** Flags and the keys of the configuration that say the same. Their paths start at the current folder. */
const KEYS: Record<string, readonly string[]> = {
  data: ['data', 'path'],
  split: ['data', 'split'],
  scenes: ['data', 'generate', 'scenes'],
  size: ['data', 'generate', 'size'],
  regime: ['data', 'generate', 'regime'],
  preset: ['encoder', 'preset'],
  weights: ['encoder', 'weights'],
  model: ['encoder', 'model'],
  device: ['encoder', 'device'],
  aggregation: ['embed', 'aggregation'],
  modalities: ['embed', 'modalities'],
  layer: ['embed', 'layer'],
  batch: ['embed', 'batch'],
  cache: ['embed', 'cache'],
  reduce: ['reduce', 'method'],
  dims: ['reduce', 'dims'],
  strategy: ['select', 'strategy'],
  clusters: ['select', 'clusters'],
  fraction: ['select', 'fraction'],
  bins: ['select', 'bins'],
  gain: ['select', 'gain'],
  budget: ['select', 'budget'],
  seed: ['select', 'seed'],
  remainder: ['select', 'remainder'],
  engine: ['select', 'engine'],
  include: ['select', 'include'],
  exclude: ['select', 'exclude'],
  threads: ['threads'],
  out: ['out'],
};
const PATHS = new Set(['data', 'weights', 'model', 'cache', 'out']);
const ID_LISTS = new Set(['include', 'exclude']);
/** What a flag takes the place of; of another strategy or method, what the one before it alone looks at. */
const REPLACED: Record<string, (value: string) => readonly (readonly string[])[]> = {
  data: () => [['data', 'generate']],
  preset: () => [['encoder', 'model']],
  model: () => [['encoder', 'preset']],
  strategy: (value) => othersOf(OF_STRATEGY, value).map((key) => ['select', key]),
  reduce: (value) => othersOf(OF_REDUCTION, value).map((key) => ['reduce', key]),
};

function othersOf(owners: Readonly<Record<string, string | readonly string[]>>, chosen: string): string[] {
  return Object.keys(owners).filter((key) => ![owners[key]!].flat().includes(chosen));
}

/** A configuration, not yet checked, with flags laid over it: what was typed wins. `base` is not changed. */
export async function withFlags(base: unknown, flags: object): Promise<unknown> {
  const config: unknown = structuredClone(base);
  const given = Object.entries(flags).filter(([, value]) => value !== undefined);
  for (const [flag, value] of given) {
    for (const replaced of REPLACED[flag]?.(value) ?? []) put(config, replaced, undefined);
  }
  for (const [flag, value] of given) {
    const key = KEYS[flag];
    if (!key) continue;
    if (PATHS.has(flag)) put(config, key, resolve(value));
    else if (ID_LISTS.has(flag)) put(config, key, await idsOf(value));
    else put(config, key, value);
  }
  return config;
}

/** Ids as they are typed: `a,b,c`, or the path of a file with one a line. */
export async function idsOf(text: string): Promise<string[]> {
  return existsSync(text) ? readIdList(text) : text.split(',').map((id) => id.trim());
}

/** Sets a key, or takes it out; groups on the way are made. What is no group is left for the check to complain of. */
function put(target: unknown, [key, ...rest]: readonly string[], value: unknown): void {
  if (typeof target !== 'object' || target === null || key === undefined) return;
  const group = target as Record<string, unknown>;
  if (rest.length === 0) {
    if (value === undefined) delete group[key];
    else group[key] = value;
    return;
  }
  if (value === undefined && group[key] === undefined) return;
  group[key] ??= {};
  put(group[key], rest, value);
}
