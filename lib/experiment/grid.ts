/** What is compared: arms, and for each draw of the data set the subsets that they choose. */
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

/** Every embedding that strategies look at, named for tables. */
export function embeddingChoices({ embeddings }: ExperimentConfig): { name: string; choice: EmbeddingChoice }[] {
  const { aggregation, modalities, layer, reduce, dims } = embeddings;
  const found: { name: string; choice: EmbeddingChoice }[] = [];
  for (const how of aggregation) {
    for (const set of modalities) {
      for (const block of layer ?? [undefined]) {
        for (const reduction of reduce) {
          for (const size of reduction === 'none' ? [undefined] : dims) {
            const parts = [
              how,
              ...(modalities.length > 1 ? [set.join('+')] : []),
              ...(layer && layer.length > 1 ? [`layer ${block}`] : []),
              reduction === 'none' ? 'whole' : `${reduction}-${size}`,
            ];
            const choice: EmbeddingChoice = {
              aggregation: how,
              modalities: set,
              layer: block === undefined ? 'last' : `layer.${block}`,
              reduction,
              dims: size,
            };
            found.push({ name: parts.join(' '), choice });
          }
        }
      }
    }
  }
  return found;
}

/** `full` and `random` first, then every strategy on every embedding. */
export function experimentArms(config: ExperimentConfig): Arm[] {
  const chosen = config.strategies.flatMap((strategy) =>
    embeddingChoices(config).map(
      ({ name, choice }): Arm => ({ name: `${strategy} ${name}`, strategy, embedding: choice }),
    ),
  );
  return [{ name: 'full', strategy: 'full' }, { name: 'random', strategy: 'random' }, ...chosen];
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
