/** The engines beside what one would use instead, on this machine and, if wanted, on the user's own embeddings. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { writeFileAtomically } from '../files.js';
import { openNpy } from '../formats/npy.js';
import { version } from '../version.js';
import { runChild } from './child.js';
import { describeCommit, describeMachine } from './machine.js';
import { childProcesses } from './measure.js';
import { benchPage } from './page.js';
import { type BenchOptions, type Plan, planBench } from './plan.js';
import { measureAll } from './schedule.js';
import { exponents, summarize } from './summarize.js';
import type { BenchReport } from './types.js';

/**
 * Measures full partitions into bins: every engine and baseline, kind of embeddings, d, N and number of threads. Each
 * measurement is a process of its own; never two at once. What the figures mean: docs/benchmark.md.
 *
 * @throws {ConfigError}, {TypeError} or {RangeError} for bad options, {DataError} for a bad file, {CoregainError}
 * `ERR_ORDERS_DIFFER` if two engines disagree; rejects with `signal.reason` when aborted, with all processes ended.
 */
export async function bench(options: BenchOptions = {}): Promise<BenchReport> {
  const plan = await planBench(options);
  const { signal } = options;
  const date = new Date().toISOString();
  const { contestants, missing } = await withoutMissingBaselines(plan, signal);
  const machine = await describeMachine([...new Set(plan.contestants.map(({ threads }) => threads))], signal);
  const folder = await mkdtemp(join(tmpdir(), 'coregain-bench-'));
  try {
    const bed = childProcesses(plan, folder);
    const { all, notes, failures } = await measureAll({ ...plan, contestants }, bed, options);
    const results = summarize(all, { machine, bins: plan.bins, bytesPerValue: await bytesPerValue(plan) });
    const { embeddings, bins, gain, repeats, limitSeconds, seed } = plan;
    return {
      format: 'coregain-bench',
      formatVersion: 1,
      date,
      version,
      ...(await describeCommit()),
      machine,
      settings: {
        ...(embeddings !== undefined && { embeddings: resolve(embeddings) }),
        ...{ bins, gain, repeats, limitSeconds, seed },
      },
      results,
      exponents: exponents(results),
      notes: [...missing, ...notes],
      failures,
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes bench.json and bench.html into a folder, each whole or not at all. */
export async function writeBench(report: BenchReport, out: string): Promise<{ json: string; html: string }> {
  const files = { json: join(out, 'bench.json'), html: join(out, 'bench.html') };
  await writeFileAtomically(files.json, `${JSON.stringify(report, null, 1)}\n`);
  await writeFileAtomically(files.html, benchPage(report));
  return files;
}

async function withoutMissingBaselines(
  { contestants, python }: Plan,
  signal: AbortSignal | undefined,
): Promise<{ contestants: Plan['contestants']; missing: string[] }> {
  const baselines = contestants.filter(({ name }) => name === 'numpy' || name === 'paper');
  if (baselines.length === 0) return { contestants, missing: [] };
  try {
    await runChild(python, ['-c', 'import numpy, resource; print("{}")'], { signal });
    return { contestants, missing: [] };
  } catch (error) {
    signal?.throwIfAborted();
    const names = [...new Set(baselines.map(({ name }) => name))].join(' and ');
    const why = (error as Error).message.includes('could not be started') ? 'cannot be started' : 'cannot import numpy';
    return {
      contestants: contestants.filter((contestant) => !baselines.includes(contestant)),
      missing: [`Not run: ${names}, because ${python} ${why}. Name a Python that has numpy with --python.`],
    };
  }
}

async function bytesPerValue({ embeddings }: Plan): Promise<number> {
  if (embeddings === undefined) return 4;
  const npy = await openNpy({ path: embeddings });
  await npy.close();
  return npy.dtype === 'float32' ? 4 : 8;
}
