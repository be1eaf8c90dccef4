/** MultiMAE's own initialisation, seeded: what an encoder and the decoders of pretraining have before any training. */
import { elementCount } from '../weights/tensor.js';
import type { MultimaeConfig } from './config.js';
import { sinCosTable } from './positions.js';

/**
 * Values of the weight `name`. The stream of random numbers depends on the seed and the name only, so that a weight is
 * the same whatever else the model has.
 *
 * Linear weights: U(+-sqrt(6 / (in + out))), q, k and v each on its own; biases 0. Patch projections: the same on
 * [out, in k k], with PyTorch's U(+-1 / sqrt(in k k)) for the bias. Norms 1 and 0. Global tokens, class and task embeddings
 * and trainable positions: normal with standard deviation 0.02, cut off at +-2. Other positions: sine-cosine. Mask tokens 0.
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
  if (name === 'global_tokens' || name.endsWith('class_emb.weight') || name.includes('.task_embeddings.'))
    return fillNormal(data, randomStream(seed, name), 0.02);
  if (name.endsWith('.mask_token')) return data;
  if (/norm\d?\.weight$/.test(name)) return data.fill(1);
  const [outputs, ...inputs] = shape as [number, ...number[]];
  const fanIn = elementCount(inputs);
  if (name.startsWith('input_adapters.') && name.endsWith('proj.bias')) {
    return fillUniform(data, randomStream(seed, name), 1 / Math.sqrt(patchFanIn(config, name)));
  }
  if (name.endsWith('.bias')) return data;
  const joined = name.endsWith('.qkv.weight') ? 3 : name.endsWith('.kv.weight') ? 2 : 1;
  const fanOut = outputs / joined;
  return fillUniform(data, randomStream(seed, name), Math.sqrt(6 / (fanIn + fanOut)));
}

function patchFanIn(config: MultimaeConfig, name: string): number {
  const { patch, semsegStride, classEmbedding } = config;
  return name.includes('.rgb.') ? 3 * patch ** 2 : classEmbedding * (patch / semsegStride) ** 2;
}

export function fillUniform(data: Float32Array, random: RandomWords, bound: number): Float32Array {
  const words = new Uint32Array(4096);
  for (let start = 0; start < data.length; start += words.length) {
    random(words);
    const end = Math.min(start + words.length, data.length);
    for (let i = start; i < end; i++) data[i] = (words[i - start]! * 2 ** -31 - 1) * bound;
  }
  return data;
}

/** Box-Muller; values beyond +-2 are drawn again. */
export function fillNormal(data: Float32Array, random: RandomWords, deviation: number): Float32Array {
  const words = new Uint32Array(2);
  for (let i = 0; i < data.length; ) {
    random(words);
    const radius = Math.sqrt(-2 * Math.log(1 - words[0]! * 2 ** -32));
    const value = deviation * radius * Math.cos(2 * Math.PI * 2 ** -32 * words[1]!);
    if (Math.abs(value) <= 2) data[i++] = value;
  }
  return data;
}

/** Fills an array with uniform 32-bit words. */
export type RandomWords = (target: Uint32Array) => void;

/** sfc32 (Chris Doty-Humphrey, PractRand), seeded by a hash of seed and name. */
export function randomStream(seed: number, name: string): RandomWords {
  const state = Int32Array.of(0x9e3779b9, 0x243f6a88, seed, Math.floor(seed / 2 ** 32) | 1);
  const fill: RandomWords = (target) => {
    let [a, b, c, counter] = state as unknown as [number, number, number, number];
    for (let i = 0; i < target.length; i++) {
      const word = (((a + b) | 0) + counter) | 0;
      counter = (counter + 1) | 0;
      a = b ^ (b >>> 9);
      b = (c + (c << 3)) | 0;
      c = (((c << 21) | (c >>> 11)) + word) | 0;
      target[i] = word;
    }
    state.set([a, b, c, counter]);
  };
  const discarded = new Uint32Array(1);
  for (const character of name) {
    state[0]! ^= character.charCodeAt(0);
    fill(discarded);
  }
  fill(new Uint32Array(16));
  return fill;
}
