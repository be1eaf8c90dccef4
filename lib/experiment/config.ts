/** The configuration of an experiment: one data set, one model, and the grid of what is compared. */
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { atLeast, type ConfigSource, checkAgainst, choice, group, type Problem, path } from '../configFile.js';
import { AGGREGATIONS } from '../embed/aggregate.js';
import { type PresetName, presets } from '../models/presets.js';
import { REDUCTIONS } from '../reduce/reduce.js';
import { GAINS } from '../select/bins.js';
import { STRATEGIES } from '../select/select.js';
import { AUGMENTATIONS } from '../train/augment.js';
import { DEPTH_TARGETS } from '../train/depthTarget.js';
import { DEPTH_LOSSES } from '../train/losses.js';
import { AVERAGES } from '../train/metrics.js';
import { OPTIMIZERS_OF_TRAINING, SCHEDULES } from '../train/optimizer.js';

export const PROTOCOLS = ['equal-steps', 'equal-epochs'] as const;
export const TASKS = ['depth', 'count', 'shape'] as const;

const positive = (what = 'a number > 0') => z.number(what).gt(0, what);
const fraction = (what = 'a fraction in (0, 1)') => z.number(what).gt(0, what).lt(1, what);
const list = <T extends z.ZodType>(item: T, what: string) => z.array(item, what).min(1, what);
/** Features of a trained DPT adapter: its fused maps, from fine to coarse; the paper calls the finest head_out. */
export const ADAPTER_LAYERS = ['head_out', 'path_1', 'path_2', 'path_3', 'path_4'] as const;
/** In the place of a file: seeded random weights. */
export const RANDOM_WEIGHTS = 'random';
const LAYER = `a block number from 0, or one of ${ADAPTER_LAYERS.join(', ')}`;
const DIMENSIONS = 'an integer >= 1, or auto';
const dimensions = z.union([atLeast(1), z.literal('auto')], DIMENSIONS);
const layer = z.union([atLeast(0), choice(ADAPTER_LAYERS)], LAYER);
const modality = choice(['rgb', 'semseg'] as const);
const four = (what: string) => z.tuple([atLeast(0, what), atLeast(0, what), atLeast(0, what), atLeast(0, what)], what);

