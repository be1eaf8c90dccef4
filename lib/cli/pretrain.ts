import { type Command, Option } from 'commander';
import { readModelConfig } from '../models/modelJson.js';
import { type PresetName, presets } from '../models/presets.js';
import { REBUILT, type Rebuilt } from '../models/spatialDecoder.js';
import { PRETRAIN_OBJECTIVES, type PretrainObjective } from '../pretrain/objectives.js';
import { pretrain } from '../pretrain/pretrain.js';
import { formatSeconds } from '../report/numbers.js';
import { AUGMENTATIONS, type Augmentation } from '../train/augment.js';
import type { CurvePoint } from '../train/curve.js';
import { addCommand } from './command.js';
import { integerFrom, listOf, threadsOption } from './options.js';

interface Flags {
  data: string;
  out: string;
  objective?: PretrainObjective;
  visible?: number;
  rebuild?: Rebuilt[];
  preset?: PresetName;
  weights?: string;
  model?: string;
  image?: number;
  steps?: number;
  batch?: number;
  augmentation?: Augmentation;
  half?: true;
  seed: number;
  threads?: number;
}

export function addPretrain(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'pretrain',
    needs: ['data', 'out'],
    summary: 'train an encoder on depth or on its own masked images, so that its embeddings mean something',
    examples: [
      'coregain pretrain --data scenes --out encoder --steps 4000',
      'coregain pretrain --objective masked --data photos --out masked',
      'coregain pretrain --data scenes --weights masked/encoder.safetensors --out encoder',
      'coregain run --data scenes --weights encoder/encoder.safetensors --out picked',
    ],
    resumes: true,
    async action({ model, preset, weights, image, seed, ...flags }, job) {
      const config = model === undefined ? undefined : await readModelConfig(model);
      const encoder = { preset, weights, image, config, ...(weights === undefined && { seed }) };
      const result = await pretrain({ ...flags, encoder, seed, ...job });
      const { curve, seconds, steps } = result;
      const last = curve.at(-1)!;
      return {
        json: result,
        lines: [
          `${steps} steps in ${formatSeconds(seconds)}: validation ${describe(last)}`,
          `  encoder  ${result.encoder}`,
          `  model    ${result.model}`,
          ...(result.onnx ? [`  onnx     ${result.onnx}`] : []),
        ],
      };
    },
  });
  command
    .option('--data <path>', 'data set with the splits train and val, for depth with depth maps')
    .option('--out <folder>', 'folder to write')
    .addOption(new Option('--objective <name>', 'what is learnt (default: depth)').choices(PRETRAIN_OBJECTIVES))
    .option('--visible <count>', 'masked: patches that the encoder sees (default: a quarter)', integerFrom(1))
    .option(
      '--rebuild <list>',
      'masked: what is rebuilt (default: all that the encoder sees, norm_rgb, and depth where the data have it)',
      listOf(REBUILT),
    )
    .addOption(new Option('--preset <name>', 'shape of the encoder (default: tiny)').choices(Object.keys(presets)))
    .option('--weights <file>', 'weights to start from (default: seeded random weights)')
    .option('--model <file>', 'model.json, for a shape that is no preset')
    .option('--image <pixels>', 'side of the images (default: that of the encoder)', integerFrom(16))
    .option('--steps <count>', 'optimizer steps (default: 2000)', integerFrom(1))
    .option('--batch <count>', 'samples of a mini-batch (default: 8)', integerFrom(1))
    .addOption(new Option('--augmentation <recipe>', 'how samples are varied (default: none)').choices(AUGMENTATIONS))
    .option('--half', 'store the encoder in half precision')
    .option('--seed <number>', 'of weights, order, masks and augmentation', integerFrom(0), 0);
  threadsOption(command);
}

/** The last point of the curve, in words: depth's error in metres, or the loss of each decoder. */
function describe({ metrics, valLoss }: CurvePoint): string {
  const loss = `loss ${valLoss.toFixed(4)}`;
  if (metrics.rmse !== undefined) return `rmse ${metrics.rmse.toFixed(3)} m, ${loss}`;
  const parts = Object.entries(metrics).map(([modality, value]) => `${modality} ${value.toFixed(4)}`);
  return `${loss} (${parts.join(', ')})`;
}
