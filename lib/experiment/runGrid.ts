/** Every run of the grid, draw by draw. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { alone, LOOK_AGAIN_MS } from '../alone.js';
import type { Dataset } from '../data/dataset.js';
import { openEncoderWeights } from '../models/openEncoder.js';
import type { JobOptions } from '../progress.js';
import { readSafetensors } from '../weights/safetensors.js';
import { isAdapterLayer, type WeightReader } from './adapterFeatures.js';
import { rememberCells } from './cellIndex.js';
import type { ValidationImages } from './compare.js';
import type { ExperimentConfig } from './config.js';
import { diagnoseDraw } from './diagnoseDraw.js';
import { checkArmWeights, checkEncoder, encoderOptionsOf, openArmEncoder, openExperimentEncoder } from './encoder.js';
import { type Cell, cellSteps, experimentArms, experimentCells, stepsOf } from './grid.js';
import { type Draw, openDraw } from './openDraw.js';
import { type Measured, openRunStore, type RunStore } from './runStore.js';
import { type EncoderOpener, type Subsets, subsetsOf } from './subsets.js';
import { finishedRun, modelFile, type RunSpec, runKey, trainRun } from './trainRun.js';
import type { RunResult } from './types.js';

export interface GridOptions extends JobOptions {
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

export interface GridResult {
  /** In the order of `experimentCells`. */
  readonly runs: readonly RunResult[];
  /** Of each draw. */
  readonly validation: readonly ValidationImages[];
  /** Of each draw, see `diagnoseDraw`. */
  readonly diagnostics: readonly Readonly<Record<string, unknown>>[];
  /** In words, where the encoder's weights come from. */
  readonly origin: string;
  /** Sentences about what came out otherwise than asked for. */
  readonly notes: readonly string[];
  /** Runs that this call trained, and those that were there or shared by several arms. */
  readonly trained: number;
  readonly reused: number;
}

/** One training run, and the cells of the grid whose result it is. */
interface Unit {
  readonly key: string;
  readonly spec: RunSpec;
  /** Whether the trained model is kept. */
  readonly keepModel: boolean;
  readonly cells: Cell[];
}

const PROGRESS_MS = 100;

/**
 * Trains every cell of the grid, `config.parallel` runs at a time. Cells that choose the same rows and take as many
 * steps share one run; runs that `<out>/runs` has are not repeated; what an abort or a kill interrupted goes on from its
 * checkpoint. Processes that work on the same folder at the same time take different runs.
 *
 * @param trainOne one run, `trainRun` but in tests.
 * @throws what the stages throw; the first failure stops the other runs. Rejects with `signal.reason` when aborted.
 */
