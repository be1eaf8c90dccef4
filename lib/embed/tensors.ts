import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';
import { readModelConfig } from '../models/modelJson.js';
import { classRows } from '../models/multimae.js';
import { openEncoder } from '../models/openEncoder.js';
import { type Execution, executionOf } from '../onnx/placement.js';
import type { SessionOptions } from '../onnx/session.js';
import type { JobOptions } from '../progress.js';
import { openSafetensors, streamSafetensors } from '../weights/safetensors.js';
import type { TensorDtype, TensorFile, TensorInfo } from '../weights/tensor.js';

export interface EmbedTensorsOptions extends JobOptions, SessionOptions {
  /** safetensors file with `rgb` float32 [B, 3, H, W], normalised, and `semseg` int64 [B, H/stride, W/stride]. */
  tensors: string;
  /** Weights of the encoder: `.safetensors` or `.pth`. */
  weights: string;
  /** The encoder's shape: `model.json`. */
  model: string;
  /** safetensors file to write: `layer.0` .. `layer.L-1` and `final` (the last again), float32 [B, T, dim]. */
  tokens: string;
}

/** What was written, and with what. */
export interface EmbedTensorsResult extends Execution {
  readonly batch: number;
  readonly tokens: number;
  readonly dim: number;
  readonly layers: number;
  readonly origin: string;
  readonly identity: string;
}

// Samples in memory at a time: every block's tokens of all of them.
const CHUNK = 4;

/**
 * Embeds tensors that the caller has preprocessed: runs the encoder on them and writes the tokens of every block,
 * atomically, a few samples at a time. DataError `ERR_TENSORS_INPUT` naming the tensor that is missing or does not fit
 * the model description, or the sample and pixel with a label that is no class; ModelError as `openEncoder`.
 */
export async function embedTensors(options: EmbedTensorsOptions): Promise<EmbedTensorsResult> {
  const { signal, onProgress, threads, device } = options;
  signal?.throwIfAborted();
  const config = await readModelConfig(options.model);
  const input = await openSafetensors(options.tensors);
  try {
    const { batch, height, width } = checkTensors(config, input);
    const encoder = await openEncoder({ config, weights: options.weights, threads, device });
    try {
      const { dim, depth } = config;
      const ranges = encoder.tokenRanges(height, width);
      const tokens = Math.max(...Object.values(ranges).map((range) => range?.[1] ?? 0));
      const blocks = Array.from({ length: depth }, (_, block) => block);
      const names = [...blocks.map((block) => `layer.${block}`), 'final'];
      const layout = Object.fromEntries(
        names.map((name): [string, TensorInfo] => [name, { dtype: 'F32', shape: [batch, tokens, dim] }]),
      );
      await streamSafetensors(options.tokens, layout, async (put) => {
        for (let start = 0; start < batch; start += CHUNK) {
          signal?.throwIfAborted();
          const end = Math.min(start + CHUNK, batch);
          const samples = { batch: end - start, height, width, ...(await readSamples(config, input, start, end)) };
          const layers = await encoder.encode(samples, blocks);
          const element = start * tokens * dim;
          for (const block of blocks) await put(`layer.${block}`, element, layers[block]!.data);
          await put('final', element, layers[depth - 1]!.data);
          onProgress?.({ stage: 'embed', done: end, total: batch, unit: 'samples' });
        }
      });
      const { origin, identity } = encoder;
      return { batch, tokens, dim, layers: depth, ...executionOf(encoder), origin, identity };
    } finally {
      await encoder.close();
    }
  } finally {
    await input.close();
  }
}

function problem(path: string, what: string, cure: string): DataError {
  return new DataError('ERR_TENSORS_INPUT', `${path}: ${what}. ${cure}`);
}

/** Batch and full image size, which all modalities must agree on. */
function checkTensors(config: MultimaeConfig, file: TensorFile): { batch: number; height: number; width: number } {
  const shapeOf = (name: string, dtype: TensorDtype, rank: number, form: string): readonly number[] => {
    const tensor = file.tensors.get(name);
    if (!tensor) {
      throw problem(
        file.path,
        `there is no tensor "${name}"`,
        `Add it (${form}), or take "${name}" out of \`modalities\`.`,
      );
    }
    if (tensor.dtype !== dtype || tensor.shape.length !== rank || tensor.shape.includes(0)) {
      throw problem(file.path, `"${name}" is ${tensor.dtype} [${tensor.shape.join(', ')}]`, `It must be ${form}.`);
    }
    return tensor.shape;
  };
  const found = config.modalities.map((modality) => {
    if (modality === 'rgb') {
      const [batch, channels, height, width] = shapeOf('rgb', 'F32', 4, 'F32 [B, 3, H, W]') as [
        number,
        number,
        number,
        number,
      ];
      if (channels !== 3) throw problem(file.path, `"rgb" has ${channels} channels`, 'It must be F32 [B, 3, H, W].');
      return { batch, height, width };
    }
    const { semsegStride } = config;
    const [batch, rows, cols] = shapeOf('semseg', 'I64', 3, 'I64 [B, h, w]') as [number, number, number];
    return { batch, height: rows * semsegStride, width: cols * semsegStride };
  });
  const [first, second = first] = found as [(typeof found)[0], (typeof found)[0]?];
  if (first.batch !== second.batch) {
    throw problem(
      file.path,
      `the batch sizes of ${config.modalities.join(' and ')} are ${first.batch} and ${second.batch}`,
      'They must be equal.',
    );
  }
  if (first.height !== second.height || first.width !== second.width) {
    throw problem(
      file.path,
      `${config.modalities.join(' and ')} are of images of ${first.height} x ${first.width} and ${second.height} x ${second.width} pixels (labels at 1 / ${config.semsegStride})`,
      'Resize one, or correct `semsegStride` in the model description.',
    );
  }
  if (first.height % config.patch || first.width % config.patch) {
    throw problem(
      file.path,
      `images of ${first.height} x ${first.width} pixels cannot be cut into patches of ${config.patch}`,
      'Resize or pad them.',
    );
  }
  return first;
}

async function readSamples(config: MultimaeConfig, file: TensorFile, start: number, end: number) {
  const samples: { rgb?: Float32Array; semseg?: Int32Array } = {};
  if (config.modalities.includes('rgb')) samples.rgb = (await file.readRows('rgb', start, end)).data as Float32Array;
  if (config.modalities.includes('semseg')) {
    const { data, shape } = await file.readRows('semseg', start, end);
    samples.semseg = toLabels(config, file.path, data as BigInt64Array, shape, start);
  }
  return samples;
}

function toLabels(
  config: MultimaeConfig,
  path: string,
  ids: BigInt64Array,
  shape: readonly number[],
  start: number,
): Int32Array {
  const [, rows, cols] = shape as [number, number, number];
  const classes = classRows(config);
  return Int32Array.from(ids, (id, i) => {
    if (id < 0n || id >= BigInt(classes)) {
      const pixel = i % (rows * cols);
      const place = `sample ${start + Math.floor(i / (rows * cols))}, row ${Math.floor(pixel / cols)}, column ${pixel % cols}`;
      throw problem(path, `"semseg" has the label ${id} at ${place}`, `Class ids of this model are 0..${classes - 1}.`);
    }
    return Number(id);
  });
}
