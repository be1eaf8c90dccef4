/** Where a selection came from and what it cost: `run.json`. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import { filesOf } from '../formats/open.js';
import { native } from '../native.js';
import { version } from '../version.js';
import type { Selection } from './types.js';

/** What only the caller knows. */
export interface RunInput {
  /** Everything that was asked for, defaults filled in. */
  readonly config: object;
  readonly selection: Selection;
  /** Wall-clock seconds of each stage, in the order in which they ran. */
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
  /** Files that the result depends on: embeddings (also by a folder or a pattern), weights, lists of ids, ... */
  readonly inputs: readonly string[];
  /** Sentences about what came out otherwise than asked for. */
  readonly notes?: readonly string[] | undefined;
}

export interface FileFact {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Content of `run.json`. */
export interface RunRecord {
  readonly config: object;
  readonly stages: readonly { readonly name: string; readonly seconds: number }[];
  /** ISO 8601, when the record was made. */
  readonly finished: string;
  readonly seed: number;
  /** N, the chosen rows, and m. */
  readonly counts: { readonly rows: number; readonly chosen: number; readonly bins: number };
  readonly engine: Selection['partition']['engine'];
  readonly versions: { readonly coregain: string; readonly node: string; readonly onnxruntime: string };
  readonly machine: {
    readonly platform: string;
    readonly processor: string;
    readonly threads: number;
    /** SIMD levels that the addon could use here, best first. */
    readonly simd: readonly string[];
  };
  readonly inputs: readonly FileFact[];
  /** Largest resident memory of this process so far. */
  readonly peakMemoryBytes: number;
  readonly notes: readonly string[];
  /** Whatever else is worth keeping. */
  readonly [fact: string]: unknown;
}

const require = createRequire(import.meta.url);

/**
 * Collects the facts, reading every input once for its hash.
 * @throws {DataError} `ERR_FILE_UNREADABLE` naming an input that cannot be read; rejects with `signal.reason` when aborted.
 */
export async function runRecord(
  { config, selection, stages, inputs, notes = [] }: RunInput,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<RunRecord> {
  const { partition, rows, seed } = selection;
  const hashed: FileFact[] = [];
  for (const input of inputs) {
    for (const path of await filesOf(input)) hashed.push(await hashFile(path, options.signal));
  }
  return {
    config,
    stages,
    finished: new Date().toISOString(),
    seed,
    counts: { rows: partition.bins.length, chosen: rows.length, bins: partition.binCount },
    engine: partition.engine,
    versions: {
      coregain: version,
      node: process.versions.node,
      onnxruntime: (require('onnxruntime-node/package.json') as { version: string }).version,
    },
    machine: {
      platform: `${process.platform} ${process.arch}`,
      processor: cpus()[0]?.model.trim() ?? 'unknown',
      threads: availableParallelism(),
      simd: native().cpu().available,
    },
    inputs: hashed,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    notes,
  };
}

/** Size and sha256 of a file, in constant memory. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<FileFact> {
  signal?.throwIfAborted();
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    await pipeline(
      createReadStream(path, { highWaterMark: 1 << 20 }),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          hash.update(chunk);
          bytes += chunk.length;
        }
      },
      { signal },
    );
  } catch (cause) {
    signal?.throwIfAborted();
    const message = `${path} cannot be read: ${(cause as Error).message}. Its hash belongs into run.json.`;
    throw new DataError('ERR_FILE_UNREADABLE', message, { cause });
  }
  return { path, bytes, sha256: hash.digest('hex') };
}

/** Writes `run.json` into a folder whose other files are all there, atomically. Returns its path. */
export async function writeRun(folder: string, record: RunRecord): Promise<string> {
  const path = join(folder, 'run.json');
  await writeFileAtomically(path, `${JSON.stringify(record, null, 2)}\n`);
  return path;
}
