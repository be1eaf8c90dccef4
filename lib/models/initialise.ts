/** MultiMAE's own initialisation, seeded: what an encoder has before any training. */
import { elementCount } from '../weights/tensor.js';
import type { MultimaeConfig } from './config.js';
import { sinCosTable } from './positions.js';

/**
 * Values of the weight `name`. The stream of random numbers depends on the seed and the name only, so that a weight is
 * the same whatever else the model has.
 *
 * Linear weights: U(+-sqrt(6 / (in + out))), q, k and v each on its own; biases 0. Patch projections: the same on
 * [out, in k k], with PyTorch's U(+-1 / sqrt(in k k)) for the bias. Norms 1 and 0. Global tokens, class embeddings and
 * trainable positions: normal with standard deviation 0.02, cut off at +-2. Other positions: sine-cosine.
 */
export function initialWeight(
  config: MultimaeConfig,
  name: string,
  shape: readonly number[],
  seed: number,
): Float32Array {
  const data = new Float32Array(elementCount(shape));
  if (name.endsWith('pos_emb')) {
    const trainable = config.variant === 'paper' && name === 'input_adapters.rgb.pos_emb';
    if (!trainable) return sinCosTable(shape[1]!, shape[2]!, shape[3]!).data;
    return fillNormal(data, randomStream(seed, name), 0.02);
  }
  if (name === 'global_tokens' || name.endsWith('class_emb.weight'))
    return fillNormal(data, randomStream(seed, name), 0.02);
  if (/norm\d\.weight$/.test(name)) return data.fill(1);
  const [outputs, ...inputs] = shape as [number, ...number[]];
  const fanIn = elementCount(inputs);
  if (name.startsWith('input_adapters.') && name.endsWith('proj.bias')) {
    return fillUniform(data, randomStream(seed, name), 1 / Math.sqrt(patchFanIn(config, name)));
  }
  if (name.endsWith('.bias')) return data;
  const fanOut = name.endsWith('attn.qkv.weight') ? outputs / 3 : outputs;
  return fillUniform(data, randomStream(seed, name), Math.sqrt(6 / (fanIn + fanOut)));
}

function patchFanIn(config: MultimaeConfig, name: string): number {
  const { patch, semsegStride, classEmbedding } = config;
  return name.includes('.rgb.') ? 3 * patch ** 2 : classEmbedding * (patch / semsegStride) ** 2;
}

function fillUniform(data: Float32Array, random: () => number, bound: number): Float32Array {
  for (let i = 0; i < data.length; i++) data[i] = (2 * random() - 1) * bound;
  return data;
}

/** Box-Muller; values beyond +-2 are drawn again. */
function fillNormal(data: Float32Array, random: () => number, deviation: number): Float32Array {
  for (let i = 0; i < data.length; ) {
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const value = deviation * radius * Math.cos(2 * Math.PI * random());
    if (Math.abs(value) <= 2) data[i++] = value;
  }
  return data;
}

/** Uniform numbers in [0, 1) with 32 bits: sfc32 (Chris Doty-Humphrey, PractRand), seeded by a hash of seed and name. */
function randomStream(seed: number, name: string): () => number {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, seed | 0, Math.floor(seed / 2 ** 32) | 1];
  const next = () => {
    const result = (a + b + counter++) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + result) | 0;
    return (result >>> 0) / 2 ** 32;
  };
  for (const character of name) {
    a ^= character.charCodeAt(0);
    next();
  }
  for (let i = 0; i < 16; i++) next();
  return next;
}
