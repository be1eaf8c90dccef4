/** An experiment that takes seconds: few small scenes, and an encoder of four narrow blocks. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkExperiment, type ExperimentConfig, type ExperimentConfigInput } from '#lib/experiment/config.js';
import { officialConfig } from '../models/golden.js';

/** Writes `model.json` into a folder and returns what a person would write, for `<folder>/<name>`. */
export function smallInput(
  folder: string,
  change: Partial<ExperimentConfigInput> = {},
  name = 'out',
): ExperimentConfigInput {
  mkdirSync(folder, { recursive: true });
  const model = join(folder, 'model.json');
  writeFileSync(model, JSON.stringify({ ...officialConfig, dim: 16, heads: 2, image: 32, semsegClasses: 7 }));
  return {
    data: { generate: { scenes: 40, size: 32, regime: 'logs', folder: join(folder, 'scenes') } },
    encoder: { model, seed: 1, device: 'cpu' },
    adapter: { kind: 'linear', hidden: [8] },
    training: { steps: 6, batch: 4, evaluations: 2 },
    embeddings: { aggregation: ['mean'], reduce: ['none'] },
    strategies: ['facility-location'],
    budgets: [0.25],
    protocols: ['equal-steps'],
    seeds: { draws: 2, random: 2 },
    threads: 2,
    out: join(folder, name),
    ...change,
  };
}

export function smallConfig(
  folder: string,
  change: Partial<ExperimentConfigInput> = {},
  name = 'out',
): ExperimentConfig {
  return checkExperiment(smallInput(folder, change, name));
}
