/**
 * An encoder that has learnt something of its data: a MultiMAE trained end to end on depth, with a DPT adapter that is
 * thrown away or kept, or on its own images with most patches hidden. The paper takes its embeddings from a model that had
 * both, one after the other (arXiv 2502.15834, section 4).
 */
import { join } from 'node:path';
import { integer, oneOf, outOfRange } from '../check.js';
import { openDataset } from '../data/open.js';
import { makeOutFolder, writeFileAtomically } from '../files.js';
import { type EncoderOptions, openEncoderWeights } from '../models/openEncoder.js';
import type { Rebuilt } from '../models/spatialDecoder.js';
import type { JobOptions } from '../progress.js';
import type { Augmentation } from '../train/augment.js';
import type { CurvePoint } from '../train/curve.js';
import { checkModalities, openImages } from '../train/images.js';
import { openLoader } from '../train/loader.js';
import { exportOnnx, saveWeights } from '../train/saveModel.js';
import { train } from '../train/train.js';
import {
  depthPretraining,
  maskedPretraining,
  PRETRAIN_OBJECTIVES,
  type PretrainObjective,
  rebuiltOf,
} from './objectives.js';

export interface PretrainOptions extends JobOptions {
  /** A data set, with depth where that is the objective, see `openDataset`; its splits `train` and `val`. */
  data: string;
  /** What is learnt; `depth` if not given. */
  objective?: PretrainObjective | undefined;
  /** Shape of the encoder and the weights that it starts from. */
  encoder?: Omit<EncoderOptions, 'device' | 'threads' | 'blocks'> | undefined;
  /** Optimizer steps; 2,000 if not given. */
  steps?: number | undefined;
  /** Samples of a mini-batch; 8 if not given. */
  batch?: number | undefined;
  /** Of AdamW, after a warm-up of a twentieth of the steps; then a cosine to 0. 5e-4 if not given, 1e-3 for `masked`. */
  learningRate?: number | undefined;
  /** Of `depth`: channels of the adapter's fused maps, even; 24 if not given. */
  featureDim?: number | undefined;
  /** Of `masked`: patches that the encoder sees of a sample, of all modalities together; a quarter if not given. */
  visible?: number | undefined;
  /**
   * Of `masked`: what is rebuilt. If not given, as the official recipe: all modalities of the encoder, RGB a second time with
   * normalised patches (`norm_rgb`), and depth where both splits have it.
   */
  rebuild?: readonly Rebuilt[] | undefined;
  /** `none` if not given. */
  augmentation?: Augmentation | undefined;
  /** Of the first weights of adapter or decoders, the order of the samples, masks and augmentation; 0 if not given. */
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
  /** Encoder and adapter or decoders, float32, official names. */
  readonly model: string;
  /** Of `depth`: the whole model as plain ONNX: rgb and semseg -> depth in metres. */
  readonly onnx?: string;
  readonly curve: readonly CurvePoint[];
  readonly steps: number;
  readonly seconds: number;
}

/**
 * Trains encoder and adapter or decoders on the split `train`, validates on `val`, and writes `encoder.safetensors`,
 * `model.safetensors`, `model.onnx` (`depth` only) and, last, `pretrain.json`. A killed call goes on from its checkpoint.
 *
 * @throws {ConfigError} `ERR_OUT_UNUSABLE`; otherwise as `openDataset`, `openEncoder` and `train` do; rejects with `signal.reason` when aborted.
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const { data, out, signal, onProgress, threads, device } = options;
  const objective = oneOf('objective', options.objective ?? 'depth', PRETRAIN_OBJECTIVES);
  const seed = integer('seed', options.seed ?? 0, 0);
  const steps = integer('steps', options.steps ?? 2000, 1);
  const batch = integer('batch', options.batch ?? 8, 1);
  const features = integer('featureDim', options.featureDim ?? 24, 2);
  for (const foreign of objective === 'masked' ? (['featureDim'] as const) : (['visible', 'rebuild'] as const)) {
    if (options[foreign] === undefined) continue;
    throw outOfRange(foreign, `left out where the objective is ${objective}`, options[foreign]);
  }
  const job = { signal, onProgress };
  const source = await openEncoderWeights(options.encoder);
  const open: { close(): Promise<void> }[] = [source];
  const opened = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const item = await opening;
    open.push(item);
    return item;
  };
  try {
    const { config } = source;
    const known = await opened(openDataset(data, { split: 'train' }));
    const unseen = await opened(openDataset(data, { split: 'val' }));
    const both = [known, unseen];
    const hasDepth = both.every(({ modalities }) => modalities.includes('depth'));
    const masked =
      objective === 'masked'
        ? maskedPretraining(config, options.visible, rebuiltOf(options.rebuild, config, hasDepth), seed)
        : undefined;
    const depth = masked?.model.rebuilt.includes('depth') ?? true;
    for (const dataset of both) checkModalities(dataset, config, depth);
    await makeOutFolder(out);
    const cache = join(out, 'cache');
    const common = { cache, depth, ...job };
    const images = await opened(openImages(known, config, { ...common, augmentation: options.augmentation, seed }));
    const held = await opened(openImages(unseen, config, common));
    const pretraining = masked ?? (await depthPretraining(config, images, features, seed));
    const { model } = pretraining;
    const first = async (name: string) =>
      name.startsWith('output_adapters.') ? pretraining.first(name) : source.read(name);
    const [training, validation] = [await opened(openLoader(images)), await opened(openLoader(held))];
    const rows = (count: number) => Int32Array.from({ length: count }, (_, i) => i);
    const result = await train({
      model,
      weights: first,
      data: pretraining.trains(training.data(rows(images.rows))),
      validation: pretraining.validates(validation.data(rows(held.rows))),
      optimizer: {
        kind: 'adamw',
        beta1: 0.9,
        beta2: pretraining.beta2,
        epsilon: 1e-8,
        weightDecay: 0.05,
        layerDecay: 1,
      },
      schedule: {
        learningRate: options.learningRate ?? pretraining.learningRate,
        shape: 'cosine',
        warmupSteps: Math.floor(steps / 20),
      },
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
      ...(model.loss !== 'masked' && { onnx: join(out, 'model.onnx') }),
    };
    await saveWeights(files.model, model, trained);
    await saveWeights(files.encoder, model, trained, { encoderOnly: true, half: options.half ?? false });
    if (model.loss !== 'masked') await exportOnnx(join(out, 'model.onnx'), model, trained);
    const { curve, seconds, execution } = result;
    const facts = { objective, model, origin: source.origin, data, steps, batch, seed };
    const record = { ...facts, execution, curve, seconds, files };
    await writeFileAtomically(join(out, 'pretrain.json'), `${JSON.stringify(record, null, 1)}\n`);
    return { ...files, curve, steps, seconds };
  } finally {
    for (const item of open.reverse()) await item.close();
  }
}
