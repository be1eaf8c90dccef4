import { integer, oneOf, outOfRange } from '../check.js';
import { readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { inSlices } from '../steps.js';
import { checkMatrix, type PartitionOptions, partition } from './bins.js';
import { type DrawOptions, drawInSteps, planDraw } from './draw.js';
import { maximize } from './maximize.js';
import { type DensityBalancedOptions, densityBalanced } from './strategies/densityBalanced.js';
import { herding } from './strategies/herding.js';
import { ranked } from './strategies/ranked.js';
import { type ClusterOptions, clusterStrata, groupStrataInSteps, oneStratum, report } from './strategies/strata.js';
import type { Partition, Selection } from './types.js';

/** Objectives that need nothing but the embeddings; `maximize` has all of them, with all their parameters. */
const OBJECTIVES = [
  'facility-location',
  'k-center',
  'graph-cut',
  'squared-distance',
  'disparity-sum',
  'disparity-min',
  'log-determinant',
  'saturated-coverage',
] as const;

/** How a coreset is chosen. docs/strategies.md has formulas, sources, and which to take when. */
export const STRATEGIES = ['bins', 'random', 'dbal', 'round-robin', 'kmeans', 'herding', ...OBJECTIVES] as const;
export type Strategy = (typeof STRATEGIES)[number];

/** Options that one strategy alone looks at. */
export const OF_STRATEGY = {
  bins: 'bins',
  gain: 'bins',
  remainder: 'bins',
  engine: 'bins',
  clusters: 'kmeans',
  fraction: 'dbal',
  groups: 'round-robin',
} as const satisfies { [option: string]: Strategy };

export interface SelectOptions
  extends Omit<PartitionOptions, 'bins'>,
    Omit<DrawOptions, 'quota'>,
    Pick<DensityBalancedOptions, 'fraction'>,
    Pick<ClusterOptions, 'maxRounds'> {
  /** `bins` if not given. */
  strategy?: Strategy | undefined;
  /** Of `bins`, which needs it. */
  bins?: number | undefined;
  /** Of `kmeans`: K; a tenth of the budget if not given. */
  clusters?: number | undefined;
  /** Of `round-robin`: the group of each row. */
  groups?: ArrayLike<string | number> | undefined;
}

/**
 * Selects a coreset by one of the `STRATEGIES`:
 *
 * - `bins`: `partition` into `bins`, then `draw`; the only one that looks at `bins`, `gain`, `remainder`, `engine`;
 * - `random`, `kmeans` (into `clusters`, a tenth of the budget if not given), `round-robin` (needs `groups`): strata, then
 *   `draw`;
 * - `dbal`: `densityBalanced`; `herding`: `herding`;
 * - an objective: `maximize` with its default parameters.
 *
 * @param embeddings in memory or on disk, [N, d].
 * @throws as `readEmbeddings` and what is called do, naming the file; what can be checked is checked before the long part.
 */
export async function select(embeddings: Embeddings, options: SelectOptions): Promise<Selection> {
  const strategy = oneOf('strategy', options.strategy ?? 'bins', STRATEGIES);
  const matrix = onDisk(embeddings) ? await readEmbeddings(embeddings, options) : embeddings;
  checkMatrix(matrix);
  return selectFrom(matrix, strategy, options, onDisk(embeddings) ? sourceOf(embeddings) : undefined);
}

/** The same with the matrix at hand. @param source how messages call it. */
export async function selectFrom(
  matrix: EmbeddingMatrix,
  strategy: Strategy,
  options: SelectOptions,
  source?: string,
): Promise<Selection> {
  const { rows } = matrix;
  const { budgetCount, seed } = planDraw(options, rows);
  const draw = (strata: Partition, more = {}) => inSlices(drawInSteps(strata, { ...options, ...more }), options.signal);
  switch (strategy) {
    case 'bins': {
      const bins = integer('bins', options.bins, 1, rows);
      return draw(await partition(matrix, { ...options, bins }, source));
    }
    case 'random':
      return draw(oneStratum(rows));
    case 'kmeans': {
      const clusters = integer('clusters', options.clusters ?? Math.ceil(budgetCount / 10), 1, rows);
      return draw(await clusterStrata(matrix, { ...options, clusters }, source));
    }
    case 'round-robin': {
      const groups = options.groups ?? [];
      if (groups.length !== rows) throw outOfRange('groups.length', `${rows}, one group a row`, groups.length);
      return draw(await inSlices(groupStrataInSteps(groups), options.signal), { quota: 'equal' });
    }
    case 'dbal':
      return densityBalanced(matrix, options, source);
    case 'herding':
      return herding(matrix, options, source);
    default: {
      const found = await maximize(matrix, { ...options, objective: { name: strategy } }, source);
      const why = `${found.engine.optimizer} greedy, ${found.evaluations.toLocaleString('en')} gains looked at`;
      const engine = { ...report(strategy, why, found.engine.seconds * 1000), threads: found.engine.threads };
      return ranked(found.rows, found.gains, rows, seed, engine);
    }
  }
}
