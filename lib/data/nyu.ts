import { resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { File, Dataset as Hdf5Dataset } from 'h5wasm/node';
import { integer } from '../check.js';
import { DataError } from '../errors.js';
import type { Dataset, Modality, Raster, Sample, StoredImage } from './dataset.js';

/** What the .mat must hold: HDF5 type and the dimensions behind the first (MATLAB's order reversed). */
const ARRAYS = {
  rgb: { array: 'images', type: '<B', typeName: 'uint8', rank: 4 },
  semseg: { array: 'labels', type: '<H', typeName: 'uint16', rank: 3 },
  depth: { array: 'depths', type: '<f', typeName: 'single', rank: 3 },
} as const;
type NyuModality = keyof typeof ARRAYS;

/**
 * Opens the labelled NYU-Depth-v2 .mat (MATLAB v7.3: HDF5 behind a 512-byte header) or a file like it: `images` uint8
 * [N, 3, W, H] (as HDF5 sees it; in MATLAB H x W x 3 x N) and, if there, `labels` uint16 [N, W, H] -> `semseg`, `depths`
 * single [N, W, H] in metres -> `depth` with scale 1, and `scenes`, `sceneTypes` (cells of strings) -> metadata `scene`,
 * `sceneType`.
 *
 * Ids are MATLAB's indices (`0001` is the first), which the official split file uses too; all samples are `train`.
 * `instances` is not offered: its numbers begin anew for each class, so they are not ids of objects.
 *
 * Only the part of the file that an image needs is read, when it is read. HDF5 runs on the JavaScript thread: 1 to 20 ms
 * an image, with the event loop served between two.
 *
 * @throws {DataError} `ERR_NYU_FILE` if it cannot be opened, has no `images`, or types or shapes differ from the above.
 */
export async function openNyu(path: string): Promise<Dataset> {
  // Loaded only when needed: it compiles 4 MB of WebAssembly.
  const hdf5 = await import('h5wasm/node');
  const { activate_throwing_error_handler } = await hdf5.ready;
  // Without it a failed read prints to stderr and returns whatever was in memory. With it such a read leaves the file
  // open until the process ends, which is the smaller evil.
  activate_throwing_error_handler();

  const file = attempt(path, 'opening it', () => new hdf5.File(resolve(path), 'r'));
  try {
    const arrays = findArrays(path, file);
    const [count, , width, height] = arrays.get('rgb')!.shape as [number, number, number, number];
    if (count === 0) throw new DataError('ERR_DATASET_EMPTY', `${path} has no images. Check the path.`);
    const scenes = readStrings(path, file, 'scenes', count);
    const sceneTypes = readStrings(path, file, 'sceneTypes', count);
    const samples = Array.from({ length: count }, (_, i): Sample => {
      const metadata = { ...(scenes && { scene: scenes[i] }), ...(sceneTypes && { sceneType: sceneTypes[i] }) };
      const id = String(i + 1).padStart(4, '0');
      return { id, split: 'train', paths: {}, depthScale: arrays.has('depth') ? 1 : Number.NaN, metadata };
    });
    let open = true;
    let turn: Promise<void> = Promise.resolve();
    return {
      root: path,
      samples,
      modalities: [...arrays.keys()],
      async read(index: number, modality: Modality): Promise<StoredImage> {
        const { id } = samples[integer('index', index, 0, count - 1)]!;
        const array = arrays.get(modality as NyuModality);
        if (!array) {
          const list = [...arrays.keys()].join(', ');
          throw new DataError('ERR_FILE_MISSING', `${path} has no ${modality}. Choose among ${list}.`);
        }
        // One read per round of the event loop, however many are asked for at once.
        turn = turn.then(() => setImmediate());
        await turn;
        if (!open) throw new DataError('ERR_DATASET_CLOSED', `${path} was closed. Read before closing it.`);
        const name = `${modality} of sample "${id}"`;
        const stored = attempt(path, `reading ${name}`, () => array.slice([[index, index + 1]])) as Raster['data'];
        return {
          bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength),
          async decode() {
            const channels = modality === 'rgb' ? 3 : 1;
            return { width, height, channels, data: transpose(stored, width, height, channels) };
          },
        };
      },
      async close() {
        if (open) file.close();
        open = false;
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Runs a call of HDF5, whose errors are stack traces of C. */
function attempt<T>(path: string, doing: string, call: () => T): T {
  try {
    return call();
  } catch (cause) {
    throw new DataError(
      'ERR_NYU_FILE',
      `${path} failed at ${doing}: it is not a MATLAB v7.3 (HDF5) file, or it is damaged or cut off. ` +
        'Download it again and compare its size; save older .mat files with `save(..., "-v7.3")`.',
      { cause },
    );
  }
}

/** The arrays that are there, their types and shapes checked against `images`. */
function findArrays(path: string, file: File): Map<NyuModality, Hdf5Dataset> {
  const there = new Set(attempt(path, 'listing its arrays', () => file.keys()));
  if (!there.has('images')) {
    throw new DataError(
      'ERR_NYU_FILE',
      `${path} has no array \`images\` (it has ${[...there].join(', ') || 'none'}). ` +
        'The labelled NYU-Depth-v2 file, nyu_depth_v2_labeled.mat, has images, depths and labels.',
    );
  }
  const arrays = new Map<NyuModality, Hdf5Dataset>();
  let size: number[] | undefined;
  for (const [modality, { array, type, typeName, rank }] of Object.entries(ARRAYS)) {
    if (!there.has(array)) continue;
    const found = attempt(path, `opening ${array}`, () => file.get(array)) as Hdf5Dataset;
    const shape = attempt(path, `opening ${array}`, () => found.shape) ?? [];
    // [N, W, H]; of images, once the 3 is gone.
    const plane = rank === 4 && shape[1] === 3 ? shape.toSpliced(1, 1) : shape;
    size ??= plane;
    if (found.dtype !== type || plane.length !== 3 || shape.length !== rank || plane.some((n, i) => n !== size![i])) {
      const expected = rank === 4 ? 'N x 3 x W x H' : size.join(' x ');
      throw new DataError(
        'ERR_NYU_FILE',
        `${path}: ${array} is ${shape.join(' x ')} of type ${JSON.stringify(found.dtype)}, ` +
          `but it must be ${expected} of ${typeName} (${JSON.stringify(type)}). Use the labelled NYU-Depth-v2 file.`,
      );
    }
    arrays.set(modality as NyuModality, found);
  }
  return arrays;
}

/** A 1 x N cell array of strings: references to arrays of UTF-16 codes. Undefined if there is none of that length. */
function readStrings(path: string, file: File, name: string, count: number): string[] | undefined {
  return attempt(path, `reading ${name}`, () => {
    const cells = (file.get(name) as Hdf5Dataset | null)?.value;
    if (!Array.isArray(cells) || cells.length !== count) return undefined;
    return cells.map((reference) => {
      const codes = (file.dereference(reference as never) as unknown as Hdf5Dataset).value;
      return codes instanceof Uint16Array ? String.fromCharCode(...codes) : '';
    });
  });
}

/** [C, W, H] -> [H, W, C]. */
function transpose<T extends Raster['data']>(stored: T, width: number, height: number, channels: number): T {
  const out = new (stored.constructor as new (length: number) => T)(stored.length);
  let i = 0;
  for (let c = 0; c < channels; c++) {
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) out[(y * width + x) * channels + c] = stored[i++]!;
    }
  }
  return out;
}
