/** Reads the tensors of a `torch.save` checkpoint (zip format, PyTorch 1.6 and later) without running any of its code. */
import { ModelError } from '../errors.js';
import type { RandomAccessFile } from '../formats/bytes.js';
import { locateEntry, readZipDirectory, type ZipEntry } from '../formats/zip.js';
import { isKind, type TensorReference, unpickle, type Value } from './pickle.js';
import { openForReading } from './readAt.js';
import { asElements, dtypes, elementCount, type Tensor, type TensorData, type TensorFile } from './tensor.js';

// The pickle of the official ViT-B file is 50 KB; that of a training checkpoint is not much larger.
const LARGEST_PICKLE = 32 << 20;

interface Entry extends TensorReference {
  readonly dtype: Tensor['dtype'];
}

/**
 * Opens a checkpoint. The tensors are those of its `model` entry, or of the top level where there is none; a
 * `module.` prefix (DistributedDataParallel) is taken off. Storages are read only when a tensor is asked for.
 *
 * ModelError: `ERR_CHECKPOINT_LEGACY` (saved before PyTorch 1.6), `ERR_CHECKPOINT_ZIP`, `ERR_CHECKPOINT_COMPRESSED`,
 * `ERR_CHECKPOINT_REFUSED` (needs code), `ERR_CHECKPOINT_INVALID` (a tensor outside its storage, ...).
 */
