/** A whole experiment: its runs, their comparison, and the files that say what came out. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkExperiment, type ExperimentConfig, type ExperimentConfigInput } from './experiment/config.js';
import { experiment } from './experiment/experiment.js';
import { runsCsv } from './experiment/runsCsv.js';
import type { ExperimentSummary } from './experiment/types.js';
import { makeOutFolder, writeFileAtomically } from './files.js';
import type { JobOptions } from './progress.js';
import { gatherCoresets, gatherExamples } from './report/experiment/gather.js';
import { writeExperimentReport } from './report/experiment/report.js';
import type { CoresetPicture, DepthExample } from './report/experiment/types.js';

export interface ExperimentResult {
  readonly config: ExperimentConfig;
  readonly summary: ExperimentSummary;
  /** Paths. */
  readonly files: { readonly summary: string; readonly runs: string; readonly report: string };
}

/**
 * Runs an experiment into `config.out`: `runs/` with one folder for each run, `runs.csv`, `report.html` and, last,
 * `experiment.json`: a folder that has it is whole. The same call again trains nothing twice, and goes on where it was
 * stopped; a changed configuration keeps the runs that are still part of it.
 *
 * @throws {ConfigError} `ERR_CONFIG`, `ERR_OUT_UNUSABLE`; otherwise what the stages throw. Rejects with `signal.reason` when aborted.
 */
export async function runExperiment(
  input: ExperimentConfigInput | ExperimentConfig,
  job: JobOptions = {},
): Promise<ExperimentResult> {
  const config = checkExperiment(input);
  await makeOutFolder(config.out);
  let examples: DepthExample[] = [];
  let coresets: CoresetPicture[] = [];
  const summary = await experiment(config, {
    ...job,
    async onDraw(finished) {
      // One draw is enough to look at.
      if (finished.draw.index > 0) return;
      examples = await gatherExamples(finished);
      coresets = await gatherCoresets(finished, job);
    },
  });
  const files = { summary: join(config.out, 'experiment.json'), runs: join(config.out, 'runs.csv') };
  // From here until the end the folder is a mixture of old and new.
  await rm(files.summary, { force: true });
  await writeFileAtomically(files.runs, runsCsv(summary.runs));
  const { report } = await writeExperimentReport(config.out, { summary, examples, coresets }, job);
  await writeFileAtomically(files.summary, `${JSON.stringify(summary, null, 1)}\n`);
  return { config, summary, files: { ...files, report } };
}
