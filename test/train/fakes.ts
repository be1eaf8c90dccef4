/** A data set whose pixels say where they are: x and y in red and green, and the same in labels and depth. */
import type { Dataset, Modality, Raster } from '#lib/data/dataset.js';
import type { MultimaeConfig } from '#lib/models/config.js';

export const config: MultimaeConfig = {
  variant: 'paper',
  dim: 6,
  depth: 3,
  heads: 2,
  patch: 4,
  image: 32,
  semsegClasses: 256,
  semsegStride: 1,
  semsegPadding: true,
  classEmbedding: 2,
  globalTokens: 1,
  modalities: ['rgb', 'semseg'],
};

export interface CoordinateDataset extends Dataset {
  decoded: number;
}

/** Red = 4x + 1, green = 4y + 1, label = x + y, depth = 1000 + 40 x + y millimetres, 0 where `hole` says. */
export function coordinates(
  count: number,
  options: {
    width?: number;
    height?: number;
    hole?: (x: number, y: number) => boolean;
    content?: (i: number) => number;
  } = {},
): CoordinateDataset {
  const { width = 32, height = 32, hole = () => false, content = (i) => i } = options;
  const raster = (i: number, modality: Modality): Raster => {
    const at = <T extends Raster['data']>(
      data: T,
      channels: number,
      value: (x: number, y: number, c: number) => number,
    ) => {
      for (let p = 0; p < data.length; p++) {
        const pixel = Math.floor(p / channels);
        data[p] = value(pixel % width, Math.floor(pixel / width), p % channels);
      }
      return { width, height, channels, data };
    };
    const n = width * height;
    if (modality === 'rgb') return at(new Uint8Array(3 * n), 3, (x, y, c) => [4 * x + 1, 4 * y + 1, content(i)][c]!);
    if (modality === 'semseg') return at(new Uint8Array(n), 1, (x, y) => x + y);
    return at(new Uint16Array(n), 1, (x, y) => (hole(x, y) ? 0 : 1000 + 40 * x + y));
  };
  return {
    root: '/fake',
    modalities: ['rgb', 'semseg', 'depth'],
    decoded: 0,
    samples: Array.from({ length: count }, (_, i) => ({
      id: `s${i}`,
      split: 'train',
      paths: { rgb: `rgb/${i}.png`, semseg: `semseg/${i}.png`, depth: `depth/${i}.png` },
      depthScale: 0.001,
      metadata: {},
    })),
    async read(i, modality) {
      return {
        bytes: Buffer.from(`${modality} ${content(i)} ${width} ${height}`),
        decode: async () => {
          this.decoded++;
          return raster(i, modality);
        },
      };
    },
    close: async () => {},
  };
}
