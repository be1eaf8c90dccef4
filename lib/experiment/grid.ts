/** What is compared: arms, and for each draw of the data set the subsets that they choose. */
import { basename, extname } from 'node:path';
import type { ExperimentConfig } from './config.js';
import type { Arm, EmbeddingChoice, Protocol } from './types.js';

/** One subset to train on. `selectSeed` counts from 0; only random subsets have more than one. */
export interface Cell {
  readonly arm: Arm;
  readonly budget: number;
  readonly protocol: Protocol;
  readonly draw: number;
  readonly selectSeed: number;
  readonly trainSeed: number;
}

/** Every embedding of the grid. */
export function embeddingChoices({ embeddings }: Pick<ExperimentConfig, 'embeddings'>): EmbeddingChoice[] {
  const { aggregation, modalities, layer, reduce, dims } = embeddings;
  const found: EmbeddingChoice[] = [];
  for (const how of aggregation) {
    for (const set of modalities) {
      for (const block of layer ?? [undefined]) {
        for (const reduction of reduce) {
          for (const size of reduction === 'none' ? [undefined] : dims) {
            const name = block === undefined ? 'last' : typeof block === 'string' ? block : `layer.${block}`;
            found.push({ aggregation: how, modalities: set, layer: name, reduction, dims: size });
          }
        }
      }
    }
  }
  return found;
}

/** `full` and `random` first, then the arms that are listed, or every strategy on every embedding. */
export function experimentArms(config: ExperimentConfig): Arm[] {
  const { embeddings, strategies, arms } = config;
  const listed = arms?.map(({ strategy, aggregation, modalities, layer, reduce, dims, weights }) => {
    const own = {
      aggregation: [aggregation ?? embeddings.aggregation[0]!],
      modalities: [modalities ?? embeddings.modalities[0]!],
      layer: layer === undefined ? embeddings.layer?.slice(0, 1) : [layer],
      reduce: [reduce ?? embeddings.reduce[0]!],
      dims: [dims ?? embeddings.dims[0]!],
    };
    const embedding = embeddingChoices({ embeddings: own })[0]!;
    return { strategy, embedding: weights === undefined ? embedding : { ...embedding, weights } };
  });
  const every = strategies.flatMap((strategy) =>
    embeddingChoices(config).map((embedding) => ({ strategy, embedding })),
  );
  const chosen = listed ?? every;
  const several = (of: (embedding: EmbeddingChoice) => string) =>
    new Set(chosen.map(({ embedding }) => of(embedding))).size > 1;
  const sets = several(({ modalities }) => modalities.join());
  const layers = several(({ layer }) => layer);
  const named = chosen.map(({ strategy, embedding }): Arm => {
    const { aggregation, modalities, layer, reduction, dims, weights } = embedding;
    // What all arms have in common is not said.
    const parts = [
      strategy,
      aggregation,
      ...(sets ? [modalities.join('+')] : []),
      ...(layers ? [layer] : []),
      ...(weights === undefined ? [] : [basename(weights, extname(weights))]),
      reduction === 'none' ? 'whole' : `${reduction}-${dims}`,
    ];
    return { name: parts.join(' '), strategy, embedding };
  });
  return [{ name: 'full', strategy: 'full' }, { name: 'random', strategy: 'random' }, ...named];
}

/** All cells of the grid, draw by draw, so that a stopped experiment has whole draws. */
export function experimentCells(config: ExperimentConfig): Cell[] {
  const { seeds, budgets, protocols } = config;
  const arms = experimentArms(config);
  const cells: Cell[] = [];
  for (let draw = 0; draw < seeds.draws; draw++) {
    for (let trainSeed = 0; trainSeed < seeds.training; trainSeed++) {
      for (const arm of arms) {
        // The full data take as many steps as they take epochs: the protocols are one.
        const full = arm.strategy === 'full';
        for (const protocol of full ? protocols.slice(0, 1) : protocols) {
          for (const budget of full ? [1] : budgets) {
            const subsets = arm.strategy === 'random' ? seeds.random : 1;
            for (let selectSeed = 0; selectSeed < subsets; selectSeed++) {
              cells.push({ arm, budget, protocol, draw, selectSeed, trainSeed });
            }
          }
        }
      }
    }
  }
  return cells;
}

/** Optimizer steps of a subset, when the full data of `pool` samples take `steps`. */
export function stepsOf(protocol: Protocol, steps: number, samples: number, pool: number): number {
  return protocol === 'equal-steps' ? steps : Math.max(1, Math.round((steps * samples) / pool));
}

/** Optimizer steps of a cell before its draw is known: to within the rounding of its number of samples. */
export function cellSteps({ training: { steps } }: ExperimentConfig, { arm, protocol, budget }: Cell): number {
  return arm.strategy === 'full' ? steps : stepsOf(protocol, steps, budget, 1);
}
