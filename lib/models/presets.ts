import type { MultimaeConfig } from './config.js';

export type PresetName = 'tiny' | 'base' | 'large';

const official = {
  variant: 'official',
  patch: 16,
  semsegStride: 4,
  classEmbedding: 64,
  globalTokens: 1,
  modalities: ['rgb', 'semseg'],
} as const;

/**
 * The sizes that can be asked for by name. `base` and `large` are ViT-B and ViT-L at 224 px with the 133 COCO classes of
 * the official weights; official weights exist for `base` only. `tiny` is ours: 128 px and the 7 classes of the built-in
 * scenes (background, three shapes in two materials), small enough to embed a thousand scenes in seconds.
 */
export const presets: Readonly<Record<PresetName, MultimaeConfig>> = {
  tiny: {
    ...official,
    modalities: [...official.modalities],
    dim: 128,
    depth: 4,
    heads: 4,
    image: 128,
    semsegClasses: 7,
    semsegPadding: false,
  },
  base: {
    ...official,
    modalities: [...official.modalities],
    dim: 768,
    depth: 12,
    heads: 12,
    image: 224,
    semsegClasses: 133,
    semsegPadding: false,
  },
  large: {
    ...official,
    modalities: [...official.modalities],
    dim: 1024,
    depth: 24,
    heads: 16,
    image: 224,
    semsegClasses: 133,
    semsegPadding: false,
  },
};
