/** What an experiment would do and cost, without doing it. */
import { openDataset } from '../data/open.js';
import { aggregatedSize } from '../embed/aggregate.js';
import type { MultimaeConfig } from '../models/config.js';
import { openEncoder } from '../models/openEncoder.js';
import { recordFields } from '../train/tokenStore.js';
import { adapterFeatureCount, isAdapterLayer } from './adapterFeatures.js';
import { recallCells } from './cellIndex.js';
import type { ExperimentConfig } from './config.js';
import { checkArmWeights, checkEncoder, encoderOptionsOf } from './encoder.js';
import { cellSteps, experimentArms, experimentCells } from './grid.js';
import { modelOf } from './model.js';
import { lanesOf } from './runGrid.js';
import { openRunStore } from './runStore.js';
import { measureStep } from './stepCost.js';

export interface ExperimentPlan {
  readonly arms: number;
  readonly draws: number;
  /** Samples to train on and to validate on in each draw. */
  readonly samples: { readonly pool: number; readonly validation: number };
  /** Entries of the comparison; those that turn out to train on the same samples share one run. */
  readonly cells: number;
  /** Cells whose run is there, and runs to do at most. */
  readonly finished: number;
  readonly toDo: number;
  /** Optimizer steps of the runs to do. */
  readonly steps: number;
  /** Training runs at a time, and threads of each. */
  readonly lanes: number;
  readonly threads: number;
  /** Measured on one run for about a second. */
  readonly stepSeconds: number;
  /** Expected of training and validation; rendering, encoding and selection come on top. */
  readonly seconds: number;
  /** Expected of all runs at a time and the embeddings of one draw. */
  readonly memoryBytes: number;
  /** Expected of cached tokens and embeddings of all draws; images come on top. */
  readonly diskBytes: number;
}

/** Guess of a classifier's classes before the scenes are looked at: too few to matter to the cost. */
const CLASSES = 10;
const FLOAT_BYTES = 4;

/**
 * Counts the runs of a configuration, sees which are finished, and times a few optimizer steps of its model.
 * Nothing is written. Throws as `experiment` does for an encoder, a data set or a model that cannot be used.
 */
export async function planExperiment(config: ExperimentConfig): Promise<ExperimentPlan> {
  await checkArmWeights(config);
  const encoder = await openEncoder(await encoderOptionsOf(config));
  try {
    checkEncoder(config, encoder);
  } finally {
    await encoder.close();
  }
  const { training, parallel, threads, seeds, data } = config;
  const cells = experimentCells(config);
  const samples = await samplesOf(config);
  const keys = await recallCells(config, cells);
  const store = openRunStore(`${config.out}/runs`);
  /** Steps of each run to do. */
  const toDo = new Map<string, number>();
  let finished = 0;
  for (const [i, cell] of cells.entries()) {
    const key = keys[i] ?? JSON.stringify(cell);
    if (toDo.has(key)) continue;
    if (keys[i] && (await store.find(key))) finished++;
    else toDo.set(key, cellSteps(config, cell));
  }
  const lanes = lanesOf({ parallel, threads }, Math.max(1, toDo.size));
  const model = modelOf(config, encoder.config, { classes: CLASSES });
  const cost = await measureStep(config, model, lanes.threads);
  const steps = [...toDo.values()].reduce((sum, count) => sum + count, 0);
  const validations = toDo.size * training.evaluations * Math.ceil(samples.validation / training.batch);
  const floats = recordFields(model).reduce((sum, { length }) => sum + length, 0);
  // Draws of a fixed data set share their tokens.
  const drawn = data.generate ? seeds.draws : 1 / data.poolFraction;
  const records = training.encoder === 'frozen' ? drawn * samples.pool * training.views + samples.validation : 0;
  const vectors = embeddingFloats(config, encoder.config) * samples.pool;
  return {
    arms: experimentArms(config).length,
    draws: seeds.draws,
    samples,
    cells: cells.length,
    finished,
    toDo: toDo.size,
    steps,
    lanes: lanes.count,
    threads: lanes.threads,
    stepSeconds: cost.stepSeconds,
    seconds: (steps * cost.stepSeconds + validations * cost.validationSeconds) / lanes.count,
    memoryBytes: process.memoryUsage().rss + (lanes.count - 1) * cost.memoryBytes + vectors * FLOAT_BYTES,
    // Every vector is in the cache and in the matrix of its draw.
    diskBytes: Math.round(FLOAT_BYTES * (records * floats + 2 * seeds.draws * vectors)),
  };
}

async function samplesOf({ data }: ExperimentConfig): Promise<{ pool: number; validation: number }> {
  const { generate } = data;
  if (generate) {
    const validation = Math.round(generate.scenes * generate.valFraction);
    return { pool: generate.scenes - validation, validation };
  }
  const count = async (split: string) => {
    const dataset = await openDataset(data.path!, { split });
    await dataset.close();
    return dataset.samples.length;
  };
  const [pool, validation] = [await count(data.split), await count(data.validation)];
  return { pool: Math.round(pool * data.poolFraction), validation };
}

/** Features of all embeddings of one sample, whole and reduced. */
function embeddingFloats(config: ExperimentConfig, { image, patch, dim, globalTokens }: MultimaeConfig): number {
  const whole = new Map<string, number>();
  let reduced = 0;
  for (const { embedding: choice } of experimentArms(config)) {
    if (!choice) continue;
    const { aggregation, modalities, layer, weights, dims = 0 } = choice;
    const side = image / patch;
    const tokens = modalities.length * side ** 2 + globalTokens;
    const size = isAdapterLayer(layer)
      ? adapterFeatureCount(layer, aggregation, config.adapter.featureDim, side)
      : aggregatedSize(aggregation, tokens, dim, modalities.length);
    whole.set(JSON.stringify([aggregation, modalities, layer, weights]), size);
    reduced += dims === 'auto' ? size : Math.min(dims, size);
  }
  return reduced + [...whole.values()].reduce((sum, size) => sum + size, 0);
}
