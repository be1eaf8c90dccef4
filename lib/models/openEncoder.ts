import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { createModelFolder } from '../onnx/modelFolder.js';
import { type OnnxSession, openSession, type SessionOptions, type SessionTensor } from '../onnx/session.js';
import { openWeights } from '../weights/openWeights.js';
import type { MultimaeConfig } from './config.js';
import type { Encoder, EncoderInput, TokenBatch } from './encoder.js';
import { inferConfig } from './inferConfig.js';
import { checkModelConfig } from './modelJson.js';
import { classRows, type EncoderModality, encoderGraph, encoderWeights } from './multimae.js';
import { type PositionTable, resizeTable } from './positions.js';
import { type PresetName, presets } from './presets.js';
import { fileWeights, seededWeights, type WeightSource } from './weightSource.js';

export interface EncoderOptions extends SessionOptions {
  /**
   * Shape by name; `tiny` where neither `preset`, `config` nor `weights` is given. `tiny` has weights in this package,
   * tuned on the depth of rendered scenes; they are used unless there is a `seed`.
   */
  preset?: PresetName | undefined;
  /** Shape in full; comes before `preset` and before what the weights say. */
  config?: MultimaeConfig | undefined;
  /** `.pth` or `.safetensors` file; seeded initialisation without. */
  weights?: string | undefined;
  /** Seed of the initialisation where there are no weights; 0 if not given. */
  seed?: number | undefined;
  /** Image side in pixels; position tables of the weights are resized to it once. */
  image?: number | undefined;
  /** Modalities in token order; the others are left out of the encoder. */
  modalities?: EncoderModality[] | undefined;
  /** Builds the first `blocks` blocks only: cheaper when the tokens of a lower block are wanted. Default all. */
  blocks?: number | undefined;
}

/**
 * Opens a MultiMAE encoder in a thread of its own. Close it when done.
 * ModelError where weights and shape do not belong together, a file is broken or refused, or the model does not load.
 */
export async function openEncoder(options: EncoderOptions = {}): Promise<Encoder> {
  const { config, source } = await openSource(options);
  try {
    const blocks = integer('blocks', options.blocks ?? config.depth, 1, config.depth);
    const { session, positions, globalTokens, identity } = await load(config, source, blocks, options);
    return encoder(config, blocks, session, positions, globalTokens, { identity, origin: source.origin });
  } finally {
    await source.close();
  }
}

/** The weights of the encoder that these options name, one at a time. Close it when done. Throws as `openEncoder`. */
export async function openEncoderWeights(options: EncoderOptions = {}): Promise<WeightSource> {
  return (await openSource(options)).source;
}

/** Made by scripts/pretrain-tiny.mjs. */
const TINY_WEIGHTS = fileURLToPath(new URL('../../weights/tiny.safetensors', import.meta.url));
const TINY_ORIGIN = 'weights of this package, tuned on the depth of rendered scenes';

/** Settles the shape and where the weights come from. */
async function openSource(options: EncoderOptions): Promise<{ config: MultimaeConfig; source: WeightSource }> {
  const settle = (base: MultimaeConfig): MultimaeConfig =>
    checkModelConfig(
      { ...base, image: options.image ?? base.image, modalities: options.modalities ?? base.modalities },
      options.config ? '`config`' : 'The chosen model',
    );
  const named =
    options.preset === undefined
      ? undefined
      : presets[oneOf('preset', options.preset, Object.keys(presets) as PresetName[])];
  const shape = options.config ?? named ?? presets.tiny;
  const shipped = shape === presets.tiny && options.seed === undefined;
  if (options.weights === undefined && !shipped) {
    const config = settle(shape);
    return { config, source: seededWeights(config, integer('seed', options.seed ?? 0, 0)) };
  }
  if (options.weights === undefined) {
    const config = settle(shape);
    return { config, source: fileWeights(config, await openWeights(TINY_WEIGHTS), TINY_ORIGIN) };
  }
  const file = await openWeights(options.weights);
  try {
    const config = settle(options.config ?? inferConfig(file));
    if (named && named.dim !== config.dim) {
      throw outOfRange('preset', `one whose tokens are ${config.dim} wide, as in ${file.path}`, options.preset);
    }
    return { config, source: fileWeights(config, file) };
  } catch (error) {
    await file.close();
    throw error;
  }
}

type Positions = Partial<Record<EncoderModality, PositionTable>>;

/** Reads every weight once: into the identity, and into the model that ONNX Runtime loads. */
async function load(config: MultimaeConfig, source: WeightSource, blocks: number, options: SessionOptions) {
  const hash = createHash('sha256').update(JSON.stringify(Object.entries(config).sort()));
  const positions: Positions = {};
  let globalTokens = new Float32Array(0);
  const folder = await createModelFolder(encoderGraph(config, blocks));
  try {
    for (const [name, shape] of encoderWeights(config)) {
      const data = await source.read(name);
      await setImmediate(); // each step on a large weight takes tens of milliseconds: timers run in between
      hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      if (name === 'global_tokens') globalTokens = Float32Array.from(data);
      else if (name === 'input_adapters.rgb.pos_emb') positions.rgb = { rows: shape[2]!, cols: shape[3]!, data };
      else if (name === 'input_adapters.semseg.pos_emb') positions.semseg = { rows: shape[2]!, cols: shape[3]!, data };
      else await folder.put(name, data);
    }
    const session = await openSession(await folder.finish(), options);
    if (session.tf32) hash.update('tf32');
    return { session, positions, globalTokens, identity: hash.digest('hex') };
  } finally {
    await folder.remove();
  }
}

