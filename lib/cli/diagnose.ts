import type { Command } from 'commander';
import { checkConfig, type RunConfigInput } from '../config.js';
import { openConfiguredData, openConfiguredEncoder } from '../configured.js';
import { diagnose } from '../diagnose/dataset.js';
import { type Consistency, consistency, type Redundancy, redundancy } from '../diagnose/diagnose.js';
import { ConfigError } from '../errors.js';
import { writeFileAtomically } from '../files.js';
import { readEmbeddings } from '../formats/open.js';
import type { JobOptions } from '../progress.js';
import { formatCount, formatValue } from '../report/numbers.js';
import { addCommand, type Outcome } from './command.js';
import { withFlags } from './configFlags.js';
import {
  type EmbeddingFlags,
  type EncoderFlags,
  embeddingFile,
  embeddingOptions,
  encoderOptions,
  integerFrom,
  threadsOption,
} from './options.js';

interface Flags extends EncoderFlags, Partial<EmbeddingFlags> {
  other?: string;
  otherName?: string;
  data?: string;
  seed?: number;
  threads?: number;
  out?: string;
}

export function addDiagnose(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'diagnose',
    summary: 'redundancy of a data set or of embeddings, and agreement of two modalities',
    examples: [
      'coregain diagnose --data clevr --preset base --weights multimae-b.pth',
      'coregain diagnose --embeddings embeddings.npy',
      'coregain diagnose --embeddings rgb.npy --other semseg.npy --out diagnose.json',
      'coregain diagnose --embeddings tokens.npz --name rgb --other tokens.npz --other-name semseg',
    ],
    resumes: true,
    action: diagnoseEither,
  });
  embeddingOptions(command.option('--data <path>', 'data set to embed: a folder, or an NYU-Depth-v2 .mat file'))
    .option('--other <path>', 'with --embeddings: another modality of the same rows, [N, e], in such a format')
    .option('--other-name <array>', 'what --name is for --embeddings; --cols and --dtype are of both')
    .option(
      '--seed <number>',
      'of the rows that are compared where there are more than 2,000 (default: 0)',
      integerFrom(0),
    )
    .option('--out <file>', '.json file to write');
  encoderOptions(command, 'coregain-out/cache');
  threadsOption(command);
}

/** Flags that say how a data set is embedded. */
const OF_DATA = [
  'split',
  'preset',
  'weights',
  'model',
  'device',
  'modalities',
  'layer',
  'aggregation',
  'batch',
  'cache',
] as const;

/** Flags that say what embeddings are read. */
const OF_EMBEDDINGS = ['name', 'cols', 'dtype', 'other', 'otherName'] as const;

async function diagnoseEither(flags: Flags, job: JobOptions): Promise<Outcome> {
  const { data, embeddings, out } = flags;
  if (data === undefined && embeddings === undefined) {
    throw new ConfigError(
      'ERR_FLAG_MISSING',
      '`diagnose` needs `--data` or `--embeddings`. See coregain diagnose --help.',
    );
  }
  if (data !== undefined && embeddings !== undefined) {
    throw new ConfigError(
      'ERR_FLAG_CONFLICT',
      '`--data` and `--embeddings` exclude each other. Leave one of them out.',
    );
  }
  const [given, unused] = data === undefined ? (['data', OF_DATA] as const) : (['embeddings', OF_EMBEDDINGS] as const);
  const stray = unused.find((name) => flags[name] !== undefined);
  if (stray) {
    throw new ConfigError(
      'ERR_FLAG_UNUSED',
      `\`--${stray.replace('N', '-n')}\` goes with \`--${given}\`. Add that instead, or leave it out.`,
    );
  }
  const { json, lines, ...found } = await (data === undefined ? ofEmbeddings(flags, job) : ofDataset(flags, job));
  const result = { ...found, ...json };
  if (out !== undefined) await writeFileAtomically(out, `${JSON.stringify(result, null, 1)}\n`);
  return {
    json: result,
    lines: [
      ...describeRedundancy(found.redundancy),
      ...(found.consistency ? describeConsistency(found.consistency) : []),
      ...lines,
    ],
  };
}

/** What was found, and what there is to say of how. */
interface Found {
  readonly redundancy: Redundancy;
  readonly consistency?: Consistency;
  readonly json: object;
  readonly lines: readonly string[];
}

async function ofEmbeddings(flags: Flags, job: JobOptions): Promise<Found> {
  const { other, otherName, seed, threads } = flags;
  const options = { seed, threads, ...job };
  const read = (embeddings: string, name: string | undefined) =>
    readEmbeddings(embeddingFile({ ...flags, embeddings, name }), job);
  const x = await read(flags.embeddings!, flags.name);
  const y = other === undefined ? undefined : await read(other, otherName);
  const notes = [...x.notes, ...(y?.notes ?? [])];
  return {
    redundancy: await redundancy(x, options),
    ...(y && { consistency: await consistency(x, y, options) }),
    json: { notes },
    lines: notes.map((note) => `  note: ${note}`),
  };
}

async function ofDataset({ seed, threads, out: _, ...flags }: Flags, job: JobOptions): Promise<Found> {
  const config = checkConfig((await withFlags({}, { ...flags, threads })) as RunConfigInput);
  const dataset = await openConfiguredData(config.data.path!, config.data.split);
  try {
    const encoder = await openConfiguredEncoder(config);
    try {
      const { aggregation, layer, batch, cache } = config.embed;
      const options = { aggregation, layer, batch, cache: cache!, seed, threads, ...job };
      const { encoded, ...found } = await diagnose(dataset, encoder, options);
      const { origin, provider } = encoder;
      return {
        ...found,
        json: { split: config.data.split, encoder: origin, provider, encoded },
        lines: [
          `${formatCount(encoded)} samples encoded, the others from the cache; split ${config.data.split}`,
          `  weights: ${origin}`,
        ],
      };
    } finally {
      await encoder.close();
    }
  } finally {
    await dataset.close();
  }
}

function describeRedundancy({
  rows,
  nearestOverMedian,
  effectiveRows,
  coverageOverRandom,
  expectation,
}: Redundancy): string[] {
  return [
    `${formatCount(rows)} rows, ${formatCount(Math.round(effectiveRows))} effective: ${expectation} (an expectation, not a verdict)`,
    `  nearest-neighbour distance / pairwise distance, medians: ${formatValue(nearestOverMedian)}`,
    `  distance to the nearest chosen row, 5% by facility location / at random: ${formatValue(coverageOverRandom)}`,
  ];
}

function describeConsistency(found: Consistency): string[] {
  const { cka, cca, procrustes, distanceCorrelation, inconsistency, inconsistencyRows, mostInconsistent } = found;
  const value = formatValue;
  return [
    `agreement of the modalities, ${formatCount(found.rows)} rows`,
    `  linear CKA ${value(cka.value)} (by chance ${value(cka.chance)})`,
    `  canonical correlation, mean ${value(cca.mean)} (by chance ${value(cca.chance)}), ${cca.components.join(' and ')} components`,
    `  cosine after Procrustes, median ${value(procrustes.median)} (${value(procrustes.q05)} to ${value(procrustes.q95)})`,
    `  rank correlation of distances ${value(distanceCorrelation)}`,
    `  inconsistency, 95 % quantile ${value(inconsistency.q95)} of the median, ${formatCount(inconsistencyRows)} rows; largest in rows ${mostInconsistent.slice(0, 5).join(', ')}`,
  ];
}
