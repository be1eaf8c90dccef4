/** The folder that a selection ends up in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from './data/dataset.js';
import { ConfigError } from './errors.js';
import type { EmbeddingMatrix } from './matrix.js';
import type { Execution } from './onnx/placement.js';
import type { JobOptions } from './progress.js';
import { project2d } from './reduce/projection.js';
import { writeReport } from './report/report.js';
import { type RunInput, type RunRecord, runRecord, writeRun } from './select/runRecord.js';
import type { SelectedSample } from './select/samples.js';
import type { Gain } from './select/types.js';
import { type SelectionFiles, writeSelection } from './select/write.js';

/**
 * Makes sure that a folder holds no result of another configuration, which this one would replace. The number of threads
 * changes no result.
 * @throws {ConfigError} `ERR_OUT_TAKEN`.
 */
export async function claimFolder(folder: string, config: object): Promise<void> {
  const path = join(folder, 'run.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  const comparable = (value: object | undefined) => JSON.stringify({ ...value, threads: 0 });
  let earlier: { config?: object } = {};
  try {
    earlier = JSON.parse(text);
  } catch {
    // Whoever wrote that, it is not the record of this configuration.
  }
  if (comparable(earlier.config) === comparable(JSON.parse(JSON.stringify(config)))) return;
  throw new ConfigError(
    'ERR_OUT_TAKEN',
    `${folder} holds the result of another configuration. Name another output folder, or replace that result with \`--force\` (in code: \`force\`).`,
  );
}

/** What is known when a selection has been made. */
export interface Results extends Omit<RunInput, 'stages'> {
  readonly title: string;
  readonly gain: Gain;
  /** What was selected from, for the map of the report. */
  readonly matrix: EmbeddingMatrix;
  /** One for each row; row numbers are the names otherwise. */
  readonly samples?: readonly SelectedSample[] | undefined;
  /** Whose sample i is row i: for the pictures of the report. */
  readonly dataset?: Dataset | undefined;
  /** What made the embeddings; `origin` says in words where its weights come from. */
  readonly encoder?: ({ readonly origin: string; readonly identity: string } & Execution) | undefined;
  /** What came before; what is done here is added. */
  readonly stages: { name: string; seconds: number }[];
  /** Whether to write report.html and coreset.png. */
  readonly report: boolean;
}

export interface ResultFiles extends SelectionFiles {
  readonly run: string;
  readonly report?: string;
  /** Absent where there are no images to show. */
  readonly picture?: string;
}

/**
 * Writes a selection, its report and, last, `run.json`: a folder that has it is whole.
 * Throws what `writeSelection`, `writeReport` and `runRecord` throw; rejects with `signal.reason` when aborted.
 */
export async function writeResults(
  folder: string,
  results: Results,
  job: JobOptions = {},
): Promise<{ files: ResultFiles; record: RunRecord }> {
  const { title, gain, matrix, samples, dataset, encoder, report, stages, selection } = results;
  const start = performance.now();
  const written = await writeSelection(folder, selection, { samples, signal: job.signal });
  // Hashing the inputs takes time: once, and what changes until the end is put in afterwards.
  const begun: RunRecord = { ...(await runRecord(results, job)), ...(encoder && { encoder }) };
  let pages: Pick<ResultFiles, 'report' | 'picture'> = {};
  if (report) {
    const projection = await project2d(matrix, job);
    const input = {
      title,
      selection,
      gain,
      projection,
      dataset,
      encoder: encoder && `Encoder: ${encoder.origin}.`,
      ids: samples?.map(({ id }) => id),
      run: begun,
    };
    const { report: page, contactSheet } = await writeReport(folder, input, job);
    pages = { report: page, ...(contactSheet && { picture: contactSheet }) };
  }
  stages.push({ name: report ? 'report' : 'write', seconds: (performance.now() - start) / 1000 });
  const record: RunRecord = {
    ...begun,
    finished: new Date().toISOString(),
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
  };
  return { files: { ...written, ...pages, run: await writeRun(folder, record) }, record };
}