export async function openTorchCheckpoint(path: string): Promise<TensorFile> {
  const file = await openForReading(path);
  try {
    await refuseLegacy(file);
    const directory = await readZipDirectory(file, broken(path));
    const pickleEntry = [...directory.values()].find(({ name }) => name.endsWith('/data.pkl'));
    if (!pickleEntry) {
      throw invalid(path, 'it is a zip archive without a data.pkl, so torch.save did not write it');
    }
    const prefix = pickleEntry.name.slice(0, -'data.pkl'.length);
    if (pickleEntry.size > LARGEST_PICKLE) throw invalid(path, `its data.pkl has ${pickleEntry.size} bytes`);
    await refuseBigEndian(file, directory.get(`${prefix}byteorder`));
    const pickle = await file.readAt(await locateStored(file, pickleEntry), pickleEntry.size);
    const entries = collectTensors(unpickle(pickle, path), path);
    for (const [name, entry] of entries)
      checkView(name, entry, directory.get(`${prefix}data/${entry.storage.key}`), path);

    const read = async (name: string): Promise<Tensor> => {
      const entry = entries.get(name);
      if (!entry) throw new ModelError('ERR_TENSOR_MISSING', `${path} has no tensor "${name}".`);
      const storage = directory.get(`${prefix}data/${entry.storage.key}`)!;
      return readView(file, entry, await locateStored(file, storage));
    };
    return {
      path,
      tensors: entries,
      read,
      async readRows(name, start, end) {
        const { dtype, shape, data } = await read(name);
        const rowShape = shape.slice(1);
        const row = elementCount(rowShape);
        return { dtype, shape: [end - start, ...rowShape], data: data.slice(start * row, end * row) };
      },
      close: file.close,
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function invalid(path: string, what: string): ModelError {
  return new ModelError(
    'ERR_CHECKPOINT_INVALID',
    `${path} is not a checkpoint that can be read: ${what}. Save it again with torch.save({'model': model.state_dict()}, path).`,
  );
}

function broken(path: string): (what: string) => ModelError {
  return (what) =>
    new ModelError(
      'ERR_CHECKPOINT_ZIP',
      `${path} is not a whole zip archive: ${what}. Copy or download the checkpoint again.`,
    );
}

function locateStored(file: RandomAccessFile, entry: ZipEntry): Promise<number> {
  if (entry.encrypted || entry.method !== 0) {
    throw new ModelError(
      'ERR_CHECKPOINT_COMPRESSED',
      `${file.path}: "${entry.name}" is ${entry.encrypted ? 'encrypted' : 'compressed'}, which torch.save never does. Save the checkpoint again with torch.save.`,
    );
  }
  if (entry.packedSize !== entry.size) throw broken(file.path)(`"${entry.name}" has two sizes`);
  return locateEntry(file, entry, broken(file.path));
}

async function refuseLegacy(file: RandomAccessFile): Promise<void> {
  const head = Buffer.from((await file.readAt(0, Math.min(file.size, 4))).buffer);
  if (head.length === 4 && head.readUInt32LE(0) === 0x04034b50) return;
  if (head[0] === 0x80) {
    throw new ModelError(
      'ERR_CHECKPOINT_LEGACY',
      `${file.path} is in the format that PyTorch used before 1.6. Load and save it once with a newer PyTorch, torch.save(torch.load(path), newPath), or convert it to safetensors.`,
    );
  }
  throw invalid(file.path, 'it does not begin like a zip archive');
}

async function refuseBigEndian(file: RandomAccessFile, entry: ZipEntry | undefined): Promise<void> {
  if (!entry || entry.size > 16) return;
  const order = Buffer.from(await file.readAt(await locateStored(file, entry), entry.size)).toString();
  if (order !== 'little') throw invalid(file.path, `its byte order is ${JSON.stringify(order)}`);
}

function collectTensors(top: Value, path: string): Map<string, Entry> {
  const model = top instanceof Map && top.get('model') instanceof Map ? top.get('model') : top;
  if (!(model instanceof Map)) throw invalid(path, 'it does not hold a dict of tensors');
  const named: [string, Entry][] = [];
  for (const [name, value] of model) {
    if (typeof name === 'string' && isKind(value, 'tensor'))
      named.push([name, { ...value, dtype: value.storage.dtype }]);
  }
  if (named.length === 0) throw invalid(path, 'it has no tensors under "model" or at its top level');
  const wrapped = named.every(([name]) => name.startsWith('module.'));
  return new Map(wrapped ? named.map(([name, entry]) => [name.slice('module.'.length), entry]) : named);
}

/** Refuses a view that does not lie inside its storage, or repeats elements: what is read stays bounded by the file. */
function checkView(name: string, view: Entry, stored: ZipEntry | undefined, path: string): void {
  const { storage, offset, shape, strides } = view;
  if (!stored) throw invalid(path, `the storage "${storage.key}" of tensor "${name}" is missing`);
  const needed = storage.count * dtypes[storage.dtype].bytes;
  if (stored.size !== needed) {
    throw invalid(path, `the storage of tensor "${name}" should have ${needed} bytes, but has ${stored.size}`);
  }
  const negative = [storage.count, offset, ...shape, ...strides].some((value) => value < 0);
  if (negative || shape.length !== strides.length) {
    throw invalid(path, `tensor "${name}" has shape [${shape}], strides [${strides}] and offset ${offset}`);
  }
  const count = elementCount(shape);
  if (count > 0 && (offset + span(view) > storage.count || count > storage.count)) {
    throw invalid(path, `tensor "${name}" reaches outside its storage of ${storage.count} elements`);
  }
}

/** Distance from a view's first to one past its last element. */
function span({ shape, strides }: TensorReference): number {
  return shape.reduce((last, dim, i) => last + (dim - 1) * strides[i]!, 1);
}

function isContiguous({ shape, strides }: TensorReference): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

async function readView(file: RandomAccessFile, view: Entry, storageStart: number): Promise<Tensor> {
  const { dtype, shape } = view;
  const size = dtypes[dtype].bytes;
  const count = elementCount(shape);
  const bytes = await file.readAt(storageStart + view.offset * size, count === 0 ? 0 : span(view) * size);
  const data = asElements(dtype, bytes);
  return { dtype, shape, data: isContiguous(view) ? data : gather(data, view, count) };
}

/** Copies a strided view into row-major order. */
function gather(source: TensorData, { shape, strides, storage }: TensorReference, count: number): TensorData {
  const target = new dtypes[storage.dtype].Array(count);
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < count; to++) {
    target[to] = source[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return target;
}
