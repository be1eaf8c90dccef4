import type { Command } from 'commander';
import { type Consistency, consistency, type Redundancy, redundancy } from '../diagnose/diagnose.js';
import { writeFileAtomically } from '../files.js';
import { readEmbeddings } from '../formats/open.js';
import { formatCount, formatValue } from '../report/numbers.js';
import { addCommand } from './command.js';
import { type EmbeddingFlags, embeddingFile, embeddingOptions, integerFrom, threadsOption } from './options.js';

interface Flags extends EmbeddingFlags {
  other?: string;
  otherName?: string;
  seed?: number;
  threads?: number;
  out?: string;
}

export function addDiagnose(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'diagnose',
    needs: ['embeddings'],
    summary: 'redundancy of embeddings, and agreement with those of another modality',
    examples: [
      'coregain diagnose --embeddings embeddings.npy',
      'coregain diagnose --embeddings rgb.npy --other semseg.npy --out diagnose.json',
      'coregain diagnose --embeddings tokens.npz --name rgb --other tokens.npz --other-name semseg',
    ],
    resumes: false,
    async action({ other, otherName, seed, threads, out, ...flags }, job) {
      const options = { seed, threads, ...job };
      const x = await readEmbeddings(embeddingFile(flags), job);
      const y =
        other === undefined
          ? undefined
          : await readEmbeddings(embeddingFile({ ...flags, embeddings: other, name: otherName }), job);
      const notes = [...x.notes, ...(y?.notes ?? [])];
      const found = {
        redundancy: await redundancy(x, options),
        ...(y && { consistency: await consistency(x, y, options) }),
        notes,
      };
      if (out !== undefined) await writeFileAtomically(out, `${JSON.stringify(found, null, 1)}\n`);
      return {
        json: found,
        lines: [
          ...describeRedundancy(found.redundancy),
          ...(found.consistency ? describeConsistency(found.consistency) : []),
          ...notes.map((note) => `  note: ${note}`),
        ],
      };
    },
  });
  embeddingOptions(command)
    .option('--other <path>', 'another modality of the same rows, [N, e], in a format like that of --embeddings')
    .option('--other-name <array>', 'what --name is for --embeddings; --cols and --dtype are of both')
    .option(
      '--seed <number>',
      'of the rows that are compared where there are more than 2,000 (default: 0)',
      integerFrom(0),
    )
    .option('--out <file>', '.json file to write');
  threadsOption(command);
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
