/** Finished runs on disk, by the hash of everything that they depend on. */
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { claimFolder } from '../alone.js';
import { DataError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import type { Execution } from '../onnx/placement.js';
import type { CurvePoint } from './types.js';

/** What a training run measured; whose arm it belongs to is not part of it, so arms that choose the same rows share it. */
export interface Measured {
  readonly key: string;
  readonly samples: number;
  readonly steps: number;
  readonly seconds: number;
  readonly curve: readonly CurvePoint[];
  readonly best: number;
  readonly perImage: readonly number[];
  readonly subsetLoss?: number | undefined;
  readonly poolLoss?: number | undefined;
  readonly execution?: Execution | undefined;
}

export interface RunStore {
  /** Folder of one run. */
  folderOf(key: string): string;
  /** The finished run, or undefined where there is none or its record is damaged. */
  find(key: string): Promise<Measured | undefined>;
  /** Takes a run for this process and returns the function that gives it back; undefined where another live process has it. */
  claim(key: string): Promise<(() => Promise<void>) | undefined>;
  put(run: Measured): Promise<void>;
  /** Records that were there but could not be used: these runs are computed anew. */
  readonly damaged: ReadonlySet<string>;
}

/** Runs in `<folder>/<key>/run.json`. */
export function openRunStore(folder: string): RunStore {
  const folderOf = (key: string) => join(folder, key.slice(0, 32));
  const damaged = new Set<string>();
  return {
    folderOf,
    damaged,
    async find(key) {
      const file = join(folderOf(key), 'run.json');
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw new DataError('ERR_FILE_UNREADABLE', `${file} cannot be read: ${error.message}.`, { cause: error });
      });
      if (text === undefined) return undefined;
      const run = parse(text);
      if (run?.key === key && run.curve.length > 0) return run;
      damaged.add(file);
      return undefined;
    },
    claim: (key) => claimFolder(folderOf(key)),
    async put(run) {
      await mkdir(folderOf(run.key), { recursive: true });
      await writeFileAtomically(join(folderOf(run.key), 'run.json'), `${JSON.stringify(run)}\n`);
    },
  };
}

function parse(text: string): Measured | undefined {
  try {
    const run = JSON.parse(text);
    return Array.isArray(run?.curve) && Array.isArray(run.perImage) ? run : undefined;
  } catch {
    return undefined;
  }
}

/** sha256 of a JSON value; the order of keys does not matter. */
export function keyOf(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical)}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`)}}`;
}