function encoder(
  config: MultimaeConfig,
  blocks: number,
  session: OnnxSession,
  positions: Positions,
  globalTokens: Float32Array,
  { identity, origin }: { identity: string; origin: string },
): Encoder {
  const { patch, dim } = config;
  let table: { height: number; width: number; data: Float32Array } | undefined;

  const patchGrid = (height: number, width: number) => {
    const side = (name: string, value: number) => {
      integer(name, value, patch);
      if (value % patch !== 0) throw outOfRange(name, `a multiple of the patch side ${patch}`, value);
      return value / patch;
    };
    return { rows: side('height', height), cols: side('width', width) };
  };

  const positionsFor = (height: number, width: number): Float32Array => {
    if (table?.height === height && table.width === width) return table.data;
    const { rows, cols } = patchGrid(height, width);
    table = { height, width, data: sequencePositions(config, positions, globalTokens, rows, cols) };
    return table.data;
  };

  const tokensOf = ({ height, width }: EncoderInput) => positionsFor(height, width).length / dim;

  /** Outputs as batches of tokens, by name. */
  const run = async (input: EncoderInput, pool: Float32Array, names: readonly string[]) => {
    const tokens = tokensOf(input);
    const feeds = checkInput(config, input);
    feeds.positions = { data: positionsFor(input.height, input.width), dims: [1, tokens, dim] };
    feeds.pool = { data: pool, dims: [pool.length / tokens, tokens] };
    const outputs = await session.run(feeds, [...new Set(names)]);
    const batches = Object.entries(outputs).map(([name, { data, dims }]): [string, TokenBatch] => [
      name,
      { batch: input.batch, tokens: dims[1]!, dim, data: data as Float32Array },
    ]);
    return Object.fromEntries(batches);
  };

  return {
    config,
    identity,
    origin,
    provider: session.provider,
    tf32: session.tf32,
    get onCpu() {
      return session.onCpu;
    },
    tokenRanges(height, width) {
      const { rows, cols } = patchGrid(height, width);
      const ranges: Record<'rgb' | 'semseg' | 'global', [number, number] | undefined> = {
        rgb: undefined,
        semseg: undefined,
        global: undefined,
      };
      config.modalities.forEach((modality, i) => {
        ranges[modality] = [i * rows * cols, (i + 1) * rows * cols];
      });
      const patches = config.modalities.length * rows * cols;
      if (config.globalTokens > 0) ranges.global = [patches, patches + config.globalTokens];
      return ranges;
    },
    async encode(input, layers) {
      for (const layer of layers) integer('layers', layer, 0, blocks - 1);
      const names = layers.map((layer) => `layer.${layer}`);
      const outputs = await run(input, new Float32Array(tokensOf(input)), names);
      return names.map((name) => outputs[name]!);
    },
    async pool(input, layer, weights) {
      const name = `pooled.${integer('layer', layer, 0, blocks - 1)}`;
      return (await run(input, weights, [name]))[name]!;
    },
    close: session.close,
  };
}

/** Positions of the whole sequence, token by token [T, D]: patches of each modality, then the global tokens themselves. */
function sequencePositions(
  config: MultimaeConfig,
  positions: Positions,
  globalTokens: Float32Array,
  rows: number,
  cols: number,
): Float32Array {
  const { dim } = config;
  const patches = rows * cols;
  const sequence = new Float32Array(config.modalities.length * patches * dim + globalTokens.length);
  config.modalities.forEach((modality, part) => {
    // Which kernel each modality uses is upstream's choice.
    const { data } = resizeTable(positions[modality]!, rows, cols, modality === 'rgb' ? 'bicubic' : 'bilinear');
    for (let token = 0; token < patches; token++) {
      for (let channel = 0; channel < dim; channel++) {
        sequence[(part * patches + token) * dim + channel] = data[channel * patches + token]!;
      }
    }
  });
  sequence.set(globalTokens, config.modalities.length * patches * dim);
  return sequence;
}

/** Checks a batch against the configuration and shapes it for the graph. */
function checkInput(config: MultimaeConfig, input: EncoderInput): Record<string, SessionTensor> {
  const { height, width, rgb, semseg } = input;
  const batch = integer('batch', input.batch, 1);
  const feeds: Record<string, SessionTensor> = {};
  const expectLength = (name: string, actual: number, dims: number[]) => {
    const expected = dims.reduce((product, dim) => product * dim, 1);
    if (actual !== expected) throw outOfRange(`${name}.length`, `${expected} = ${dims.join(' x ')}`, actual);
    return dims;
  };
  if (config.modalities.includes('rgb')) {
    if (!(rgb instanceof Float32Array)) throw wrongType('rgb', 'a Float32Array, because this encoder takes rgb', rgb);
    feeds.rgb = { data: rgb, dims: expectLength('rgb', rgb.length, [batch, 3, height, width]) };
  }
  if (config.modalities.includes('semseg')) {
    if (!(semseg instanceof Int32Array))
      throw wrongType('semseg', 'an Int32Array, because this encoder takes semseg', semseg);
    const [rows, cols] = [height / config.semsegStride, width / config.semsegStride];
    feeds.semseg = { data: semseg, dims: expectLength('semseg', semseg.length, [batch, rows, cols]) };
    checkLabels(semseg, classRows(config), rows * cols, cols);
  }
  return feeds;
}

function checkLabels(labels: Int32Array, classes: number, pixels: number, cols: number): void {
  const bad = labels.findIndex((label) => label < 0 || label >= classes);
  if (bad < 0) return;
  const pixel = bad % pixels;
  const place = `sample ${Math.floor(bad / pixels)}, row ${Math.floor(pixel / cols)}, column ${pixel % cols}`;
  throw outOfRange(`semseg (${place})`, `a class id in 0..${classes - 1}`, labels[bad]);
}