export async function runGrid(
  config: ExperimentConfig,
  { onDraw, ...job }: GridOptions = {},
  trainOne: typeof trainRun = trainRun,
): Promise<GridResult> {
  job.signal?.throwIfAborted();
  await checkArmWeights(config);
  const cells = experimentCells(config);
  const store = openRunStore(join(config.out, 'runs'));
  const runs: RunResult[] = [];
  const notes = new Set<string>();
  const shared = new Map<string, number>();
  const progress = stepProgress(config, cells, job);
  const validation: ValidationImages[] = [];
  const diagnostics: Readonly<Record<string, unknown>>[] = [];
  let trained = 0;
  const encoder = await openExperimentEncoder(config);
  const weights = await openEncoderWeights(await encoderOptionsOf(config));
  try {
    checkEncoder(config, encoder);
    // Scenes, tokens and embeddings have one writer.
    const prepare = <T>(work: () => Promise<T>) => alone(join(config.out, 'cache'), work, job.signal);
    for (let index = 0; index < config.seeds.draws; index++) {
      const draw = await prepare(() => openDraw(config, encoder, index, job));
      try {
        validation.push({ identity: draw.validationIdentity, clips: clipsOf(draw.validation) });
        const steps = progress(index);
        const own = cells.filter((cell) => cell.draw === index);
        const train = async (unit: Unit, signal: AbortSignal, threads: number) => {
          const { selectSeed, trainSeed } = unit.cells[0]!;
          trained++;
          const onProgress = ({ done }: { done: number }) => steps.at(unit.key, done);
          return trainOne(config, draw, unit.spec, store, (name) => weights.read(name), {
            signal,
            threads,
            onProgress,
            // Of one run of each arm and budget: the examples of the report.
            keepPredictions: index === 0 && selectSeed === 0 && trainSeed === 0,
            keepModel: unit.keepModel,
          });
        };
        const trainUnits = (units: readonly Unit[]) => trainAll(config, units, store, train, steps, job.signal);
        const open: EncoderOpener = (choice) => openArmEncoder(config, encoder, choice);
        /** The model of the full data and the first training seed, trained before all others where arms look at it. */
        const full = async (): Promise<WeightReader> => {
          const [unit] = await unitsOf(config, draw, subsets, own.filter(isFullModel));
          await trainUnits([unit!]);
          const tensors = await readSafetensors(modelFile(store, unit!.key));
          return async (name) => (tensors[name] ? (tensors[name].data as Float32Array) : weights.read(name));
        };
        const subsets = subsetsOf(config, draw, open, full, job);
        const units = await prepare(async () => {
          const found = await unitsOf(config, draw, subsets, own);
          await rememberCells(config, found);
          const facts = await diagnoseDraw(config, index, encoder.config.modalities, subsets, job);
          if (facts) diagnostics.push(facts);
          return found;
        });
        for (const note of subsets.notes) notes.add(note);
        countShared(units, shared);
        steps.expect(units);
        const measured = await trainUnits(units);
        const finished = units.flatMap(({ key, spec: { rows }, cells }) =>
          cells.map((cell) => ({ cell, rows, run: measured.get(key)! })),
        );
        finished.sort((a, b) => cells.indexOf(a.cell) - cells.indexOf(b.cell));
        runs.push(...finished.map(({ cell, run }) => resultOf(config, cell, run)));
        await onDraw?.({ draw, subsets, store, runs: finished });
      } finally {
        await draw.close();
      }
    }
  } finally {
    await weights.close();
    await encoder.close();
  }
  for (const file of store.damaged) notes.add(`${file} was damaged; the run was trained anew.`);
  for (const [names, count] of shared) {
    notes.add(`${names} chose the same samples in ${count} ${count === 1 ? 'case' : 'cases'} and share those runs.`);
  }
  return {
    runs,
    notes: [...notes],
    validation,
    diagnostics,
    origin: encoder.origin,
    trained,
    reused: runs.length - trained,
  };
}

/** The run whose adapter's features arms may look at. */
function isFullModel({ arm, trainSeed }: Cell): boolean {
  return arm.strategy === 'full' && trainSeed === 0;
}

async function unitsOf(
  config: ExperimentConfig,
  draw: Draw,
  subsets: Subsets,
  cells: readonly Cell[],
): Promise<Unit[]> {
  const units = new Map<string, Unit>();
  const featuresWanted = experimentArms(config).some(({ embedding }) => embedding && isAdapterLayer(embedding.layer));
  for (const cell of cells) {
    const rows = await subsets.rowsOf(cell);
    const steps = stepsOf(cell.protocol, config.training.steps, rows.length, draw.pool.samples.length);
    const spec = { rows, steps, trainSeed: cell.trainSeed };
    const key = runKey(config, draw, spec);
    const unit = units.get(key);
    if (unit) unit.cells.push(cell);
    else {
      const keepModel = config.training.keepModels || (featuresWanted && isFullModel(cell));
      units.set(key, { key, spec, keepModel, cells: [cell] });
    }
  }
  return [...units.values()];
}

/**
 * The clip of each sample, where the manifest says (`clip`, as rendered `logs` scenes have it); a sample without one stands
 * for itself. Undefined where no sample has one.
 */
function clipsOf({ samples }: Dataset): (string | number)[] | undefined {
  const named = samples.map(({ metadata: { clip } }) =>
    typeof clip === 'string' || typeof clip === 'number' ? `clip ${clip}` : undefined,
  );
  return named.some((clip) => clip !== undefined) ? named.map((clip, i) => clip ?? i) : undefined;
}

