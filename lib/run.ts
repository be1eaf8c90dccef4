/** The whole pipeline: data -> embed -> reduce -> select -> report. */
import { basename, join } from 'node:path';
import { integer } from './check.js';
import { checkConfig, type RunConfig, type RunConfigInput } from './config.js';
import { openConfiguredData, openConfiguredEncoder } from './configured.js';
import type { Dataset } from './data/dataset.js';
import { type GenerateResult, generateScenes } from './data/generate.js';
import { type EmbedResult, embed } from './embed/embed.js';
import { writeNpy } from './formats/npy.js';
import { readIdList } from './idList.js';
import type { Encoder } from './models/encoder.js';
import { type Execution, executionOf } from './onnx/placement.js';
import type { JobOptions } from './progress.js';
import { reductionFacts } from './reduce/facts.js';
import { reduce } from './reduce/reduce.js';
import { claimFolder, type ResultFiles, writeResults } from './results.js';
import { planDraw } from './select/draw.js';
import type { RunRecord } from './select/runRecord.js';
import { rowsOfIds } from './select/samples.js';
import { select } from './select/select.js';
import type { Selection } from './select/types.js';

export interface RunOptions extends JobOptions {
  /** Replaces what a run with another configuration left in the output folder. */
  force?: boolean | undefined;
}

export interface RunResult {
  readonly config: RunConfig;
  readonly selection: Selection;
  /** `origin` says in words where the weights come from. */
  readonly encoder: Pick<Encoder, 'origin' | 'identity'> & Execution;
  /** Absent where the data set was there. */
  readonly generated?: GenerateResult;
  readonly embedded: EmbedResult;
  /** What `run.json` says. */
  readonly record: RunRecord;
  readonly files: ResultFiles;
}

/**
 * Runs a configuration from the data set to the report, into `config.out`. What an earlier call finished is not
 * computed again: rendered scenes stay, embeddings come from the cache. `run.json` is written last: a folder that has it
 * is whole.
 *
 * @throws {ConfigError} `ERR_CONFIG`, or `ERR_OUT_TAKEN` when `out` holds the result of another configuration;
 * otherwise what the stages throw. Rejects with `signal.reason` when aborted.
 */
export async function run(input: RunConfigInput | RunConfig, options: RunOptions = {}): Promise<RunResult> {
  const config = checkConfig(input);
  const { force = false, ...job } = options;
  job.signal?.throwIfAborted();
  if (!force) await claimFolder(config.out, config);
  const stages: { name: string; seconds: number }[] = [];
  const timed = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    stages.push({ name, seconds: (performance.now() - start) / 1000 });
    return result;
  };

  const { out, threads } = config;
  const { generate, path = generate!.folder!, split } = config.data;
  const generated = generate && (await timed('generate', () => generateScenes(path, { ...generate, threads, ...job })));
  const dataset = await openConfiguredData(path, split);
  try {
    const drawing = await checkSelection(config, dataset);
    const { encoder, ...embedded } = await timed('embed', () => embedAll(config, dataset, job));
    const reduction = await timed('reduce', async () => {
      const reduced = await reduce(embedded.path, { ...config.reduce, threads, ...job });
      const { data, rows, cols } = reduced.matrix;
      if (config.reduce.method !== 'none') await writeNpy(join(out, 'reduced.npy'), { data, shape: [rows, cols] });
      return reduced;
    });
    const { matrix, notes } = reduction;
    const selection = await timed('select', () => select(matrix, { ...config.select, ...drawing, threads, ...job }));
    const { files, record } = await writeResults(
      out,
      {
        title: generate ? 'Generated scenes' : basename(path),
        config,
        selection,
        gain: config.select.gain ?? 'sqeuclidean',
        matrix,
        samples: dataset.samples,
        dataset,
        encoder,
        reduction: reductionFacts(reduction),
        stages,
        inputs: [embedded.path, config.encoder.weights, config.encoder.model].filter((file) => file !== undefined),
        notes,
        report: true,
      },
      job,
    );
    return { config, selection, encoder, ...(generated && { generated }), embedded, record, files };
  } finally {
    await dataset.close();
  }
}

/** Finds what is wrong with the selection's options before the long stages; rows to include and exclude. */
async function checkSelection({ select: options }: RunConfig, { samples }: Dataset) {
  const rows = samples.length;
  if (options.strategy === 'bins') integer('bins', options.bins, 1, rows);
  const listed = async (name: 'include' | 'exclude') => {
    const list = options[name] ?? [];
    return rowsOfIds(typeof list === 'string' ? await readIdList(list) : list, samples, rows, name);
  };
  const drawing = { include: await listed('include'), exclude: await listed('exclude') };
  planDraw({ ...options, ...drawing }, rows);
  return drawing;
}

async function embedAll(config: RunConfig, dataset: Dataset, job: JobOptions) {
  const encoder = await openConfiguredEncoder(config);
  try {
    const { aggregation, layer, batch, cache } = config.embed;
    const result = await embed(dataset, encoder, { aggregation, layer, batch, cache, out: config.out, ...job });
    const { origin, identity } = encoder;
    return { ...result, encoder: { origin, identity, ...executionOf(encoder) } };
  } finally {
    await encoder.close();
  }
}
