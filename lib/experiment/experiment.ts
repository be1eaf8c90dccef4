/** The paper's experiment: train on the full data, on coresets and on random subsets, and say what each keeps. */
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.js';
import { readModelConfig } from '../models/modelJson.js';
import { type EncoderOptions, openEncoder, openEncoderWeights } from '../models/openEncoder.js';
import type { JobOptions } from '../progress.js';
import { version } from '../version.js';
import { compareArms } from './compare.js';
import type { ExperimentConfig } from './config.js';
import { type Cell, experimentArms, experimentCells, stepsOf } from './grid.js';
import { type Draw, openDraw } from './openDraw.js';
import { type Measured, openRunStore, type RunStore } from './runStore.js';
import { type Subsets, subsetsOf } from './subsets.js';
import { runKey, trainRun } from './trainRun.js';
import type { ExperimentSummary, RunResult } from './types.js';

export interface ExperimentOptions extends JobOptions {
  /** Called with every draw before it is closed, when its runs are finished. */
  onDraw?: ((draw: FinishedDraw) => Promise<void>) | undefined;
}

/** A draw whose runs are finished: what a report may want to show of it. */
export interface FinishedDraw {
  readonly draw: Draw;
  readonly subsets: Subsets;
  readonly store: RunStore;
  readonly runs: readonly { readonly cell: Cell; readonly rows: Int32Array; readonly run: Measured }[];
}

/**
 * Runs the grid of a configuration, draw by draw, and compares its arms with random subsets. Finished runs are found
 * again in `<out>/runs`, also by experiments of other configurations; an unfinished one goes on from its last checkpoint.
 * Writes `experiment.json` last.
 *
 * @throws what data, encoder, selection and training throw; rejects with `signal.reason` when aborted.
 */
export async function experiment(
  config: ExperimentConfig,
  options: ExperimentOptions = {},
): Promise<ExperimentSummary> {
  const { onDraw, ...job } = options;
  const started = new Date();
  const store = openRunStore(join(config.out, 'runs'));
  const cells = experimentCells(config);
  const encoderOptions = await encoderOptionsOf(config);
  const weights = await openEncoderWeights(encoderOptions);
  const encoder = await openEncoder({ ...encoderOptions, threads: config.threads });
  const runs: RunResult[] = [];
  const notes = new Set<string>();
  let finished = 0;
  let trained = 0;
  let origin: string;
  try {
    origin = encoder.origin;
    for (let index = 0; index < config.seeds.draws; index++) {
      const draw = await openDraw(config, encoder, index, job);
      try {
        const open = (modalities: readonly ('rgb' | 'semseg')[]) =>
          openEncoder({ ...encoderOptions, modalities: [...modalities], threads: config.threads });
        const subsets = subsetsOf(config, draw, open, job);
        const own = cells.filter((cell) => cell.draw === index);
        // Selection uses all threads; training then has them to itself.
        const rowsOf = new Map<Cell, Int32Array>();
        for (const cell of own) rowsOf.set(cell, await subsets.rowsOf(cell));
        const done = await inLanes(own, lanesOf(config), async (cell, threads) => {
          const rows = rowsOf.get(cell)!;
          const run = await runCell(config, draw, cell, rows, store, (name) => weights.read(name), { ...job, threads });
          finished++;
          if (run.fresh) trained++;
          job.onProgress?.({ stage: 'train', done: finished, total: cells.length, unit: 'runs' });
          runs.push(resultOf(config, cell, run.measured));
          return { cell, rows, run: run.measured };
        });
        for (const note of subsets.notes) notes.add(note);
        await onDraw?.({ draw, subsets, store, runs: done });
      } finally {
        await draw.close();
      }
    }
  } finally {
    await encoder.close();
    await weights.close();
  }
  const position = new Map(cells.map((cell, i) => [cellName(cell.arm.name, cell), i]));
  const placeOf = (run: RunResult) => position.get(cellName(run.arm, run))!;
  runs.sort((a, b) => placeOf(a) - placeOf(b));
  const end = new Date();
  const summary: ExperimentSummary = {
    title: config.title ?? titleOf(config),
    config,
    arms: experimentArms(config),
    runs,
    comparisons: compareArms(runs, { seed: config.seeds.first }),
    notes: [
      ...notes,
      ...caveats(config),
      `Encoder: ${origin}.`,
      `${trained} of ${cells.length} runs were trained now; the others were found.`,
    ],
    diagnostics: [],
    versions: { coregain: version, node: process.versions.node },
    machine: `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} threads`,
    started: started.toISOString(),
    finished: end.toISOString(),
    seconds: (end.getTime() - started.getTime()) / 1000,
  };
  await writeFileAtomically(join(config.out, 'runs.csv'), csvOf(runs));
  await writeFileAtomically(join(config.out, 'experiment.json'), `${JSON.stringify(summary, null, 1)}\n`);
  return summary;
}

