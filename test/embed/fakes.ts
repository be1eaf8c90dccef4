/** A data set and an encoder without files or weights: pixels and tokens are arithmetic, so every expectation is exact. */
import { createHash } from 'node:crypto';
import type { Dataset, Modality, Raster } from '#lib/data/dataset.js';
import type { MultimaeConfig } from '#lib/models/config.js';
import type { Encoder, EncoderInput, TokenBatch } from '#lib/models/encoder.js';

export const config: MultimaeConfig = {
  variant: 'paper',
  dim: 6,
  depth: 3,
  heads: 2,
  patch: 4,
  image: 8,
  semsegClasses: 5,
  semsegStride: 1,
  semsegPadding: false,
  classEmbedding: 2,
  globalTokens: 1,
  modalities: ['rgb', 'semseg'],
};

export interface FakeDataset extends Dataset {
  /** How many images were decoded so far. */
  decoded: number;
}

/** `content(i)` decides what sample i looks like: equal numbers give equal images. */
export function fakeDataset(
  count: number,
  options: {
    content?: (i: number) => number;
    raster?: (i: number, modality: Modality) => Raster | undefined;
    readMs?: number;
  } = {},
): FakeDataset {
  const { content = (i) => i, readMs = 0 } = options;
  return {
    root: '/fake',
    modalities: ['rgb', 'semseg'],
    decoded: 0,
    samples: Array.from({ length: count }, (_, i) => ({
      id: `s${i}`,
      split: i % 5 === 4 ? 'val' : 'train',
      paths: { rgb: `rgb/${i}.png`, semseg: `semseg/${i}.png` },
      depthScale: Number.NaN,
      metadata: { clip: i % 3 },
    })),
    async read(i, modality) {
      // Samples come back out of order, as files do.
      if (readMs) await new Promise((resolve) => setTimeout(resolve, readMs * ((i * 7) % 3)));
      return {
        bytes: Buffer.from(`${modality} ${content(i)}`),
        decode: async () => {
          this.decoded++;
          const channels = modality === 'rgb' ? 3 : 1;
          const made = options.raster?.(i, modality);
          if (made) return made;
          const modulus = modality === 'rgb' ? 256 : 5;
          const data = Uint8Array.from({ length: 64 * channels }, (_, p) => (content(i) * 31 + p * 7) % modulus);
          return { width: 8, height: 8, channels, data };
        },
      };
    },
    close: async () => {},
  };
}

export interface FakeEncoder extends Encoder {
  calls: { batch: number; layers: readonly number[] }[];
  /** Calls of `pool` alone. */
  pooled: number;
}

/** Token t of layer l = a fixed function of the pixels of its patch; the global token = of all pixels. */
export function fakeEncoder(
  changes: Partial<MultimaeConfig> = {},
  options: { delayMs?: number; identity?: string; poison?: number; provider?: 'cpu' | 'cuda' } = {},
): FakeEncoder {
  const fake = { ...config, ...changes };
  const patches = (fake.image / fake.patch) ** 2;
  const tokens = fake.modalities.length * patches + fake.globalTokens;
  const calls: FakeEncoder['calls'] = [];
  const one = (input: EncoderInput, b: number, layer: number, out: Float32Array) => {
    const sums: number[] = [];
    for (const modality of fake.modalities) {
      const all = input[modality]!;
      const each = all.length / input.batch;
      for (let p = 0; p < patches; p++) {
        let sum = 0;
        for (let i = p; i < each; i += patches) sum += all[b * each + i]! * ((i % 11) + 1);
        sums.push(sum);
      }
    }
    for (let g = 0; g < fake.globalTokens; g++) sums.push(sums.reduce((a, v) => a + v, 0));
    for (const [t, sum] of sums.entries()) {
      for (let c = 0; c < fake.dim; c++) out[t * fake.dim + c] = sum * (c + 1) + layer * 100 + t;
    }
  };
  return {
    config: fake,
    identity: options.identity ?? createHash('sha256').update(JSON.stringify(fake)).digest('hex'),
    origin: 'arithmetic for tests',
    provider: options.provider ?? 'cpu',
    tf32: false,
    calls,
    pooled: 0,
    tokenRanges() {
      const range = (m: 'rgb' | 'semseg'): [number, number] | undefined => {
        const at = fake.modalities.indexOf(m);
        return at < 0 ? undefined : [at * patches, (at + 1) * patches];
      };
      return { rgb: range('rgb'), semseg: range('semseg'), global: [tokens - fake.globalTokens, tokens] };
    },
    async encode(input, layers): Promise<TokenBatch[]> {
      calls.push({ batch: input.batch, layers });
      if (options.delayMs) await new Promise((resolve) => setTimeout(resolve, options.delayMs));
      return layers.map((layer) => {
        const data = new Float32Array(input.batch * tokens * fake.dim);
        for (let b = 0; b < input.batch; b++) {
          one(input, b, layer, data.subarray(b * tokens * fake.dim, (b + 1) * tokens * fake.dim));
        }
        if (options.poison === calls.length) data[0] = Number.NaN;
        return { batch: input.batch, tokens, dim: fake.dim, data };
      });
    },
    async pool(input, layer, weights) {
      this.pooled++;
      const [batch] = await this.encode(input, [layer]);
      const rows = weights.length / tokens;
      const data = new Float32Array(input.batch * rows * fake.dim);
      for (let i = 0; i < data.length; i++) {
        const [b, row, c] = [Math.floor(i / (rows * fake.dim)), Math.floor(i / fake.dim) % rows, i % fake.dim];
        for (let t = 0; t < tokens; t++) {
          data[i]! += weights[row * tokens + t]! * batch!.data[(b * tokens + t) * fake.dim + c]!;
        }
      }
      return { batch: input.batch, tokens: rows, dim: fake.dim, data };
    },
    close: async () => {},
  };
}
