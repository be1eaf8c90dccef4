/** Element types of files, and how their values become the float32 or float64 that everything else computes with. */
import type { RandomAccessFile } from './bytes.js';
import { fromBfloat16, fromHalf } from './half.js';

/**
 * Element types of embeddings in files. The smaller type that holds every value is `as`; integers of 64 bits beyond 2^53
 * are rounded to the nearest float64.
 */
export const ELEMENTS = {
  float32: { bytes: 4, as: 'float32' },
  float64: { bytes: 8, as: 'float64' },
  float16: { bytes: 2, as: 'float32' },
  bfloat16: { bytes: 2, as: 'float32' },
  int8: { bytes: 1, as: 'float32' },
  uint8: { bytes: 1, as: 'float32' },
  int16: { bytes: 2, as: 'float32' },
  uint16: { bytes: 2, as: 'float32' },
  int32: { bytes: 4, as: 'float64' },
  uint32: { bytes: 4, as: 'float64' },
  int64: { bytes: 8, as: 'float64' },
  uint64: { bytes: 8, as: 'float64' },
} as const;

/** What a file may hold. */
export type ElementType = keyof typeof ELEMENTS;
export const ELEMENT_TYPES = Object.keys(ELEMENTS) as ElementType[];

/** How the values of a file are stored. */
export interface Stored {
  readonly type: ElementType;
  readonly bigEndian?: boolean | undefined;
}

export type Floats = Float32Array | Float64Array;

/** Half a millisecond of converting; what is read and what comes of it stay in the processor's cache. */
const CHUNK_VALUES = 1 << 18;

export function floatsOf(dtype: 'float32' | 'float64', length: number): Floats {
  return dtype === 'float32' ? new Float32Array(length) : new Float64Array(length);
}

/** The sentence for `notes`; none where values are given as they are stored. */
export function conversionNotes(source: string, stored: Stored): string[] {
  if (!needsConversion(stored)) return [];
  const { type, bigEndian } = stored;
  const { as } = ELEMENTS[type];
  const rounded = type === 'int64' || type === 'uint64' ? ', which rounds integers beyond 2^53' : '';
  return [`${source} holds ${bigEndian ? 'big-endian ' : ''}${type}; read as ${as}${rounded}.`];
}

/** Fills `target` (of the type `ELEMENTS[type].as`, which may be shared) with the values that begin at the byte `offset`. */
export type ReadElements = (offset: number, target: Floats) => Promise<void>;

/**
 * Makes what reads the values of a file, one call at a time. What is stored as it is wanted goes straight to its place; else
 * a chunk is read while the one before it is converted.
 */
export function elementReader(file: RandomAccessFile, stored: Stored): ReadElements {
  if (!needsConversion(stored)) return (offset, target) => file.readInto(offset, target);
  const { bytes, as } = ELEMENTS[stored.type];
  // Kept from call to call: fresh memory costs more than what is done in it.
  let length = 0;
  let raw: Buffer[] = [];
  let values: Floats = floatsOf(as, 0);
  return async (offset, target) => {
    const wanted = Math.min(CHUNK_VALUES, target.length);
    if (length < wanted) {
      length = wanted;
      raw = [Buffer.allocUnsafeSlow(length * bytes), Buffer.allocUnsafeSlow(length * bytes)];
      values = floatsOf(as, length);
    }
    const load = (turn: number): Promise<Buffer> => {
      const from = turn * length;
      const part = raw[turn % 2]!.subarray(0, Math.min(length, target.length - from) * bytes);
      return file.readInto(offset + from * bytes, part).then(() => part);
    };
    const turns = Math.ceil(target.length / length);
    let pending = load(0);
    for (let turn = 0; turn < turns; turn++) {
      const part = await pending;
      if (turn + 1 < turns) {
        pending = load(turn + 1);
        // Whoever awaits it gets the error; until then it is not an unhandled one.
        pending.catch(() => {});
      }
      target.set(convert(stored, part, values.subarray(0, part.length / bytes)), turn * length);
    }
  };
}

/**
 * The same of pieces, each `stride` bytes after the one before: fills `target` with `count` of them. Undefined where the file has
 * no way to read them together.
 */
export function pieceReader(file: RandomAccessFile, stored: Stored) {
  const { readPieces } = file;
  if (!readPieces) return undefined;
  if (!needsConversion(stored)) return readPieces;
  const { bytes, as } = ELEMENTS[stored.type];
  let raw = Buffer.alloc(0);
  let values: Floats = floatsOf(as, 0);
  return async (offset: number, stride: number, count: number, target: Floats): Promise<void> => {
    const width = target.length / count;
    const height = Math.min(count, Math.max(1, Math.floor(CHUNK_VALUES / width)));
    if (values.length < height * width) {
      raw = Buffer.allocUnsafeSlow(height * width * bytes);
      values = floatsOf(as, height * width);
    }
    for (let done = 0; done < count; done += height) {
      const length = Math.min(height, count - done) * width;
      const part = raw.subarray(0, length * bytes);
      await readPieces(offset + done * stride, stride, length / width, part);
      target.set(convert(stored, part, values.subarray(0, length)), done * width);
    }
  };
}

export function needsConversion({ type, bigEndian }: Stored): boolean {
  return bigEndian === true || type !== ELEMENTS[type].as;
}

/**
 * Converts the values in `raw`, which begins at a multiple of their size and may be overwritten. `out` has their number and
 * is not shared: the loops below run at a quarter of their speed on shared memory.
 * @returns the values, in `out` or in a view of `raw` that `set` of a typed array converts as fast as it copies.
 */
export function convert({ type, bigEndian }: Stored, raw: Buffer, out: Floats): ArrayLike<number> {
  const { bytes } = ELEMENTS[type];
  if (bigEndian && bytes === 2) raw.swap16();
  if (bigEndian && bytes === 4) raw.swap32();
  if (bigEndian && bytes === 8) raw.swap64();
  const { buffer, byteOffset: at } = raw;
  const count = raw.length / bytes;
  switch (type) {
    case 'float32':
      return new Float32Array(buffer, at, count);
    case 'float64':
      return new Float64Array(buffer, at, count);
    case 'float16':
      fromHalf(new Uint16Array(buffer, at, count), out as Float32Array);
      return out;
    case 'bfloat16':
      fromBfloat16(new Uint16Array(buffer, at, count), out as Float32Array);
      return out;
    case 'int8':
      return new Int8Array(buffer, at, count);
    case 'uint8':
      return raw;
    case 'int16':
      return new Int16Array(buffer, at, count);
    case 'uint16':
      return new Uint16Array(buffer, at, count);
    case 'int32':
      return new Int32Array(buffer, at, count);
    case 'uint32':
      return new Uint32Array(buffer, at, count);
    default: {
      // Ten times as fast as by BigInt; the one rounding is that of the sum.
      const low = new Uint32Array(buffer, at, 2 * count);
      const high = type === 'int64' ? new Int32Array(buffer, at, 2 * count) : low;
      for (let i = 0; i < count; i++) out[i] = high[2 * i + 1]! * 2 ** 32 + low[2 * i]!;
      return out;
    }
  }
}
