import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Dataset } from '../data/dataset.js';
import { openDataset } from '../data/open.js';
import type { EngineDevice } from '../device.js';
import { ConfigError, DataError } from '../errors.js';
import { readEmbeddings } from '../formats/open.js';
import type { JobOptions } from '../progress.js';
import { formatSeconds } from '../report/numbers.js';
import { claimFolder, writeResults } from '../results.js';
import { planDraw } from '../select/draw.js';
import { rowsOfIds, type SelectedSample } from '../select/samples.js';
import { selectFrom } from '../select/select.js';
import { writeSelectionTable } from '../select/writeTable.js';
import { addCommand, type Outcome } from './command.js';
import { idsOf } from './configFlags.js';
import {
  checkStrategyFlags,
  type EmbeddingFlags,
  embeddingFile,
  embeddingOptions,
  engineDevice,
  type SelectFlags,
  selectOptions,
  threadsOption,
} from './options.js';
import { binCounts, describeFiles, describeSelection, shortPath } from './summary.js';
import { checkRowFlags, checkTablePath, groupsOf, type RowFlags, samplesOf } from './tableFlags.js';

interface Flags extends SelectFlags, EmbeddingFlags, RowFlags {
  out: string;
  data?: string;
  table?: string;
  device?: EngineDevice;
  threads?: number;
  force?: true;
  report: boolean;
}

export function addSelect(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'select',
    needs: ['embeddings', 'out'],
    summary: 'embeddings -> bins -> coreset',
    examples: [
      'coregain select --embeddings X.npy --bins 10 --budget 0.2 --gain cosine --seed 0 --out coreset',
      'coregain select --embeddings X.npy --strategy dbal --budget 0.05 --out coreset',
      'coregain select --embeddings embedded/embeddings.npy --samples embedded/samples.jsonl --data clevr --out coreset',
    ],
    resumes: false,
    action: selectCoreset,
  });
  embeddingOptions(command)
    .option('--out <folder>', 'folder to write')
    .option('--force', 'replace the result of other options in that folder')
    .option('--samples <file>', 'samples.jsonl of `embed`: ids and paths of the rows (default: row numbers)')
    .option('--groups <file>', 'of the strategy round-robin: the group (clip, class, ...) of each row, one a line')
    .option('--id-column <name>', 'of a table: column of ids, instead of --samples')
    .option('--group-column <name>', 'of a table: column of groups, instead of --groups')
    .option('--table <file>', '.parquet file to write: the chosen rows, with all columns if they are from Parquet')
    .option('--data <path>', 'with --samples or --id-column: the data set, for the pictures of the report');
  selectOptions(command).option(
    '--device <name>',
    'where the bins are found: auto, cpu, cuda or cuda:N; all give the same bins (default: auto)',
    engineDevice,
  );
  threadsOption(command).option('--no-report', 'write no report.html and no coreset.png');
}

async function selectCoreset(flags: Flags, job: JobOptions): Promise<Outcome> {
  const { embeddings, out, bins = 10, budget = 0.2, gain = 'sqeuclidean', seed = 0, remainder = 'spread' } = flags;
  const { engine = 'auto', device = 'auto', strategy = 'bins', clusters, fraction } = flags;
  checkStrategyFlags(flags, strategy);
  checkRowFlags(flags);
  checkTablePath(flags.table);
  const ids = { include: await given(flags.include), exclude: await given(flags.exclude) };
  const path = (file: string | undefined) => file && resolve(file);
  const config = {
    embeddings: resolve(embeddings),
    ...{ name: flags.name, cols: flags.cols, dtype: flags.dtype, where: flags.where },
    samples: path(flags.samples),
    ...{ idColumn: flags.idColumn, groupColumn: flags.groupColumn },
    data: path(flags.data),
    strategy,
    clusters,
    fraction,
    groups: path(flags.groups),
    ...(strategy === 'bins' && { bins, gain, remainder, engine, device }),
    ...{ budget, seed, ...ids },
    threads: flags.threads ?? 0,
  };
  if (!flags.force) await claimFolder(out, config);

  const start = performance.now();
  const source = embeddingFile(flags);
  const matrix = await readEmbeddings(source, job);
  const { rows, notes } = matrix;
  const samples = await samplesOf(flags, source, rows, job.signal);
  const options = {
    ...{ strategy, clusters, fraction, bins, budget, gain, seed, remainder, engine, device, threads: config.threads },
    groups: await groupsOf(flags, source, rows),
    include: rowsOfIds(ids.include, samples, rows, 'include'),
    exclude: rowsOfIds(ids.exclude, samples, rows, 'exclude'),
  };
  planDraw(options, rows);
  const dataset = flags.data === undefined ? undefined : await openInOrder(flags.data, samples);
  try {
    const selection = await selectFrom(matrix, strategy, { ...options, ...job }, embeddings);
    const stages = [{ name: 'select', seconds: (performance.now() - start) / 1000 }];
    const inputs = [embeddings, flags.samples, flags.groups].filter((file) => file !== undefined);
    const { table } = flags;
    if (table !== undefined) await writeSelectionTable(table, selection, { source, samples, signal: job.signal });
    const results = { title: embeddings, config, selection, gain, matrix, samples, dataset, stages, inputs, notes };
    const { files, record } = await writeResults(out, { ...results, report: flags.report }, job);
    return {
      json: {
        out: resolve(out),
        files: { ...files, table },
        counts: record.counts,
        bins: binCounts(selection),
        stages,
        engine: record.engine,
        notes,
      },
      lines: [
        ...describeSelection(selection, 'row'),
        ...notes.map((note) => `  note: ${note}`),
        '',
        `  ${stages.map(({ name, seconds }) => `${name} ${formatSeconds(seconds)}`).join(', ')}`,
        ...describeFiles(files),
        ...(table === undefined ? [] : [`  table    ${shortPath(table)}`]),
      ],
    };
  } finally {
    await dataset?.close();
  }
}

async function given(list: string | undefined): Promise<string[]> {
  return list === undefined ? [] : idsOf(list);
}

/** The data set with its samples in the order of the embeddings, found by their ids. */
async function openInOrder(path: string, samples: readonly SelectedSample[] | undefined): Promise<Dataset> {
  if (!samples) {
    throw new ConfigError(
      'ERR_FLAG_MISSING',
      '`--data` needs `--samples` or `--id-column`, which say what sample each row of the embeddings is.',
    );
  }
  const all = await openDataset(path);
  const indexOf = new Map(all.samples.map(({ id }, index) => [id, index]));
  const unknown = samples.find(({ id }) => !indexOf.has(id));
  if (unknown) {
    await all.close();
    throw new DataError(
      'ERR_SAMPLES',
      `${path} has no sample ${JSON.stringify(unknown.id)}. Is it the data set that was embedded?`,
    );
  }
  const order = samples.map(({ id }) => indexOf.get(id)!);
  return {
    root: all.root,
    samples: order.map((index) => all.samples[index]!),
    modalities: all.modalities,
    read: (row, modality) => all.read(order[row]!, modality),
    close: () => all.close(),
  };
}
