/**
 * An encoder that has learnt something of its data: a MultiMAE trained end to end on depth, with a DPT adapter that is
 * thrown away or kept. The paper takes its embeddings from such a model (arXiv 2502.15834, section 4).
 */
import { join } from 'node:path';
import { integer } from '../check.js';
import { openDataset } from '../data/open.js';
import { makeOutFolder, writeFileAtomically } from '../files.js';
import { adapterWeights, tokenGrid } from '../models/adapter.js';
import { initialAdapterWeight } from '../models/initialiseAdapter.js';
import { type EncoderOptions, openEncoderWeights } from '../models/openEncoder.js';
import type { JobOptions } from '../progress.js';
import type { Augmentation } from '../train/augment.js';
import type { CurvePoint } from '../train/curve.js';
import { depthUnit } from '../train/depthTarget.js';
import { openImages } from '../train/images.js';
import { openLoader } from '../train/loader.js';
import { exportOnnx, saveWeights } from '../train/saveModel.js';
import { train } from '../train/train.js';
import { ADAPTER_PREFIX, type ModelConfig } from '../train/trainingGraph.js';

export interface PretrainOptions extends JobOptions {
  /** A data set with depth, see `openDataset`; its splits `train` and `val`. */
  data: string;
  /** Shape of the encoder and the weights that it starts from. */
  encoder?: Omit<EncoderOptions, 'device' | 'threads' | 'blocks'> | undefined;
  /** Optimizer steps; 2,000 if not given. */
  steps?: number | undefined;
  /** Samples of a mini-batch; 8 if not given. */
  batch?: number | undefined;
  /** Of AdamW, after a warm-up of a twentieth of the steps; then a cosine to 0. 5e-4 if not given. */
  learningRate?: number | undefined;
  /** Channels of the adapter's fused maps, even; 24 if not given. */
  featureDim?: number | undefined;
  /** `none` if not given. */
  augmentation?: Augmentation | undefined;
  /** Of the adapter's first weights, the order of the samples and the augmentation; 0 if not given. */
  seed?: number | undefined;
  /** Stores the encoder in half precision: half the size, and about three significant digits. */
  half?: boolean | undefined;
  threads?: number | undefined;
  device?: 'auto' | 'cpu' | 'cuda' | undefined;
  /** Folder for the files. */
  out: string;
}

export interface PretrainResult {
  /** Encoder alone, official names: for `weights` of any command. */
  readonly encoder: string;
  /** Encoder and adapter, float32, official names. */
  readonly model: string;
  /** The whole model as plain ONNX: rgb and semseg -> depth in metres. */
  readonly onnx: string;
  readonly curve: readonly CurvePoint[];
  readonly steps: number;
  readonly seconds: number;
}

/**
 * Trains encoder and adapter on the split `train`, validates on `val`, and writes `encoder.safetensors`,
 * `model.safetensors`, `model.onnx` and, last, `pretrain.json`. A killed call goes on from its checkpoint.
 *
 * @throws {ConfigError} `ERR_OUT_UNUSABLE`; otherwise as `openDataset`, `openEncoder` and `train` do; rejects with `signal.reason` when aborted.
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const { data, out, signal, onProgress, threads, device } = options;
  const seed = integer('seed', options.seed ?? 0, 0);
  const steps = integer('steps', options.steps ?? 2000, 1);
  const batch = integer('batch', options.batch ?? 8, 1);
  const features = integer('featureDim', options.featureDim ?? 24, 2);
  const job = { signal, onProgress };
  await makeOutFolder(out);
  const source = await openEncoderWeights(options.encoder);
  const open: { close(): Promise<void> }[] = [source];
  const opened = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const item = await opening;
    open.push(item);
    return item;
  };
  try {
    const { config } = source;
    const cache = join(out, 'cache');
    const known = await opened(openDataset(data, { split: 'train' }));
    const unseen = await opened(openDataset(data, { split: 'val' }));
    const common = { cache, depth: true, ...job };
    const images = await opened(openImages(known, config, { ...common, augmentation: options.augmentation, seed }));
    const held = await opened(openImages(unseen, config, common));
    const quarter = (k: number) => Math.ceil((k * config.depth) / 4) - 1;
    const model: ModelConfig = {
      encoder: config,
      adapter: {
        kind: 'dpt',
        variant: 'paper',
        hooks: [quarter(1), quarter(2), quarter(3), quarter(4)],
        layerDims: [features, features, 2 * features, 2 * features],
        featureDim: features,
      },
      mainTasks: config.modalities,
      training: 'end-to-end',
      loss: 'berhu',
      target: await depthUnit(images),
    };
    const shapes = adapterWeights(model.adapter, tokenGrid(config, model.mainTasks), config);
    const first = (name: string) =>
      name.startsWith(ADAPTER_PREFIX)
        ? Promise.resolve(initialAdapterWeight(model.adapter, shapes, name.slice(ADAPTER_PREFIX.length), seed))
        : source.read(name);
    const [training, validation] = [await opened(openLoader(images)), await opened(openLoader(held))];
    const rows = (count: number) => Int32Array.from({ length: count }, (_, i) => i);
    const result = await train({
      model,
      weights: first,
      data: training.data(rows(images.rows)),
      validation: validation.data(rows(held.rows)),
      optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 },
      schedule: { learningRate: options.learningRate ?? 5e-4, shape: 'cosine', warmupSteps: Math.floor(steps / 20) },
      steps,
      batch,
      seed,
      evaluations: Math.min(10, steps),
      average: 'pixel',
      folder: out,
      threads,
      device,
      ...job,
    });
    const trained = async (name: string) => result.weights.get(name) ?? (await first(name));
    const files = {
      encoder: join(out, 'encoder.safetensors'),
      model: join(out, 'model.safetensors'),
      onnx: join(out, 'model.onnx'),
    };
    await saveWeights(files.model, model, trained);
    await saveWeights(files.encoder, model, trained, { encoderOnly: true, half: options.half ?? false });
    await exportOnnx(files.onnx, model, trained);
    const { curve, seconds } = result;
    const record = { model, origin: source.origin, data, steps, batch, seed, curve, seconds, files };
    await writeFileAtomically(join(out, 'pretrain.json'), `${JSON.stringify(record, null, 1)}\n`);
    return { ...files, curve, steps, seconds };
  } finally {
    for (const item of open.reverse()) await item.close();
  }
}
