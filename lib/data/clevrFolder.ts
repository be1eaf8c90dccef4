import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { DataError } from '../errors.js';
import type { Modality, Sample } from './dataset.js';
import { findDepthScales } from './depthScale.js';
import type { SampleDraft } from './fileDataset.js';
import { MODALITIES } from './modalities.js';

type Kind = Modality | 'scene';

/** The folders of each kind of file, the first that is there being taken, and what is looked for in them. */
const FOLDERS: Readonly<Record<Kind, { names: readonly string[]; extensions: readonly string[] }>> = {
  rgb: { names: ['rgb', 'images'], extensions: ['.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff'] },
  semseg: { names: ['semseg', 'masks'], extensions: ['.png'] },
  depth: { names: ['depth'], extensions: ['.png'] },
  instance: { names: ['instance'], extensions: ['.png'] },
  scene: { names: ['scenes'], extensions: ['.json'] },
};

/**
 * Lists a data set that has no manifest: `rgb/` (or `images/`) beside any of `semseg/` (or `masks/`), `depth/`,
 * `instance/` and `scenes/`, in which files of one sample have the same name but for the extension. Files may lie one
 * folder deeper, which then names the split, as in CLEVR v1.0's `images/train/CLEVR_train_000000.png`; masks and depth
 * may also be flat there. Else the split is `train`. Id = path within the folder, without extension.
 *
 * `depth_scale` comes from the sample's own file in `scenes/`. CLEVR's `CLEVR_<split>_scenes.json` are not read.
 *
 * @returns undefined if there is no `rgb/` or `images/`; samples sorted by id.
 * @throws {DataError} `ERR_DATASET_EMPTY`, `ERR_FILE_MISSING` naming the sample whose mask or depth is not there,
 * `ERR_DUPLICATE_ID` if two files differ only in their extension.
 */
export async function listClevrFolder(root: string): Promise<{ root: string; samples: Sample[] } | undefined> {
  const files = new Map<Kind, { folder: string; paths: Map<string, string> }>();
  for (const kind of [...MODALITIES, 'scene'] as const) {
    const { names, extensions } = FOLDERS[kind];
    for (const folder of names) {
      if (files.has(kind) || !(await isFolder(join(root, folder)))) continue;
      files.set(kind, { folder, paths: await listFiles(root, folder, extensions) });
    }
  }
  const rgb = files.get('rgb');
  if (!rgb) return undefined;
  if (rgb.paths.size === 0) {
    const list = FOLDERS.rgb.extensions.join(', ');
    throw new DataError('ERR_DATASET_EMPTY', `${join(root, rgb.folder)} has no images (${list}). Check the path.`);
  }
  const ids = [...rgb.paths.keys()].sort();
  const sameNameTwice = new Set(ids.map((id) => basename(id))).size < ids.length;
  const samples = ids.map((id): SampleDraft => {
    const paths: Partial<Record<Kind, string>> = {};
    for (const [kind, { folder, paths: there }] of files) {
      const path = there.get(id) ?? (sameNameTwice ? undefined : there.get(basename(id)));
      if (path !== undefined) paths[kind] = path;
      else if (kind !== 'scene') {
        throw new DataError(
          'ERR_FILE_MISSING',
          `${kind} of sample ${JSON.stringify(id)} (${join(root, folder, `${id}.png`)}) is missing. ` +
            `Restore it, take ${folder}/ away, or write a manifest.jsonl that says what there is.`,
        );
      }
    }
    const slash = id.indexOf('/');
    return { id, split: slash < 0 ? 'train' : id.slice(0, slash), paths, depthScale: Number.NaN, metadata: {} };
  });
  await findDepthScales(root, samples);
  return { root, samples };
}

/** Paths relative to `root`, by name without extension: `000000`, or `train/000000` one folder deeper. */
async function listFiles(root: string, folder: string, extensions: readonly string[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const add = async (inner: string, deeper: boolean) => {
    for (const name of (await readdir(join(root, folder, inner))).sort()) {
      const extension = extname(name);
      const path = inner + name;
      if (extensions.includes(extension.toLowerCase())) {
        const key = path.slice(0, -extension.length);
        const other = found.get(key);
        if (other !== undefined) {
          throw new DataError(
            'ERR_DUPLICATE_ID',
            `${join(root, folder, path)} and ${join(root, other)} would be the same sample. Keep one of them.`,
          );
        }
        found.set(key, `${folder}/${path}`);
      } else if (deeper && extension === '' && (await isFolder(join(root, folder, name)))) {
        await add(`${name}/`, false);
      }
    }
  };
  await add('', true);
  return found;
}

/** Follows symbolic links: large data sets are often linked into place. */
async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
