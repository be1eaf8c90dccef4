/** NumPy's .npz format: a zip archive with one .npy file for each array, stored (savez) or deflated (savez_compressed). */
import { DataError } from '../errors.js';
import { openBytes, type RandomAccessFile } from './bytes.js';
import { chooseArray, type NamedArray } from './choose.js';
import { elementOf, type NpyHeader, npyRows, parseNpyHeader } from './npy.js';
import { deflatedPart, storedPart } from './part.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';
import { locateEntry, readZipDirectory, type ZipEntry } from './zip.js';

interface Member extends NamedArray {
  readonly entry: ZipEntry;
  readonly header: NpyHeader;
}

const STORED = 0;
const DEFLATED = 8;

/**
 * Opens an array, [N, d], of an archive: `name`, or the only one that embeddings may be. What is stored is read like a .npy
 * file; what is deflated forwards at the speed of zlib, backwards by beginning again.
 * @throws {DataError} `ERR_NPZ_BROKEN`, `ERR_NPZ_METHOD`, and as `openNpy` and `chooseArray`.
 */
export async function openNpz({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  const file = await openBytes(path);
  try {
    const entries = [...(await readZipDirectory(file, broken(path))).values()].filter((entry) => isArray(entry));
    const named = entries.filter((entry) => nameOf(entry) === name);
    const members: Member[] = [];
    for (const entry of named.length > 0 ? named : entries) members.push(await look(file, entry));
    const { entry, header, name: chosen } = chooseArray(path, 'array', members, name);
    const part = await openMember(file, entry);
    const close = async () => {
      await part.close();
      await file.close();
    };
    return npyRows({ ...part, close }, `${path} (array "${chosen}")`, header);
  } catch (error) {
    await file.close();
    throw error;
  }
}

function isArray({ name }: ZipEntry): boolean {
  return name.endsWith('.npy');
}

function nameOf({ name }: ZipEntry): string {
  return name.slice(0, -'.npy'.length);
}

async function look(file: RandomAccessFile, entry: ZipEntry): Promise<Member> {
  const part = await openMember(file, entry);
  try {
    const name = nameOf(entry);
    const header = await parseNpyHeader(part, `${file.path} (array "${name}")`);
    const { descr, shape } = header;
    const typeName = descr.includes('O') ? 'pickled objects' : descr;
    return { name, shape, type: elementOf(descr)?.type, typeName, entry, header };
  } finally {
    await part.close();
  }
}

async function openMember(file: RandomAccessFile, entry: ZipEntry): Promise<RandomAccessFile> {
  const { path } = file;
  const { name, method, encrypted, size, packedSize } = entry;
  if (encrypted || (method !== STORED && method !== DEFLATED)) {
    throw new DataError(
      'ERR_NPZ_METHOD',
      `${path}: "${name}" is ${encrypted ? 'encrypted' : `compressed by method ${method}`}. Write it with np.savez or np.savez_compressed.`,
    );
  }
  const brokenMember = (what: string) => broken(path)(`of "${name}", ${what}`);
  const part = { offset: await locateEntry(file, entry, broken(path)), size, packedSize };
  if (method === DEFLATED) return deflatedPart(file, part, brokenMember);
  if (size !== packedSize) throw brokenMember(`which is not compressed, it has two sizes, ${size} and ${packedSize}`);
  return storedPart(file, part, brokenMember);
}

function broken(path: string): (what: string) => DataError {
  return (what) =>
    new DataError('ERR_NPZ_BROKEN', `${path} is not a whole .npz archive: ${what}. Write or copy it again.`);
}
