/** The paper's experiment: train on the full data, on coresets and on random subsets, and say what each keeps. */
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { version } from '../version.js';
import { dimsByRetention, dimsNote } from './chooseDims.js';
import { compareArms } from './compare.js';
import type { ExperimentConfig } from './config.js';
import { experimentArms } from './grid.js';
import { compareMeasures } from './measures.js';
import { type GridOptions, runGrid } from './runGrid.js';
import type { ExperimentSummary } from './types.js';

export type { FinishedDraw, GridOptions as ExperimentOptions } from './runGrid.js';

/**
 * Runs the grid of a configuration, draw by draw, and compares its arms with random subsets. Finished runs are found
 * again in `<out>/runs`, also by experiments of other configurations; an unfinished one goes on from its last checkpoint.
 *
 * @throws what data, encoder, selection and training throw; rejects with `signal.reason` when aborted.
 */
export async function experiment(config: ExperimentConfig, options: GridOptions = {}): Promise<ExperimentSummary> {
  const started = new Date();
  const { runs, notes, validation, diagnostics, origin, trained, reused } = await runGrid(config, options);
  const end = new Date();
  const arms = experimentArms(config);
  const dimsChoices = dimsByRetention(runs, arms, { seed: config.seeds.first, validation });
  return {
    title: config.title ?? titleOf(config),
    config,
    arms,
    runs,
    comparisons: compareArms(runs, { seed: config.seeds.first, validation }),
    measures: compareMeasures(runs, { seed: config.seeds.first }),
    dimsChoices,
    notes: [
      ...notes,
      ...dimsNote(dimsChoices),
      ...caveats(config),
      `Encoder: ${origin}.`,
      `${trained} of ${runs.length} runs were trained now; ${reused} were found in ${join(config.out, 'runs')} or are shared.`,
    ],
    diagnostics,
    versions: { coregain: version, node: process.versions.node },
    machine: `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} threads`,
    started: started.toISOString(),
    finished: end.toISOString(),
    seconds: (end.getTime() - started.getTime()) / 1000,
  };
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
  const aggregations = new Set(experimentArms(config).map(({ embedding }) => embedding?.aggregation));
  if (aggregations.has('mean') && aggregations.has('sum'))
    found.push(
      'sum is mean times the number of tokens: strategies rank both alike, a difference between them is noise.',
    );
  if (config.protocols.includes('equal-epochs')) {
    found.push(
      'At equal epochs a subset of a fifth takes a fifth of the optimizer steps: what it loses there is mostly time to learn.',
    );
  }
  const tables = 2 * config.protocols.length * config.budgets.length;
  found.push(
    `Verdicts are corrected for the number of arms within a table, not for the ${tables} tables: where nothing differs, about one table in twenty still claims something. A verdict that stands alone is a reason to repeat, not a result.`,
  );
  return found;
}