/** The options of the encoder that a configuration names. */
export async function encoderOptionsOf({ encoder }: ExperimentConfig): Promise<EncoderOptions> {
  const { model, ...named } = encoder;
  return { ...named, ...(model && { config: await readModelConfig(model) }) };
}

function cellName(arm: string, { budget, protocol, draw, selectSeed, trainSeed }: Omit<Cell, 'arm'>): string {
  return [arm, budget, protocol, draw, selectSeed, trainSeed].join('|');
}

async function runCell(
  config: ExperimentConfig,
  draw: Draw,
  { protocol, trainSeed, selectSeed }: Cell,
  rows: Int32Array,
  store: RunStore,
  encoderWeight: (name: string) => Promise<Float32Array>,
  { threads, ...job }: JobOptions & { threads: number },
): Promise<{ measured: Measured; fresh: boolean }> {
  const steps = stepsOf(protocol, config.training.steps, rows.length, draw.pool.samples.length);
  const spec = { rows, steps, trainSeed };
  const known = await store.find(runKey(config, draw, spec));
  if (known) return { measured: known, fresh: false };
  const keepPredictions = draw.index === 0 && selectSeed === 0 && trainSeed === 0;
  // Steps of one run are no progress of the experiment.
  const options = { signal: job.signal, threads, keepPredictions };
  return { measured: await trainRun(config, draw, spec, store, encoderWeight, options), fresh: true };
}

/** Training runs at a time, and threads of each. */
function lanesOf({ parallel, threads }: ExperimentConfig): { count: number; threads: number } {
  const all = threads || availableParallelism();
  const count = Math.min(parallel ?? all, Math.max(all, 1));
  return { count, threads: Math.max(1, Math.floor(all / count)) };
}

/** Results in the order of `items`. A failure stops the other lanes before their next item, and is thrown when they have. */
async function inLanes<T, R>(
  items: readonly T[],
  { count, threads }: { count: number; threads: number },
  work: (item: T, threads: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  let failed = false;
  const lane = async () => {
    while (next < items.length && !failed) {
      const i = next++;
      try {
        results[i] = await work(items[i]!, threads);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: count }, lane));
  for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason;
  return results;
}

function resultOf({ task }: ExperimentConfig, cell: Cell, measured: Measured): RunResult {
  const { arm, budget, protocol, draw, selectSeed, trainSeed } = cell;
  return { task, arm: arm.name, budget, protocol, draw, selectSeed, trainSeed, ...measured };
}

function titleOf({ data, task }: ExperimentConfig): string {
  const what = data.generate ? `${data.generate.scenes} rendered scenes (${data.generate.regime})` : data.path!;
  return `${what}: ${task === 'depth' ? 'depth' : `${task} of objects`}`;
}

/** What a reader must know before believing the table. */
function caveats(config: ExperimentConfig): string[] {
  const found: string[] = [];
  if (config.data.path) {
    found.push(
      'Draws are random parts of one data set and share samples and the validation split, so intervals over draws are too narrow for other data sets.',
    );
  }
  const sums = config.embeddings.aggregation.filter((name) => name === 'mean' || name === 'sum');
  if (sums.length === 2)
    found.push(
      'sum is mean times the number of tokens: strategies rank both alike, a difference between them is noise.',
    );
  if (config.protocols.includes('equal-epochs')) {
    found.push(
      'At equal epochs a subset of a fifth takes a fifth of the optimizer steps: what it loses there is mostly time to learn.',
    );
  }
  return found;
}

function csvOf(runs: readonly RunResult[]): string {
  const names = [...new Set(runs.flatMap(({ curve }) => Object.keys(curve[0]!.metrics)))];
  const head = [
    'key',
    'task',
    'arm',
    'budget',
    'protocol',
    'draw',
    'selectSeed',
    'trainSeed',
    'samples',
    'steps',
    'seconds',
    'trainLoss',
    'valLoss',
  ];
  const columns = [...head, ...names.flatMap((name) => [`${name}.last`, `${name}.best`])];
  const lines = runs.map((run) => {
    const last = run.curve.at(-1)!;
    const best = run.curve[run.best]!;
    const values = [
      run.key,
      run.task,
      run.arm,
      run.budget,
      run.protocol,
      run.draw,
      run.selectSeed,
      run.trainSeed,
      run.samples,
      run.steps,
      run.seconds,
      last.trainLoss,
      last.valLoss,
    ];
    return [...values, ...names.flatMap((name) => [last.metrics[name], best.metrics[name]])].map(quoted).join(',');
  });
  return `${[columns.join(','), ...lines].join('\n')}\n`;
}

function quoted(value: unknown): string {
  const text = String(value ?? '');
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
