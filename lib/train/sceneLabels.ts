/** Classification targets from what is known of a scene. */
import { join } from 'node:path';
import { oneOf } from '../check.js';
import type { Dataset, Sample } from '../data/dataset.js';
import { readSampleFile } from '../data/fileDataset.js';
import { DataError } from '../errors.js';

/** `count`: how many objects there are. `shape`: the one that covers most visible pixels, over all objects that have it. */
export type SceneTask = 'count' | 'shape';
export const SCENE_TASKS = ['count', 'shape'] as const satisfies readonly SceneTask[];

export interface SceneLabels {
  /** Names of the classes, in order: `3`, `4`, ... or `cube`, `cylinder`, ... */
  readonly classes: readonly string[];
  /** [N] class of each sample, as an index into `classes`. */
  readonly labels: Int32Array;
}

/** Scene files read side by side. */
const LANES = 16;

/**
 * The class of every sample. The number of objects is `n_objects` of the metadata, or counted in the scene file; the
 * dominant shape needs the scene file (`shape` and `visible_pixels` of each object); equal areas go to the shape that is
 * first by name. Every class occurs in the data set: make the labels before taking splits or subsets.
 * @throws {DataError} `ERR_SCENE_LABEL` naming the sample that does not say; `ERR_FILE_MISSING`.
 */
export async function sceneLabels(dataset: Dataset, task: SceneTask): Promise<SceneLabels> {
  oneOf('task', task, SCENE_TASKS);
  const names = new Array<string>(dataset.samples.length);
  let next = 0;
  const lane = async () => {
    while (next < names.length) {
      const i = next++;
      const sample = dataset.samples[i]!;
      names[i] = task === 'count' ? await countObjects(dataset, sample) : await dominantShape(dataset, sample);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const classes = [...new Set(names)].sort(
    task === 'count' ? (a, b) => Number(a) - Number(b) : (a, b) => (a < b ? -1 : 1),
  );
  const index = new Map(classes.map((name, i) => [name, i]));
  return { classes, labels: Int32Array.from(names, (name) => index.get(name)!) };
}

async function countObjects(dataset: Dataset, sample: Sample): Promise<string> {
  const known = sample.metadata.n_objects;
  if (known === undefined) return String((await objectsOf(dataset, sample)).length);
  if (Number.isInteger(known) && (known as number) >= 0) return String(known);
  throw new DataError(
    'ERR_SCENE_LABEL',
    `Sample ${JSON.stringify(sample.id)} of ${dataset.root} has n_objects ${JSON.stringify(known)}. It must be a whole number >= 0.`,
  );
}

async function dominantShape(dataset: Dataset, sample: Sample): Promise<string> {
  const areas = new Map<string, number>();
  for (const [i, object] of (await objectsOf(dataset, sample)).entries()) {
    const { shape, visible_pixels: pixels } = object as { shape?: unknown; visible_pixels?: unknown };
    if (typeof shape !== 'string' || typeof pixels !== 'number' || !(pixels >= 0)) {
      throw new DataError(
        'ERR_SCENE_LABEL',
        `${sceneName(dataset, sample)}: object ${i} has shape ${JSON.stringify(shape)} and visible_pixels ${JSON.stringify(pixels)}. ` +
          'The dominant shape needs both: a name and a number >= 0.',
      );
    }
    areas.set(shape, (areas.get(shape) ?? 0) + pixels);
  }
  const best = [...areas].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))[0];
  if (!best) {
    throw new DataError(
      'ERR_SCENE_LABEL',
      `${sceneName(dataset, sample)} has no objects, so it has no dominant shape. Take the sample out, or classify by number of objects.`,
    );
  }
  return best[0];
}

async function objectsOf(dataset: Dataset, sample: Sample): Promise<unknown[]> {
  if (sample.paths.scene === undefined) {
    throw new DataError(
      'ERR_SCENE_LABEL',
      `Sample ${JSON.stringify(sample.id)} of ${dataset.root} has no scene attributes. ` +
        'Give "scene" (a JSON file with `objects`) or "n_objects" in its line of manifest.jsonl, or train for depth instead.',
    );
  }
  const text = (await readSampleFile(dataset.root, sample, 'scene')).toString('utf8');
  try {
    const { objects } = JSON.parse(text) as { objects?: unknown };
    if (Array.isArray(objects) && objects.every((object) => typeof object === 'object' && object !== null)) {
      return objects;
    }
  } catch (cause) {
    throw new DataError(
      'ERR_SCENE_FILE',
      `${sceneName(dataset, sample)} is not JSON. Make it anew, or take the sample out.`,
      { cause },
    );
  }
  throw new DataError(
    'ERR_SCENE_LABEL',
    `${sceneName(dataset, sample)} has no array \`objects\`. Classification needs CLEVR's scene format.`,
  );
}

function sceneName(dataset: Dataset, sample: Sample): string {
  return `scene of sample ${JSON.stringify(sample.id)} (${join(dataset.root, sample.paths.scene ?? '')})`;
}
