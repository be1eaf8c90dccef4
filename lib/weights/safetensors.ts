/** Tensors in the safetensors format, read and written. */
import type { FileHandle } from 'node:fs/promises';
import { ModelError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { readSafetensorsHeader, type SafetensorsEntry } from '../formats/safetensorsHeader.js';
import { openForReading } from './readAt.js';
import { asBytes, asElements, dtypes, elementCount, type Tensor, type TensorFile, type TensorInfo } from './tensor.js';

/**
 * Opens a safetensors file and checks its whole header. ModelError `ERR_SAFETENSORS_INVALID` when the header is not
 * exactly right: length, JSON, element types, shapes, offsets that overlap, leave gaps or miss the end of the file.
 */
export async function openSafetensors(path: string): Promise<TensorFile> {
  const file = await openForReading(path);
  try {
    const entries = await readSafetensorsHeader(file, invalid(path));
    const find = (name: string): SafetensorsEntry => {
      const entry = entries.get(name);
      if (!entry) throw new ModelError('ERR_TENSOR_MISSING', `${path} has no tensor "${name}".`);
      return entry;
    };
    return {
      path,
      tensors: entries,
      close: file.close,
      async read(name) {
        const { dtype, shape, begin, end } = find(name);
        return { dtype, shape, data: asElements(dtype, await file.readAt(begin, end - begin)) };
      },
      async readRows(name, start, end) {
        const { dtype, shape, begin } = find(name);
        const rowShape = shape.slice(1);
        const rowBytes = elementCount(rowShape) * dtypes[dtype].bytes;
        const bytes = await file.readAt(begin + start * rowBytes, (end - start) * rowBytes);
        return { dtype, shape: [end - start, ...rowShape], data: asElements(dtype, bytes) };
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function invalid(path: string): (what: string, cause?: unknown) => ModelError {
  return (what, cause) =>
    new ModelError(
      'ERR_SAFETENSORS_INVALID',
      `${path} is not a valid safetensors file: ${what}. Write or download it again.`,
      { cause },
    );
}

/** Reads a whole safetensors file. */
export async function readSafetensors(path: string): Promise<Record<string, Tensor>> {
  const file = await openSafetensors(path);
  try {
    const tensors: Record<string, Tensor> = {};
    for (const name of file.tensors.keys()) tensors[name] = await file.read(name);
    return tensors;
  } finally {
    await file.close();
  }
}

/** Puts `data` into the tensor `name`, beginning with its element number `element`. */
export type TensorSink = (name: string, element: number, data: ArrayBufferView) => Promise<void>;

/**
 * Writes a safetensors file atomically. `layout` says what it will hold, in order; `fill` then delivers the elements
 * piece by piece in any order, so that the tensors need not be in memory together.
 */
export async function streamSafetensors(
  path: string,
  layout: Readonly<Record<string, TensorInfo>>,
  fill: (put: TensorSink) => Promise<void>,
): Promise<void> {
  const header: Record<string, unknown> = {};
  const begins = new Map<string, number>();
  let position = 0;
  for (const [name, { dtype, shape }] of Object.entries(layout)) {
    const end = position + elementCount(shape) * dtypes[dtype].bytes;
    header[name] = { dtype, shape, data_offsets: [position, end] };
    begins.set(name, position);
    position = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  // Spaces up to a multiple of 8 keep the tensors aligned for readers that map the file.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(padded.length));
  const dataStart = 8 + padded.length;

  await writeAtomically(path, async (file) => {
    await file.truncate(dataStart + position);
    await writeAt(file, Buffer.concat([prefix, padded]), 0);
    await fill((name, element, data) =>
      writeAt(file, asBytes(data), dataStart + begins.get(name)! + element * dtypes[layout[name]!.dtype].bytes),
    );
  });
}

async function writeAt(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done);
    done += bytesWritten;
  }
}

/** Writes tensors that are in memory, in the order of the keys, atomically. */
export function writeSafetensors(path: string, tensors: Readonly<Record<string, Tensor>>): Promise<void> {
  return streamSafetensors(path, tensors, async (put) => {
    for (const [name, tensor] of Object.entries(tensors)) await put(name, 0, tensor.data);
  });
}
