/** One draw of the data set: its samples, what the model is trained and validated on, and its embeddings. */
import { join } from 'node:path';
import type { Dataset } from '../data/dataset.js';
import { generateScenes } from '../data/generate.js';
import { openDataset } from '../data/open.js';
import { subset } from '../data/subset.js';
import { DataError } from '../errors.js';
import type { Encoder } from '../models/encoder.js';
import type { JobOptions } from '../progress.js';
import { someRows } from '../select/random.js';
import { depthTarget, depthUnit } from '../train/depthTarget.js';
import { openImages } from '../train/images.js';
import { openLoader } from '../train/loader.js';
import { sceneLabels } from '../train/sceneLabels.js';
import { tokenData } from '../train/tokenData.js';
import { openTokenStore } from '../train/tokenStore.js';
import type { ModelConfig } from '../train/trainingGraph.js';
import type { TrainingData } from '../train/types.js';
import type { ExperimentConfig } from './config.js';
import { modelOf } from './model.js';

/** A draw, ready to train on. Close it when done. */
export interface Draw {
  readonly index: number;
  readonly pool: Dataset;
  readonly validation: Dataset;
  readonly model: ModelConfig;
  /** Equal for equal pool, validation samples and model. */
  readonly identity: string;
  /** Equal for equal validation samples. */
  readonly validationIdentity: string;
  /** Names of the classes of a classifier. */
  readonly classes: readonly string[] | undefined;
  /** The samples `rows` of the pool to train on. */
  trainOn(rows: Int32Array): TrainingData;
  readonly validateOn: TrainingData;
  /** Tokens computed by this call, samples a second. */
  readonly tokens: { readonly computed: number; readonly seconds: number };
  close(): Promise<void>;
}

/** Part of the key of every run: change it when equal configurations give other results. */
const EXPERIMENT_VERSION = 4;

export async function openDraw(
  config: ExperimentConfig,
  encoder: Encoder,
  index: number,
  job: JobOptions,
): Promise<Draw> {
  const { pool, validation } = await openData(config, index, job);
  // What has been opened, to be closed in the opposite order.
  const open: { close(): Promise<void> }[] = [pool, validation];
  const close = async () => {
    for (const item of open.reverse()) await item.close();
  };
  const opened = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const item = await opening;
    open.push(item);
    return item;
  };
  try {
    const { task, training, out } = config;
    const labels = task === 'depth' ? undefined : await labelsOf(task, pool, validation);
    const depth = task === 'depth';
    const cache = join(out, 'cache');
    const frozen = training.encoder === 'frozen';
    const seed = config.seeds.first + index;
    const { augmentation } = training;
    const views = frozen ? training.views : undefined;
    const source = await opened(openImages(pool, encoder.config, { cache, augmentation, views, seed, depth, ...job }));
    const unseen = await opened(openImages(validation, encoder.config, { cache, depth, ...job }));
    const model = modelOf(config, encoder.config, {
      ...(depth && {
        target: training.target === 'auto' ? await depthUnit(source) : depthTarget(training.target, pool),
      }),
      ...(labels && { classes: labels.classes.length }),
    });
    const all = Int32Array.from({ length: unseen.rows }, (_, i) => i);
    const of = async (images: typeof source) => {
      if (!frozen) return { ...(await opened(openLoader(images))), computed: 0, seconds: 0 };
      const store = await opened(openTokenStore(images, encoder, model, { cache, batch: training.batch, ...job }));
      const data = (rows: Int32Array, classes?: Int32Array) => tokenData(store, rows, classes);
      return { data, computed: store.computed, seconds: store.seconds };
    };
    const [known, unknown] = [await of(source), await of(unseen)];
    return {
      index,
      pool,
      validation,
      model,
      identity: [EXPERIMENT_VERSION, encoder.identity, source.identity, unseen.identity].join(' '),
      validationIdentity: unseen.identity,
      classes: labels?.classes,
      trainOn: (rows) => known.data(rows, labels?.pool),
      validateOn: unknown.data(all, labels?.validation),
      tokens: { computed: known.computed + unknown.computed, seconds: known.seconds + unknown.seconds },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openData(
  { data, seeds, threads }: ExperimentConfig,
  index: number,
  job: JobOptions,
): Promise<{ pool: Dataset; validation: Dataset }> {
  const { generate } = data;
  if (generate) {
    const seed = seeds.first + index;
    const folder = join(generate.folder!, `${generate.regime}-${generate.scenes}-${generate.size}-${seed}`);
    await generateScenes(folder, { ...generate, seed, threads, ...job });
    const pool = await openDataset(folder, { split: 'train' });
    return { pool, validation: await openDataset(folder, { split: 'val' }) };
  }
  const all = await openDataset(data.path!, { split: data.split });
  const validation = await openDataset(data.path!, { split: data.validation });
  const count = Math.round(all.samples.length * data.poolFraction);
  if (count < 2) {
    throw new DataError(
      'ERR_DATASET_EMPTY',
      `${data.path} has too few samples in split ${data.split} for an experiment.`,
    );
  }
  return { pool: subset(all, someRows(all.samples.length, count, seeds.first + index, 0)), validation };
}

/** Classes are counted over both splits, so that they have the same numbers. */
async function labelsOf(task: 'count' | 'shape', pool: Dataset, validation: Dataset) {
  const [a, b] = [await sceneLabels(pool, task), await sceneLabels(validation, task)];
  const numeric = (x: string, y: string) => Number(x) - Number(y) || (x < y ? -1 : 1);
  const classes = [...new Set([...a.classes, ...b.classes])].sort(numeric);
  const renumber = ({ labels, classes: own }: typeof a) => labels.map((label) => classes.indexOf(own[label]!));
  return { classes, pool: renumber(a), validation: renumber(b) };
}