/** How many runs each set of arms shares. */
function countShared(units: readonly Unit[], shared: Map<string, number>): void {
  for (const { cells } of units) {
    const names = [...new Set(cells.map(({ arm }) => arm.name))];
    if (names.length < 2) continue;
    const text = names.map((name) => `\`${name}\``).join(' and ');
    shared.set(text, (shared.get(text) ?? 0) + 1);
  }
}

/** Training runs at a time when there are `runs` of them, and threads of each. */
export function lanesOf(
  { parallel, threads }: Pick<ExperimentConfig, 'parallel' | 'threads'>,
  runs: number,
): { count: number; threads: number } {
  const all = threads || availableParallelism();
  const count = Math.min(parallel ?? all, runs);
  return { count, threads: Math.max(1, Math.floor(all / count)) };
}

/** Trains what the store does not have. Runs that another process has at work are waited for last. */
async function trainAll(
  config: ExperimentConfig,
  units: readonly Unit[],
  store: RunStore,
  train: (unit: Unit, signal: AbortSignal, threads: number) => Promise<Measured>,
  progress: StepProgress,
  signal: AbortSignal | undefined,
): Promise<ReadonlyMap<string, Measured>> {
  const lanes = lanesOf(config, units.length);
  const measured = new Map<string, Measured>();
  const queue = [...units];
  const failed = new AbortController();
  const both = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  /** Units in a row that other processes had. */
  let taken = 0;
  const work = async () => {
    for (let unit = queue.shift(); unit; unit = queue.shift()) {
      both.throwIfAborted();
      const find = () => finishedRun(store, unit.key, unit.keepModel);
      let run = await find();
      if (!run) {
        const release = await store.claim(unit.key);
        if (!release) {
          queue.push(unit);
          taken++;
          if (taken >= queue.length) await setTimeout(LOOK_AGAIN_MS, undefined, { signal: both });
          continue;
        }
        try {
          // It may have been finished between the look and the claim.
          run = (await find()) ?? (await train(unit, both, lanes.threads));
        } finally {
          await release();
        }
      }
      taken = 0;
      measured.set(unit.key, run);
      progress.at(unit.key, unit.spec.steps);
    }
  };
  const guarded = async () => {
    try {
      await work();
    } catch (error) {
      // The others stop at their next step; what they did is in their checkpoints.
      failed.abort(error);
      throw error;
    }
  };
  await Promise.allSettled(Array.from({ length: lanes.count }, guarded));
  both.throwIfAborted();
  return measured;
}

function resultOf({ task }: ExperimentConfig, cell: Cell, measured: Measured): RunResult {
  const { arm, budget, protocol, draw, selectSeed, trainSeed } = cell;
  return { task, arm: arm.name, budget, protocol, draw, selectSeed, trainSeed, ...measured };
}

/** Progress of one draw. */
interface StepProgress {
  /** The runs of the draw are known. */
  expect(units: readonly Unit[]): void;
  /** A run has done so many steps. */
  at(key: string, done: number): void;
}

/** Optimizer steps of all draws as one stage; of draws to come every cell counts as a run of its own. */
function stepProgress(
  config: ExperimentConfig,
  cells: readonly Cell[],
  { onProgress }: JobOptions,
): (draw: number) => StepProgress {
  const expected = Array.from({ length: config.seeds.draws }, (_, draw) =>
    cells.filter((cell) => cell.draw === draw).reduce((sum, cell) => sum + cellSteps(config, cell), 0),
  );
  let done = 0;
  let reported = 0;
  return (draw) => {
    // Draws of a fixed data set may share runs, which count in each.
    const doneOf = new Map<string, number>();
    return {
      expect(units) {
        expected[draw] = units.reduce((sum, { spec }) => sum + spec.steps, 0);
      },
      at(key, steps) {
        done += steps - (doneOf.get(key) ?? 0);
        doneOf.set(key, steps);
        const total = expected.reduce((sum, count) => sum + count, 0);
        if (done < total && performance.now() - reported < PROGRESS_MS) return;
        reported = performance.now();
        onProgress?.({ stage: 'train', done, total, unit: 'steps' });
      },
    };
  };
}