const schema = z.strictObject(
  {
    /** Heads the report. */
    title: z.string('a text').min(1, 'a text').optional(),
    /** Exactly one of `path` and `generate`. */
    data: z.strictObject(
      {
        /** A data set with depth, see `openDataset`. */
        path: path.optional(),
        /** Splits of it. */
        split: z.string('the name of a split').min(1, 'the name of a split').default('train'),
        validation: z.string('the name of a split').min(1, 'the name of a split').default('val'),
        /** What part of the split each draw takes: draws of a fixed data set are random parts of it. */
        poolFraction: z
          .number('a fraction in (0, 1]')
          .gt(0, 'a fraction in (0, 1]')
          .max(1, 'a fraction in (0, 1]')
          .default(0.8),
        /** Renders CLEVR-like scenes, a data set of its own for each draw. */
        generate: z
          .strictObject(
            {
              scenes: atLeast(10).default(1000),
              /** Pixels. */
              size: atLeast(32).default(64),
              regime: choice(['uniform', 'logs']).default('logs'),
              valFraction: fraction().default(0.2),
              /** `<out>/data` if not given. */
              folder: path.optional(),
            },
            group,
          )
          .optional(),
      },
      group,
    ),
    encoder: z
      .strictObject(
        {
          preset: choice(Object.keys(presets) as PresetName[]).optional(),
          weights: path.optional(),
          model: path.optional(),
          seed: atLeast(0).optional(),
          /** Pixels; that of the encoder if not given. */
          image: atLeast(16).optional(),
          device: choice(['auto', 'cpu', 'cuda']).default('auto'),
        },
        group,
      )
      .prefault({}),
    /** `depth`, or a class of the scene: `count` of objects, `shape` that covers most pixels. */
    task: choice(TASKS).default('depth'),
    adapter: z
      .strictObject(
        {
          /** All three for depth; for classes `convnext` (of all places) or `linear` (of the mean token). */
          kind: choice(['dpt', 'convnext', 'linear']).default('dpt'),
          /** DPT: whether unused weights of the official code are there. */
          variant: choice(['official', 'paper']).default('paper'),
          /** DPT: encoder blocks whose tokens are taken; evenly spread if not given. */
          hooks: four('four block numbers').optional(),
          layerDims: four('four numbers of channels').default([24, 48, 96, 192]),
          featureDim: atLeast(2).default(32),
          /** Modalities whose tokens are decoded, side by side. */
          mainTasks: list(modality, 'a list of rgb and semseg').default(['rgb', 'semseg']),
          /** ConvNeXt: width of a token, sub-patches of it, blocks. */
          embedDim: atLeast(1).default(768),
          subPatches: atLeast(1).default(16),
          blocks: atLeast(1).default(4),
          /** Linear depth adapter: widths of the hidden layers. */
          hidden: z.array(atLeast(1), 'a list of widths').default([256, 256]),
        },
        group,
      )
      .prefault({}),
    training: z
      .strictObject(
        {
          /** `frozen`: the adapter learns on cached tokens; `end-to-end`: the encoder too. */
          encoder: choice(['frozen', 'end-to-end']).default('frozen'),
          /** Of the full data; see the protocols for subsets. */
          steps: atLeast(1).default(400),
          batch: atLeast(1).default(16),
          optimizer: choice(OPTIMIZERS_OF_TRAINING).default('adamw'),
          learningRate: positive().default(1e-3),
          weightDecay: z.number('a number >= 0').min(0, 'a number >= 0').default(1e-4),
          layerDecay: z
            .number('a number in (0, 1]')
            .gt(0, 'a number in (0, 1]')
            .max(1, 'a number in (0, 1]')
            .default(1),
          schedule: choice(SCHEDULES).default('cosine'),
          /** Part of the steps. */
          warmup: z
            .number('a fraction in [0, 1)')
            .min(0, 'a fraction in [0, 1)')
            .lt(1, 'a fraction in [0, 1)')
            .default(0.05),
          loss: choice(DEPTH_LOSSES).default('berhu'),
          /** Unit of the depth that is learnt; `auto` = mean 0 and standard deviation 1 over the pool. */
          target: choice(['auto', ...DEPTH_TARGETS]).default('auto'),
          augmentation: choice(AUGMENTATIONS).default('none'),
          /** Cached views of each sample where the encoder is frozen; the first is not augmented. */
          views: atLeast(1).default(1),
          /** How often a run is validated. */
          evaluations: atLeast(1).default(5),
          average: choice(AVERAGES).default('pixel'),
          /** Keeps every trained model, as safetensors and as plain ONNX, in the folder of its run. */
          keepModels: z.boolean('true or false').default(false),
        },
        group,
      )
      .prefault({}),
    /** Every combination is an embedding that each strategy looks at. */
    embeddings: z
      .strictObject(
        {
          aggregation: list(choice(AGGREGATIONS), 'a list of aggregations').default(['concat-modalities']),
          modalities: list(list(modality, 'a list of rgb and semseg'), 'a list of lists of rgb and semseg').default([
            ['rgb', 'semseg'],
          ]),
          /**
           * Blocks of the encoder, 0-based, the last if not given; or features of the adapter that was trained on the full
           * data of the draw (which have seen its depth), all modalities together.
           */
          layer: list(layer, `a list; each item ${LAYER}`).optional(),
          reduce: list(choice(REDUCTIONS), 'a list of reductions').default(['pca']),
          /** Of PCA and UMAP; of PCA clipped to the rank of the data, or `auto`: see `chooseDimensions`. */
          dims: list(dimensions, `a list; each item ${DIMENSIONS}`).default([64]),
        },
        group,
      )
      .prefault({}),
    /**
     * Takes the place of `embeddings` and `strategies`: only these combinations, not all. What one leaves out is the first
     * value of `embeddings`.
     */
    arms: list(
      z.strictObject(
        {
          strategy: choice(STRATEGIES.filter((name) => name !== 'random' && name !== 'round-robin')),
          aggregation: choice(AGGREGATIONS).optional(),
          modalities: list(modality, 'a list of rgb and semseg').optional(),
          layer: layer.optional(),
          reduce: choice(REDUCTIONS).optional(),
          dims: dimensions.optional(),
          /**
           * Of the encoder whose embedding this arm looks at, where it is not the one that the model is trained on: a file (of the
           * shape that `encoder.model` says, if there is one), or `random` = seeded random ones in the same shape.
           */
          weights: path.optional(),
        },
        group,
      ),
      'a list of arms',
    ).optional(),
    /** `full` and `random` are always compared. */
    strategies: list(
      choice(STRATEGIES.filter((name) => name !== 'random' && name !== 'round-robin')),
      'a list of strategies',
    ).default(['bins', 'facility-location', 'dbal']),
    bins: atLeast(1).default(10),
    gain: choice(GAINS).default('sqeuclidean'),
    budgets: list(fraction(), 'a list of fractions in (0, 1)').default([0.05, 0.2]),
    protocols: list(choice(PROTOCOLS), 'a list of protocols').default(['equal-steps', 'equal-epochs']),
    seeds: z
      .strictObject(
        {
          /** Draws of the data set: what intervals are over. */
          draws: atLeast(1).default(5),
          /** Random subsets of each draw. */
          random: atLeast(1).default(3),
          /** Seeds of initialisation and order; the same for all arms. */
          training: atLeast(1).default(1),
          /** The first seed of everything. */
          first: atLeast(0).default(0),
        },
        group,
      )
      .prefault({}),
    /** Threads of the whole experiment, 0 = all. */
    threads: atLeast(0).default(0),
    /** Training runs at a time; one for each thread if not given. */
    parallel: atLeast(1).optional(),
    out: path.optional(),
  },
  group,
);

