import { DataError } from '../errors.js';
import type { Sample } from './dataset.js';
import { imageName, readSampleFile, type SampleDraft } from './fileDataset.js';

/** Scene files read side by side. */
const LANES = 16;

/** Returns `value` if it is a usable scale: metres per stored unit. @throws {DataError} `ERR_DEPTH_SCALE` */
export function checkDepthScale(value: unknown, where: string): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw new DataError(
    'ERR_DEPTH_SCALE',
    `${where} has depth_scale ${JSON.stringify(value)}. It must be a number > 0: metres per stored unit, e.g. 0.001.`,
  );
}

/**
 * Takes the depth scales that are not known yet from `depth_scale` of the samples' scene files. Those of samples with
 * neither stay NaN. A manifest that gives `depth_scale` itself saves reading all of them.
 */
export async function findDepthScales(root: string, samples: readonly SampleDraft[]): Promise<void> {
  const unknown = samples.filter(
    ({ depthScale, paths }) => Number.isNaN(depthScale) && paths.depth !== undefined && paths.scene !== undefined,
  );
  let next = 0;
  const lane = async () => {
    while (next < unknown.length) {
      const sample = unknown[next++]!;
      sample.depthScale = await sceneDepthScale(root, sample);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

async function sceneDepthScale(root: string, sample: Sample): Promise<number> {
  const text = (await readSampleFile(root, sample, 'scene')).toString('utf8');
  const name = imageName(root, sample, 'scene');
  let scene: { depth_scale?: unknown } | null;
  try {
    scene = JSON.parse(text);
  } catch (cause) {
    throw new DataError('ERR_SCENE_FILE', `${name} is not JSON. Make it anew, or take it out.`, { cause });
  }
  return scene?.depth_scale === undefined ? Number.NaN : checkDepthScale(scene.depth_scale, name);
}
