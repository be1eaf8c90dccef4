import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { wrongType } from '../check.js';
import { DataError } from '../errors.js';
import { listClevrFolder } from './clevrFolder.js';
import type { Dataset } from './dataset.js';
import { openFiles } from './fileDataset.js';
import { readManifest } from './manifest.js';
import { openNyu } from './nyu.js';
import { selectSplit } from './split.js';

export interface OpenOptions {
  /** Only the samples of this split, e.g. `train`. All of them if not given. */
  split?: string | undefined;
}

/**
 * Opens a data set. What it is shows in what is there:
 *
 * - a folder with `manifest.jsonl`, or a `.jsonl` file: lib/data/manifest.ts;
 * - a folder with `rgb/` or `images/` and no manifest (CLEVR v1.0 and the like): lib/data/clevrFolder.ts;
 * - a MATLAB v7.3 file (labelled NYU-Depth-v2): lib/data/nyu.ts.
 *
 * Images are read when they are asked for, any number at a time; images of one sample must have the same size, which is
 * checked as they are decoded. `depthScale` is NaN and `read(i, 'depth')` refused where no scale is known.
 *
 * @throws {DataError} `ERR_FILE_MISSING`, `ERR_DATASET_LAYOUT`, `ERR_NO_SPLIT` or what the readers above say.
 */
export async function openDataset(path: string, options: OpenOptions = {}): Promise<Dataset> {
  if (typeof path !== 'string' || path === '') throw wrongType('path', 'the path of a data set', path);
  const dataset = await openAny(path);
  if (options.split === undefined) return dataset;
  try {
    return selectSplit(dataset, options.split);
  } catch (error) {
    await dataset.close();
    throw error;
  }
}

async function openAny(path: string): Promise<Dataset> {
  const what = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'does not exist' : `cannot be opened (${cause.message})`;
    throw new DataError('ERR_FILE_MISSING', `The data set ${path} ${reason}. Check the path.`, { cause });
  });
  if (!what.isDirectory()) {
    if (path.endsWith('.jsonl')) return fromManifest(path);
    if (await isHdf5(path)) return openNyu(path);
    throw unknown(
      path,
      'is a file that is neither a .jsonl manifest nor a MATLAB v7.3 (HDF5) file (older .mat: `save -v7.3`)',
    );
  }
  const manifest = join(path, 'manifest.jsonl');
  if (await stat(manifest).catch(() => undefined)) return fromManifest(manifest);
  const listed = await listClevrFolder(path);
  if (!listed) throw unknown(path, 'has neither manifest.jsonl nor a folder rgb/ or images/');
  return openFiles(listed.root, listed.samples);
}

async function fromManifest(path: string): Promise<Dataset> {
  const { root, samples } = await readManifest(path);
  return openFiles(root, samples);
}

/** HDF5's signature stands at the beginning, or behind a header of 512, 1024, ... bytes: MATLAB's is 512. */
async function isHdf5(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(520), 0, 520, 0);
    return [0, 512].some((offset) => buffer.toString('latin1', offset, offset + 8) === '\x89HDF\r\n\x1a\n');
  } finally {
    await file.close();
  }
}

function unknown(path: string, problem: string): DataError {
  return new DataError(
    'ERR_DATASET_LAYOUT',
    `${path} ${problem}. A data set is a folder with manifest.jsonl, a folder with rgb/ and e.g. semseg/ and depth/, ` +
      `CLEVR v1.0's folder with images/, or nyu_depth_v2_labeled.mat. Check the path.`,
  );
}
