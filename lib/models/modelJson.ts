import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ModelError } from '../errors.js';
import type { MultimaeConfig } from './config.js';

const size = z.int().min(1).max(65_536);

const schema = z.strictObject({
  variant: z.enum(['official', 'paper']),
  dim: size,
  depth: size,
  heads: size,
  patch: size,
  image: size,
  semsegClasses: size,
  semsegStride: size,
  semsegPadding: z.boolean(),
  classEmbedding: size,
  globalTokens: z.int().min(0).max(65_536),
  modalities: z.array(z.enum(['rgb', 'semseg'])).min(1),
});

/** Checks a model description; `source` names it in messages. ModelError `ERR_MODEL_CONFIG` lists what is wrong. */
export function checkModelConfig(value: unknown, source: string): MultimaeConfig {
  const parsed = schema.safeParse(value);
  const problems = parsed.success ? conflicts(parsed.data) : parsed.error.issues.map(describe);
  if (problems.length > 0 || !parsed.success) {
    throw new ModelError(
      'ERR_MODEL_CONFIG',
      `${source} does not describe a MultiMAE encoder: ${problems.join('; ')}. Correct these fields.`,
    );
  }
  return parsed.data;
}

function describe({ path, message }: z.core.$ZodIssue): string {
  return path.length > 0 ? `\`${path.join('.')}\`: ${message}` : message;
}

function conflicts(config: MultimaeConfig): string[] {
  const { dim, heads, image, patch, semsegStride, modalities } = config;
  const problems: string[] = [];
  if (dim % heads !== 0) problems.push(`\`heads\` (${heads}) does not divide \`dim\` (${dim})`);
  if (dim % 4 !== 0) problems.push(`\`dim\` (${dim}) is not a multiple of 4`);
  if (image % patch !== 0) problems.push(`\`patch\` (${patch}) does not divide \`image\` (${image})`);
  if (patch % semsegStride !== 0)
    problems.push(`\`semsegStride\` (${semsegStride}) does not divide \`patch\` (${patch})`);
  if (new Set(modalities).size !== modalities.length) problems.push('`modalities` has one twice');
  return problems;
}

/** Reads `model.json`. ModelError `ERR_MODEL_CONFIG` naming the file and every field that is wrong. */
export async function readModelConfig(path: string): Promise<MultimaeConfig> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new ModelError('ERR_MODEL_CONFIG', `${path} cannot be read as JSON: ${(cause as Error).message}.`, { cause });
  }
  return checkModelConfig(value, path);
}
