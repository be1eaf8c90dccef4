/** The paper's experiment: train on the full data, on coresets and on random subsets, and say what each keeps. */
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.js';
import { version } from '../version.js';
import { compareArms } from './compare.js';
import type { ExperimentConfig } from './config.js';
import { experimentArms } from './grid.js';
import { type GridOptions, runGrid } from './runGrid.js';
import type { ExperimentSummary, RunResult } from './types.js';

export type { FinishedDraw, GridOptions as ExperimentOptions } from './runGrid.js';

/**
 * Runs the grid of a configuration, draw by draw, and compares its arms with random subsets. Finished runs are found
 * again in `<out>/runs`, also by experiments of other configurations; an unfinished one goes on from its last checkpoint.
 * Writes `experiment.json` last.
 *
 * @throws what data, encoder, selection and training throw; rejects with `signal.reason` when aborted.
 */
export async function experiment(config: ExperimentConfig, options: GridOptions = {}): Promise<ExperimentSummary> {
  const started = new Date();
  const { runs, notes, origin, trained, reused } = await runGrid(config, options);
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
      `${trained} of ${runs.length} runs were trained now; ${reused} were found in ${join(config.out, 'runs')} or are shared.`,
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