/** What a person writes: everything but `data` may be left out. */
export type ExperimentConfigInput = z.input<typeof schema>;
/** A whole configuration: defaults filled in, paths absolute. */
export type ExperimentConfig = z.output<typeof schema> & { out: string };

/** What `coregain experiment` does when nothing is said. */
export const demoExperiment: ExperimentConfigInput = {
  data: { generate: { scenes: 200 } },
  // The side of the scenes: the encoder's own would only enlarge them.
  encoder: { image: 64 },
  adapter: { layerDims: [16, 16, 32, 32], featureDim: 16 },
  training: { steps: 100, batch: 8 },
  embeddings: { dims: [32] },
  budgets: [0.2],
  seeds: { draws: 3 },
};

/**
 * Checks a configuration, fills in defaults and makes paths absolute (relative to `source.folder`).
 * @throws {ConfigError} `ERR_CONFIG` naming the file, the line and every bad key.
 */
export function checkExperiment(value: unknown, source?: Omit<ConfigSource, 'value'>): ExperimentConfig {
  const config = checkAgainst(schema, value, source, conflicts);
  const folder = source?.folder ?? '.';
  const out = config.out === undefined ? resolve('coregain-experiment') : resolve(folder, config.out);
  const absolute = <K extends string>(key: K, value: string | undefined) =>
    (value === undefined ? {} : { [key]: resolve(folder, value) }) as { [key in K]?: string };
  const { data, encoder } = config;
  return {
    ...config,
    data: {
      ...data,
      ...absolute('path', data.path),
      ...(data.generate && {
        generate: { ...data.generate, folder: resolve(folder, data.generate.folder ?? join(out, 'data')) },
      }),
    },
    encoder: { ...encoder, ...absolute('weights', encoder.weights), ...absolute('model', encoder.model) },
    ...(config.arms && {
      arms: config.arms.map((arm) => ({
        ...arm,
        ...(arm.weights !== RANDOM_WEIGHTS && absolute('weights', arm.weights)),
      })),
    }),
    out,
  };
}

