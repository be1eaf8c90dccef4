import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import { dirname, isAbsolute, join, normalize, sep } from 'node:path';
import { DataError } from '../errors.js';
import type { Modality, Sample } from './dataset.js';
import { checkDepthScale, findDepthScales } from './depthScale.js';
import type { SampleDraft } from './fileDataset.js';
import { MODALITIES } from './modalities.js';

/** A longer line is no manifest but some other file. */
const MAX_LINE = 1 << 24;

/**
 * Reads a manifest: JSON lines, one sample each.
 *
 *     {"id": "000000", "split": "train", "rgb": "rgb/000000.png", "semseg": "semseg/000000.png",
 *      "depth": "depth/000000.png", "depth_scale": 0.001, "scene": "scenes/000000.json", "n_objects": 9}
 *
 * `id` and at least one of `rgb`, `semseg`, `depth`, `instance` are needed; `split` is `train` if not given; a path
 * that is null is not there; whatever else stands in the line is the sample's metadata. `depth_scale` (metres per
 * stored unit) is the line's, else that of the scene's JSON.
 *
 * Paths are relative to `root`: the manifest's folder or, if the first sample's first file is not there but is there,
 * its parent (a subset described in a folder of its own inside the data set). They may not leave `root`.
 *
 * The file is read line by line.
 *
 * @throws {DataError} `ERR_MANIFEST` naming file and line (no JSON, no id, wrong type, a path that is absolute or
 * leaves `root`), `ERR_DUPLICATE_ID` naming both lines, `ERR_FILE_MISSING` if the first sample is in neither folder,
 * `ERR_DEPTH_SCALE`, `ERR_DATASET_EMPTY`.
 */
export async function readManifest(path: string): Promise<{ root: string; samples: Sample[] }> {
  const samples: SampleDraft[] = [];
  const lineOf = new Map<string, number>();
  let number = 0;
  for await (const text of lines(path)) {
    const where = `${path} line ${++number}`;
    if (text.trim() === '') continue;
    const sample = parseLine(text, where);
    const earlier = lineOf.get(sample.id);
    if (earlier !== undefined) {
      throw new DataError(
        'ERR_DUPLICATE_ID',
        `${where} has id ${JSON.stringify(sample.id)}, which line ${earlier} has too. Give each sample its own id.`,
      );
    }
    lineOf.set(sample.id, number);
    samples.push(sample);
  }
  if (samples.length === 0) {
    throw new DataError('ERR_DATASET_EMPTY', `${path} has no samples. Write one JSON object per line, one per sample.`);
  }
  const root = await findRoot(path, samples[0]!);
  await findDepthScales(root, samples);
  return { root, samples };
}

/** Splits at newlines only: readline also splits at U+2028, which JSON allows inside strings. */
async function* lines(path: string): AsyncGenerator<string> {
  let rest = '';
  let first = true;
  for await (const chunk of createReadStream(path, { encoding: 'utf8', highWaterMark: 1 << 18 })) {
    const parts: string[] = (rest + (first ? chunk.replace(/^\uFEFF/, '') : chunk)).split('\n');
    first = false;
    rest = parts.pop()!;
    if (rest.length > MAX_LINE) {
      throw new DataError('ERR_MANIFEST', `${path} has a line of more than 16 MiB. It is not a manifest.`);
    }
    yield* parts;
  }
  yield rest;
}

function parseLine(text: string, where: string): SampleDraft {
  const bad = (problem: string, cause?: unknown) => new DataError('ERR_MANIFEST', `${where} ${problem}`, { cause });
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (cause) {
    throw bad(`is not JSON (${(cause as Error).message}). Write one JSON object per line.`, cause);
  }
  if (typeof line !== 'object' || line === null || Array.isArray(line)) {
    throw bad('is not a JSON object. Write one object per line, e.g. {"id": "000000", "rgb": "rgb/000000.png"}.');
  }
  const { id, split = 'train', depth_scale: scale, ...others } = line as Record<string, unknown>;
  const { rgb, semseg, depth, instance, scene, ...metadata } = others;
  if (typeof id !== 'string' || id === '') {
    throw bad(id === undefined ? 'has no "id". Give each sample its own.' : '"id" must be a string that is not empty.');
  }
  if (typeof split !== 'string' || split === '') {
    throw bad(`(sample ${JSON.stringify(id)}): "split" must be a string, e.g. "train".`);
  }
  const paths: Partial<Record<Modality | 'scene', string>> = {};
  for (const [kind, file] of Object.entries({ rgb, semseg, depth, instance, scene })) {
    if (file === undefined || file === null) continue;
    if (typeof file !== 'string' || file === '' || file.includes('\0')) {
      throw bad(`(sample ${JSON.stringify(id)}): "${kind}" must be the path of a file.`);
    }
    const plain = normalize(file);
    if (isAbsolute(plain) || plain === '..' || plain.startsWith(`..${sep}`)) {
      throw bad(
        `(sample ${JSON.stringify(id)}): "${kind}" is ${JSON.stringify(file)}, which is not inside the data set. ` +
          'Put the manifest into the folder that contains all files and give paths relative to it.',
      );
    }
    paths[kind as keyof typeof paths] = file;
  }
  if (MODALITIES.every((modality) => paths[modality] === undefined)) {
    throw bad(`(sample ${JSON.stringify(id)}) names no image. Give at least one of ${MODALITIES.join(', ')}.`);
  }
  const hasScale = paths.depth !== undefined && scale !== undefined && scale !== null;
  return { id, split, paths, depthScale: hasScale ? checkDepthScale(scale, where) : Number.NaN, metadata };
}

async function findRoot(manifest: string, sample: Sample): Promise<string> {
  const path = MODALITIES.map((modality) => sample.paths[modality]).find((file) => file !== undefined)!;
  const candidates = [dirname(manifest), join(dirname(manifest), '..')];
  for (const root of candidates) {
    const found = await access(join(root, path)).then(
      () => true,
      () => false,
    );
    if (found) return root;
  }
  throw new DataError(
    'ERR_FILE_MISSING',
    `${manifest}: the first sample, ${JSON.stringify(sample.id)}, is missing: there is neither ` +
      `${candidates.map((root) => join(root, path)).join(' nor ')}. ` +
      "Paths must be relative to the manifest's folder (or to its parent).",
  );
}
