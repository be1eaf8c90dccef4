import { ModelError } from '../errors.js';
import type { TensorFile } from '../weights/tensor.js';
import type { MultimaeConfig } from './config.js';
import { presets } from './presets.js';

/**
 * Reads the shape of an encoder from its weights. All of it follows from tensor shapes but three things: the number of
 * heads is known only for the widths of the presets; labels at full size (stride 1) mean the paper's variant, whose last
 * class is padding; and of 134 classes the last is the padding row of the official fine-tuning code.
 * ModelError `ERR_MODEL_UNKNOWN` where a model description is needed.
 */
export function inferConfig(weights: TensorFile): MultimaeConfig {
  const shapeOf = (name: string) => weights.tensors.get(name)?.shape;
  const unknown = (what: string) =>
    new ModelError(
      'ERR_MODEL_UNKNOWN',
      `${weights.path}: ${what}, so the shape of the encoder is not known. Give a model description (model.json).`,
    );

  const rgb = shapeOf('input_adapters.rgb.proj.weight');
  const positions = shapeOf('input_adapters.rgb.pos_emb');
  if (rgb?.length !== 4 || positions?.length !== 4)
    throw unknown('it has no "input_adapters.rgb" of a MultiMAE encoder');
  const [dim, , patch] = rgb as [number, number, number];
  const preset = Object.values(presets).find((candidate) => candidate.dim === dim);
  if (!preset) throw unknown(`tokens ${dim} wide do not tell the number of heads`);
  let depth = 0;
  while (weights.tensors.has(`encoder.${depth}.norm1.weight`)) depth++;
  if (depth === 0) throw unknown('it has no "encoder.0"');

  const classes = shapeOf('input_adapters.semseg.class_emb.weight');
  const labelPatch = shapeOf('input_adapters.semseg.proj.weight')?.[2] ?? patch / preset.semsegStride;
  const semsegStride = patch / labelPatch;
  const variant = semsegStride === 1 ? 'paper' : 'official';
  const rows = classes?.[0] ?? preset.semsegClasses;
  const semsegPadding = variant === 'paper' || rows === 134;
  return {
    variant,
    dim,
    depth,
    heads: preset.heads,
    patch,
    image: positions[2]! * patch,
    semsegClasses: semsegPadding ? rows - 1 : rows,
    semsegStride,
    semsegPadding,
    classEmbedding: classes?.[1] ?? preset.classEmbedding,
    globalTokens: shapeOf('global_tokens')?.[1] ?? 0,
    modalities: classes ? ['rgb', 'semseg'] : ['rgb'],
  };
}