function conflicts({ data, adapter, training, task, embeddings, arms }: z.output<typeof schema>): Problem[] {
  const found: Problem[] = [];
  const add = (sentence: string, ...key: string[]) => found.push({ key, sentence });
  if ((data.path === undefined) === (data.generate === undefined)) {
    add('`data` needs one of `path` and `generate`: the path of a data set with depth, or what to render.', 'data');
  }
  if (task !== 'depth' && adapter.kind === 'dpt') {
    add(
      `\`task\` ${task} is a class, but \`adapter.kind\` dpt predicts depth. Use \`adapter.kind: linear\` or \`convnext\`.`,
      'adapter',
      'kind',
    );
  }
  if (training.encoder === 'end-to-end' && training.views > 1) {
    add(
      '`training.views` is for cached tokens; with `training.encoder: end-to-end` every pass is augmented anew. Take it out.',
      'training',
      'views',
    );
  }
  if (
    adapter.kind === 'convnext' &&
    (adapter.embedDim % adapter.subPatches !== 0 || Math.sqrt(adapter.subPatches) % 1 !== 0)
  ) {
    add('`adapter.subPatches` must be a square number that divides `adapter.embedDim`.', 'adapter', 'subPatches');
  }
  if (adapter.kind === 'dpt' && adapter.featureDim % 2 !== 0) {
    add('`adapter.featureDim` must be even: the head halves it.', 'adapter', 'featureDim');
  }
  // What is listed takes the place of the grid, so what the grid would combine does not matter then.
  const looked = arms
    ? arms.map((arm, i) => ({
        layer: arm.layer ?? embeddings.layer?.[0],
        aggregations: [arm.aggregation ?? embeddings.aggregation[0]!],
        keyOf: (part: 'layer' | 'aggregation') =>
          arm[part] === undefined ? ['embeddings', part] : ['arms', String(i), part],
      }))
    : (embeddings.layer ?? []).map((layer) => ({
        layer,
        aggregations: embeddings.aggregation,
        keyOf: (part: 'layer' | 'aggregation') => ['embeddings', part],
      }));
  const ofAdapter = looked.filter(({ layer }) => typeof layer === 'string');
  const first = ofAdapter[0];
  if (first && (task !== 'depth' || adapter.kind !== 'dpt')) {
    add(
      `Layer ${first.layer} is of a DPT adapter. Use \`task: depth\` and \`adapter.kind: dpt\`, or block numbers.`,
      ...first.keyOf('layer'),
    );
  }
  const trained = arms?.findIndex(
    (arm) => arm.weights !== undefined && typeof (arm.layer ?? embeddings.layer?.[0]) === 'string',
  );
  if (trained !== undefined && trained >= 0) {
    const key = ['arms', String(trained), 'weights'];
    found.push({
      key,
      sentence: 'Features of the trained adapter have its weights. Take `weights` out, or name a block.',
    });
  }
  const reduced = arms
    ? arms.map((arm) => ({ reduce: [arm.reduce ?? embeddings.reduce[0]!], dims: [arm.dims ?? embeddings.dims[0]!] }))
    : [embeddings];
  if (reduced.some(({ reduce, dims }) => reduce.includes('umap') && dims.includes('auto'))) {
    add('`dims` auto is of pca. Give umap a number of dimensions.', 'embeddings', 'dims');
  }
  const isOfTokens = (name: string) => name === 'concat-modalities' || name === 'last';
  const mixed = ofAdapter.find(({ aggregations }) => aggregations.some(isOfTokens));
  if (mixed) {
    add(
      `Aggregation ${mixed.aggregations.find(isOfTokens)} is of tokens, but layer ${mixed.layer} is a map. Use concat, mean or sum.`,
      ...mixed.keyOf('aggregation'),
    );
  }
  return found;
}
