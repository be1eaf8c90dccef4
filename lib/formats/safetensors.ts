/** Embeddings in a safetensors file. safetensorsHeader.ts says how one looks. */
import { DataError } from '../errors.js';
import { openBytes } from './bytes.js';
import { chooseArray } from './choose.js';
import type { ElementType } from './elements.js';
import { flatRows } from './rows.js';
import { readSafetensorsHeader, type SafetensorsDtype } from './safetensorsHeader.js';
import type { EmbeddingFile, EmbeddingRows } from './source.js';

const TYPES: Record<SafetensorsDtype, ElementType | undefined> = {
  ...{ F64: 'float64', F32: 'float32', F16: 'float16', BF16: 'bfloat16' },
  ...{ I64: 'int64', I32: 'int32', I16: 'int16', I8: 'int8' },
  ...{ U64: 'uint64', U32: 'uint32', U16: 'uint16', U8: 'uint8' },
  BOOL: undefined,
};

/**
 * Opens a tensor, [N, d]: `name`, or the only one that embeddings may be.
 * @throws {DataError} `ERR_SAFETENSORS_INVALID` and as `chooseArray`.
 */
export async function openSafetensorsRows({ path, name }: EmbeddingFile): Promise<EmbeddingRows> {
  const file = await openBytes(path);
  try {
    const invalid = (what: string, cause?: unknown) =>
      new DataError(
        'ERR_SAFETENSORS_INVALID',
        `${path} is not a valid safetensors file: ${what}. Write or copy it again.`,
        { cause },
      );
    const tensors = [...(await readSafetensorsHeader(file, invalid))].map(([key, { dtype, shape, begin }]) => ({
      ...{ name: key, shape, begin, type: TYPES[dtype], typeName: dtype },
    }));
    const { name: chosen, type, shape, begin } = chooseArray(path, 'tensor', tensors, name);
    const [rows, cols] = shape as [number, number];
    return flatRows(file, { source: `${path} (tensor "${chosen}")`, type, offset: begin, rows, cols });
  } catch (error) {
    await file.close();
    throw error;
  }
}
