/**
 * The process of one measurement of an engine, so that its peak memory is that run's alone:
 *
 *     node runEngine.js '<EngineTask as JSON>'
 *
 * writes the order (int64) and prints an `EngineRun`.
 */
import { readFileSync } from 'node:fs';
import { writeNpy } from '../formats/npy.js';
import { readEmbeddings } from '../formats/open.js';
import { native } from '../native.js';
import { type Engine, type PartitionOptions, partition } from '../select/bins.js';
import type { Gain } from '../select/types.js';
import { answer } from './child.js';
import { sweepShare } from './statistics.js';
import type { Run } from './types.js';

export interface EngineTask {
  readonly input: string;
  /** Where the order goes. */
  readonly order: string;
  readonly engine: Engine;
  readonly bins: number;
  readonly gain: Gain;
  readonly threads: number;
  readonly limitSeconds: number;
  /** What to do with a sweep that would take longer than the limit. `always`: time a prefix whatever it would take. */
  readonly prefix: 'never' | 'beyondLimit' | 'always';
}

export type EngineRun = Omit<Run, 'orderHash'>;

const task = JSON.parse(process.argv[2]!) as EngineTask;
await answer(measure);

interface Prefix {
  steps: number;
  seconds: number;
  cpuSeconds: number;
}

async function measure(): Promise<EngineRun> {
  native();
  const baselineBytes = process.memoryUsage.rss();
  const matrix = await readEmbeddings(task.input);
  const points = matrix.rows - (matrix.rows % task.bins);
  const stop = new AbortController();
  const elapsed = clock();

  let first: Prefix | undefined;
  /** What comes before the first steps happens once; from there on steps go on at their pace. */
  const wholeOf = (now: Prefix): { seconds: number; cpuSeconds: number } => {
    const [before, after] = [first!, now].map(({ steps }) => sweepShare(matrix.rows, points, steps)) as [
      number,
      number,
    ];
    const pace = (1 - before) / (after - before);
    const { seconds, cpuSeconds } = first!;
    return {
      seconds: seconds + (now.seconds - seconds) * pace,
      cpuSeconds: cpuSeconds + (now.cpuSeconds - cpuSeconds) * pace,
    };
  };
  /** Half of the limit tells how long the whole takes; whoever reaches the limit all the same is stopped there. */
  const stopEarly = (steps: number) => {
    const [seconds, cpuSeconds] = elapsed();
    const now: Prefix = { steps, seconds, cpuSeconds };
    if (steps === 0 || steps === points || stop.signal.aborted) return;
    first ??= now;
    if (steps === first.steps || seconds - first.seconds < task.limitSeconds / 2) return;
    if (task.prefix === 'always' || Math.max(wholeOf(now).seconds, seconds) > task.limitSeconds) stop.abort(now);
  };

  const options: PartitionOptions = {
    bins: task.bins,
    gain: task.gain,
    // The baselines know no other, and every contestant has to do the same work.
    remainder: 'drop',
    threads: task.threads,
    engine: task.engine,
    signal: stop.signal,
    ...(task.prefix !== 'never' && { onProgress: ({ done }) => stopEarly(done) }),
  };
  try {
    const { order, engine } = await partition(matrix, options);
    const [seconds, cpuSeconds] = elapsed();
    const peakBytes = peak();
    await writeNpy(task.order, { data: BigInt64Array.from(order, BigInt), shape: [order.length] });
    return { seconds, cpuSeconds, peakBytes, baselineBytes, engine };
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    const now = stop.signal.reason as Prefix;
    const { seconds, steps } = now;
    return { ...wholeOf(now), peakBytes: peak(), baselineBytes, extrapolated: { seconds, steps } };
  }
}

/** Wall and processor seconds since now. */
function clock(): () => [seconds: number, cpuSeconds: number] {
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  return () => {
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(cpuBefore);
    return [seconds, (user + system) / 1e6];
  };
}

/** Linux counts the parent's memory before exec into `maxRSS`, but not into VmHWM. */
function peak(): number {
  try {
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]);
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}
