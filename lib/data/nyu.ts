import { integer } from '../check.js';
import { DataError } from '../errors.js';
import { type Hdf5Arrays, openHdf5Arrays } from '../formats/hdf5Arrays.js';
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
 * Only the part of the file that an image needs is read, when it is read, in a thread of its own.
 *
 * @throws {DataError} `ERR_NYU_FILE` if it cannot be opened, has no `images`, or types or shapes differ from the above.
 */
export async function openNyu(path: string): Promise<Dataset> {
  const wanted = { arrays: Object.values(ARRAYS).map(({ array }) => array), texts: ['scenes', 'sceneTypes'] };
  const file = await openHdf5Arrays(path, wanted).catch((cause) => {
    throw failed(path, 'opening it', cause);
  });
  try {
    const shapes = findArrays(path, file);
    const [count, , width, height] = shapes.get('rgb') as [number, number, number, number];
    if (count === 0) throw new DataError('ERR_DATASET_EMPTY', `${path} has no images. Check the path.`);
    const [scenes, sceneTypes] = ['scenes', 'sceneTypes'].map((name) => {
      const texts = file.texts.get(name);
      return texts?.length === count ? texts : undefined;
    });
    const modalities = [...shapes.keys()];
    const samples = Array.from({ length: count }, (_, i): Sample => {
      const metadata = { ...(scenes && { scene: scenes[i] }), ...(sceneTypes && { sceneType: sceneTypes[i] }) };
      const id = String(i + 1).padStart(4, '0');
      return { id, split: 'train', paths: {}, depthScale: shapes.has('depth') ? 1 : Number.NaN, metadata };
    });
    return {
      root: path,
      samples,
      modalities,
      async read(index: number, modality: Modality): Promise<StoredImage> {
        const { id } = samples[integer('index', index, 0, count - 1)]!;
        if (!shapes.has(modality as NyuModality)) {
          throw new DataError('ERR_FILE_MISSING', `${path} has no ${modality}. Choose among ${modalities.join(', ')}.`);
        }
        const { array } = ARRAYS[modality as NyuModality];
        const stored = (await file.read(array, index).catch((cause) => {
          throw failed(path, `reading ${modality} of sample "${id}"`, cause);
        })) as Raster['data'];
        return {
          bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength),
          async decode() {
            const channels = modality === 'rgb' ? 3 : 1;
            return { width, height, channels, data: transpose(stored, width, height, channels) };
          },
        };
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** In the words of this format, where HDF5 fails. */
function failed(path: string, doing: string, cause: DataError): DataError {
  if (cause.code !== 'ERR_HDF5_FILE') return cause;
  return new DataError(
    'ERR_NYU_FILE',
    `${path} failed at ${doing}: it is not a MATLAB v7.3 (HDF5) file, or it is damaged or cut off. ` +
      'Download it again and compare its size; save older .mat files with `save(..., "-v7.3")`.',
    { cause },
  );
}

/** Shapes of the arrays that are there, their types and shapes checked against `images`. */
function findArrays(path: string, { names, arrays }: Hdf5Arrays): Map<NyuModality, readonly number[]> {
  if (!arrays.has('images')) {
    throw new DataError(
      'ERR_NYU_FILE',
      `${path} has no array \`images\` (it has ${names.join(', ') || 'none'}). ` +
        'The labelled NYU-Depth-v2 file, nyu_depth_v2_labeled.mat, has images, depths and labels.',
    );
  }
  const shapes = new Map<NyuModality, readonly number[]>();
  let size: readonly number[] | undefined;
  for (const [modality, { array, type, typeName, rank }] of Object.entries(ARRAYS)) {
    const found = arrays.get(array);
    if (!found) continue;
    const { shape, dtype } = found;
    // [N, W, H]; of images, once the 3 is gone.
    const plane = rank === 4 && shape[1] === 3 ? shape.toSpliced(1, 1) : shape;
    size ??= plane;
    if (dtype !== type || plane.length !== 3 || shape.length !== rank || plane.some((n, i) => n !== size![i])) {
      const expected = rank === 4 ? 'N x 3 x W x H' : size.join(' x ');
      throw new DataError(
        'ERR_NYU_FILE',
        `${path}: ${array} is ${shape.join(' x ')} of type ${JSON.stringify(dtype)}, ` +
          `but it must be ${expected} of ${typeName} (${JSON.stringify(type)}). Use the labelled NYU-Depth-v2 file.`,
      );
    }
    shapes.set(modality as NyuModality, shape);
  }
  return shapes;
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
