/** Which run each cell of the grid turned out to be: for a plan that looks at no data. Results never rest on it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.js';
import type { ExperimentConfig } from './config.js';
import type { Cell } from './grid.js';
import { keyOf } from './runStore.js';

const pathOf = ({ out }: ExperimentConfig) => join(out, 'runs', 'cells.json');

/** Name of a cell under this configuration: how many draws or threads there are does not matter. */
function cellName(config: ExperimentConfig, cell: Cell): string {
  const { data, encoder, task, adapter, training, bins, gain, seeds } = config;
  return keyOf({ data, encoder, task, adapter, training, bins, gain, first: seeds.first, cell }).slice(0, 32);
}

async function read(config: ExperimentConfig): Promise<Record<string, string>> {
  try {
    return JSON.parse(await readFile(pathOf(config), 'utf8'));
  } catch {
    return {}; // None yet, or damaged: the plan then knows of no finished runs.
  }
}

/** Adds what is known of these cells. */
export async function rememberCells(
  config: ExperimentConfig,
  units: readonly { readonly key: string; readonly cells: readonly Cell[] }[],
): Promise<void> {
  const index = await read(config);
  for (const { key, cells } of units) for (const cell of cells) index[cellName(config, cell)] = key;
  await writeFileAtomically(pathOf(config), JSON.stringify(index));
}

/** The key of each cell's run where it is known. */
export async function recallCells(config: ExperimentConfig, cells: readonly Cell[]): Promise<(string | undefined)[]> {
  const index = await read(config);
  return cells.map((cell) => index[cellName(config, cell)]);
}
