/** One measurement: a process that partitions a file, and the order that it wrote. */
import { createHash } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readNpyHeader } from '../formats/npy.js';
import { runChild } from './child.js';
import type { InputTask } from './makeInput.js';
import type { Plan } from './plan.js';
import type { EngineRun, EngineTask } from './runEngine.js';
import type { Cell, Contestant, Kind, Run } from './types.js';

/** What to do with a contestant that would take longer than the limit; see `EngineTask`. */
export type Prefix = EngineTask['prefix'];

export interface Measured {
  readonly run: Run;
  /** int64 [n]; absent where the run did not end. */
  readonly order?: BigInt64Array;
}

/** Makes the input of a cell, then measures contestants on it one at a time. */
export interface Bed {
  prepare(cell: Cell, signal?: AbortSignal): Promise<void>;
  measure(contestant: Contestant, prefix: Prefix, signal?: AbortSignal): Promise<Measured>;
}

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const BASELINES_PY = script('../../bench/baselines.py');

/** Measures in child processes, with files in `folder`. */
export function childProcesses(plan: Plan, folder: string): Bed {
  const input = join(folder, 'X.npy');
  const orderPath = join(folder, 'order.npy');
  const { bins, gain, limitSeconds } = plan;

  return {
    async prepare({ kind, cols, rows }, signal) {
      const task: InputTask =
        plan.embeddings === undefined
          ? { path: input, rows, cols, kind: kind as Kind, seed: plan.seed }
          : { path: input, rows, from: plan.embeddings };
      await runChild(process.execPath, [script('makeInput.js'), JSON.stringify(task)], { signal });
    },

    async measure({ name, threads }, prefix, signal) {
      let run: EngineRun;
      if (name === 'numpy' || name === 'paper') {
        const args = [name, input, String(bins), orderPath, gain, String(limitSeconds), prefix];
        run = await runChild(plan.python, [BASELINES_PY, ...args], { env: withThreads(threads), signal });
      } else {
        const limited = name === 'sweep' ? prefix : 'never';
        const task: EngineTask = {
          ...{ input, order: orderPath, engine: name, bins, gain, threads, limitSeconds },
          prefix: limited,
        };
        run = await runChild(process.execPath, [script('runEngine.js'), JSON.stringify(task)], { signal });
      }
      if (run.extrapolated) return { run };
      const { dataOffset } = await readNpyHeader(orderPath);
      // A copy, because the values in the file may not start at a multiple of eight.
      const bytes = new Uint8Array((await readFile(orderPath)).subarray(dataOffset));
      await rm(orderPath);
      const orderHash = createHash('sha256').update(bytes).digest('hex');
      return { run: { ...run, orderHash }, order: new BigInt64Array(bytes.buffer) };
    },
  };
}

function withThreads(threads: number): NodeJS.ProcessEnv {
  const names = ['OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS'];
  return { ...process.env, ...Object.fromEntries(names.map((name) => [name, String(threads)])) };
}
