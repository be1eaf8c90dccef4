import { type Command, Option } from 'commander';
import { readModelConfig } from '../models/modelJson.js';
import { type PresetName, presets } from '../models/presets.js';
import { pretrain } from '../pretrain/pretrain.js';
import { formatSeconds } from '../report/numbers.js';
import { AUGMENTATIONS, type Augmentation } from '../train/augment.js';
import { addCommand } from './command.js';
import { integerFrom, threadsOption } from './options.js';

interface Flags {
  data: string;
  out: string;
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
    summary: 'train an encoder on depth, so that its embeddings mean something',
    examples: [
      'coregain pretrain --data scenes --out encoder --steps 4000',
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
          `${steps} steps in ${formatSeconds(seconds)}: validation rmse ${last.metrics.rmse!.toFixed(3)} m, loss ${last.valLoss.toFixed(4)}`,
          `  encoder  ${result.encoder}`,
          `  model    ${result.model}`,
          `  onnx     ${result.onnx}`,
        ],
      };
    },
  });
  command
    .option('--data <path>', 'data set with depth and the splits train and val')
    .option('--out <folder>', 'folder to write')
    .addOption(new Option('--preset <name>', 'shape of the encoder (default: tiny)').choices(Object.keys(presets)))
    .option('--weights <file>', 'weights to start from (default: seeded random weights)')
    .option('--model <file>', 'model.json, for a shape that is no preset')
    .option('--image <pixels>', 'side of the images (default: that of the encoder)', integerFrom(16))
    .option('--steps <count>', 'optimizer steps (default: 2000)', integerFrom(1))
    .option('--batch <count>', 'samples of a mini-batch (default: 8)', integerFrom(1))
    .addOption(new Option('--augmentation <recipe>', 'how samples are varied (default: none)').choices(AUGMENTATIONS))
    .option('--half', 'store the encoder in half precision')
    .option('--seed <number>', 'of weights, order and augmentation', integerFrom(0), 0);
  threadsOption(command);
}
