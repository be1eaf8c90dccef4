import type { Command } from 'commander';
import { checkConfig, type RunConfigInput } from '../config.js';
import { openConfiguredData, openConfiguredEncoder } from '../configured.js';
import { embed } from '../embed/embed.js';
import { embedTensors } from '../embed/tensors.js';
import type { JobOptions } from '../progress.js';
import { formatCount, formatSeconds } from '../report/numbers.js';
import { addCommand, checkNeeds, type Outcome } from './command.js';
import { withFlags } from './configFlags.js';
import { type EncoderFlags, encoderOptions, threadsOption } from './options.js';

interface Flags extends EncoderFlags {
  data?: string;
  out?: string;
  tensors?: string;
  tokens?: string;
  threads?: number;
}

export function addEmbed(program: Command): void {
  const command = addCommand<Flags>(program, {
    name: 'embed',
    summary: 'images -> MultiMAE tokens -> one embedding a sample (embeddings.npy, samples.jsonl)',
    examples: [
      'coregain embed --data clevr --out embedded --preset base --weights multimae-b.pth',
      'coregain embed --tensors in.safetensors --weights encoder.safetensors --model model.json --tokens out.safetensors',
    ],
    resumes: true,
    action: (flags, job) => (flags.tensors === undefined ? embedImages(flags, job) : embedGivenTensors(flags, job)),
  });
  command
    .option('--data <path>', 'data set: a folder, or an NYU-Depth-v2 .mat file')
    .option('--out <folder>', 'folder to write');
  encoderOptions(command);
  threadsOption(command)
    .option('--tensors <file>', 'instead of --data: preprocessed tensors, .safetensors with rgb and semseg')
    .option('--tokens <file>', 'with --tensors: file for the tokens of all blocks, .safetensors');
}

async function embedImages(flags: Flags, job: JobOptions): Promise<Outcome> {
  checkNeeds('embed', flags, ['data', 'out'], 'For tensors: --tensors, --weights, --model and --tokens');
  const config = checkConfig((await withFlags({}, flags)) as RunConfigInput);
  const dataset = await openConfiguredData(config.data.path!, config.data.split);
  try {
    const encoder = await openConfiguredEncoder(config);
    try {
      const { aggregation, layer, batch, cache } = config.embed;
      const result = await embed(dataset, encoder, { aggregation, layer, batch, cache, out: config.out, ...job });
      const { rows, cols, cached, seconds } = result;
      return {
        json: { ...result, split: config.data.split, encoder: encoder.origin, provider: encoder.provider },
        lines: [
          `${formatCount(rows)} embeddings of ${formatCount(cols)} features in ${result.path}`,
          `  ${formatSeconds(seconds)} on ${encoder.provider}, ${formatCount(cached)} from the cache; split ${config.data.split}`,
          `  weights: ${encoder.origin}`,
        ],
      };
    } finally {
      await encoder.close();
    }
  } finally {
    await dataset.close();
  }
}

async function embedGivenTensors(flags: Flags, job: JobOptions): Promise<Outcome> {
  checkNeeds('embed', flags, ['tensors', 'weights', 'model', 'tokens'], 'For images: --data and --out');
  const { tensors, weights, model, tokens, threads, device } = flags as Flags &
    Record<'tensors' | 'weights' | 'model' | 'tokens', string>;
  const result = await embedTensors({ tensors, weights, model, tokens, threads, device, ...job });
  const { batch, layers, dim } = result;
  return {
    json: { ...result, path: tokens },
    lines: [`Tokens of ${batch} samples, ${layers} blocks, [${result.tokens}, ${dim}] each, in ${tokens}`],
  };
}
