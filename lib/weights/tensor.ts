/** The plain types that weight files are read into, and the table of element types. */
import { fromBfloat16, fromHalf } from '../formats/half.js';

/** Element types by the names that safetensors gives them. F16 and BF16 are kept as their raw 16 bits. */
export const dtypes = {
  F64: { bytes: 8, Array: Float64Array },
  F32: { bytes: 4, Array: Float32Array },
  F16: { bytes: 2, Array: Uint16Array },
  BF16: { bytes: 2, Array: Uint16Array },
  I64: { bytes: 8, Array: BigInt64Array },
  U64: { bytes: 8, Array: BigUint64Array },
  I32: { bytes: 4, Array: Int32Array },
  U32: { bytes: 4, Array: Uint32Array },
  I16: { bytes: 2, Array: Int16Array },
  U16: { bytes: 2, Array: Uint16Array },
  I8: { bytes: 1, Array: Int8Array },
  U8: { bytes: 1, Array: Uint8Array },
  BOOL: { bytes: 1, Array: Uint8Array },
} as const;

export type TensorDtype = keyof typeof dtypes;
export type TensorData = InstanceType<(typeof dtypes)[TensorDtype]['Array']>;

/** Element type and dimensions, outermost first; an empty shape is a scalar. */
export interface TensorInfo {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
}

/** A tensor in memory, row-major. */
export interface Tensor extends TensorInfo {
  readonly data: TensorData;
}

/** An open file of named tensors: only the directory is in memory until a tensor is read. Close it when done. */
export interface TensorFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Reads one tensor. Rejects with ModelError when the name is unknown or the file ends early. */
  read(name: string): Promise<Tensor>;
  /** Reads the rows [start, end) of the first dimension, and only those bytes where the layout allows it. */
  readRows(name: string, start: number, end: number): Promise<Tensor>;
  close(): Promise<void>;
}

/** Number of elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** Views `bytes` as elements; copies only where the memory is not aligned. */
export function asElements(dtype: TensorDtype, bytes: Uint8Array): TensorData {
  const { bytes: size, Array: Elements } = dtypes[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new Elements(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / size);
}

/** The bytes of a tensor's data, without a copy. */
export function asBytes(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Converts a floating-point tensor to float32; undefined for other element types. */
export function toFloat32(tensor: Tensor): Float32Array | undefined {
  const { dtype, data } = tensor;
  if (dtype === 'F32') return data as Float32Array;
  if (dtype === 'F64') return Float32Array.from(data as Float64Array);
  if (dtype !== 'BF16' && dtype !== 'F16') return undefined;
  const out = new Float32Array(data.length);
  (dtype === 'BF16' ? fromBfloat16 : fromHalf)(data as Uint16Array, out);
  return out;
}

/** Rounds to the nearest IEEE 754 binary16, ties to even; beyond 65,504 to infinity. */
export function toHalf(values: Float32Array): Uint16Array<ArrayBuffer> {
  return Uint16Array.from(values, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.abs(value);
    if (Number.isNaN(value)) return 0x7e00;
    if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
    // Multiples of 2^-24 below the smallest normal number, of 2^(e - 10) above it.
    const exponent = Math.max(-14, Math.floor(Math.log2(size)));
    const unit = 2 ** (exponent - 10);
    const steps = size / unit;
    const rounded = Math.floor(steps) + (steps % 1 > 0.5 || (steps % 1 === 0.5 && Math.floor(steps) % 2 === 1) ? 1 : 0);
    const bits = (exponent + 14) * 1024 + rounded;
    return sign | (size === 0 ? 0 : Math.min(bits, 0x7c00));
  });
}
