/**
 * The safetensors format: a little-endian uint64 header length, a JSON header
 * `{name: {dtype, shape, data_offsets: [begin, end]}}`, then the tensors' bytes without gaps.
 */
import type { RandomAccessFile } from './bytes.js';

/** Bytes of an element of each type. */
const BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};
export type SafetensorsDtype = keyof typeof BYTES;

export interface SafetensorsEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly begin: number;
  readonly end: number;
}

// The limit of the reference implementation; it keeps a hostile length from being allocated.
const LARGEST_HEADER = 100_000_000;

/**
 * Reads and checks the whole header: length, JSON, element types, shapes, offsets that overlap, leave gaps or miss the end
 * of the file.
 * @param invalid makes the error from what is not exactly right.
 */
export async function readSafetensorsHeader(
  file: RandomAccessFile,
  invalid: (what: string, cause?: unknown) => Error,
): Promise<Map<string, SafetensorsEntry>> {
  if (file.size < 8) throw invalid(`it has ${file.size} bytes, fewer than the 8 of the header length`);
  const prefix = await file.readAt(0, 8);
  const length = new DataView(prefix.buffer).getBigUint64(0, true);
  if (length > BigInt(LARGEST_HEADER)) throw invalid(`its header would be ${length} bytes (limit ${LARGEST_HEADER})`);
  const dataStart = 8 + Number(length);
  if (dataStart > file.size) throw invalid(`its header would end at byte ${dataStart}, after the end (${file.size})`);

  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await file.readAt(8, Number(length))));
  } catch (cause) {
    throw invalid('its header is not JSON', cause);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header))
    throw invalid('its header is not an object');

  const entries: [string, SafetensorsEntry][] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const entry = parseEntry(value, dataStart);
    if (typeof entry === 'string') throw invalid(`tensor "${name}" ${entry}`);
    entries.push([name, entry]);
  }

  let position = dataStart;
  for (const [name, { begin, end }] of [...entries].sort((a, b) => a[1].begin - b[1].begin || a[1].end - b[1].end)) {
    if (begin !== position) {
      throw invalid(`tensor "${name}" begins at byte ${begin}, but the bytes before it end at ${position}`);
    }
    position = end;
  }
  if (position !== file.size) throw invalid(`its tensors end at byte ${position}, but the file at ${file.size}`);
  return new Map(entries);
}

/** An entry of the header with absolute offsets, or what is wrong with it. */
function parseEntry(value: unknown, dataStart: number): SafetensorsEntry | string {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Record<string, unknown>;
  const natural = (n: unknown): n is number => Number.isSafeInteger(n) && (n as number) >= 0;
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype)) {
    return `has the element type ${JSON.stringify(dtype)}; these are known: ${Object.keys(BYTES).join(', ')}`;
  }
  if (!Array.isArray(shape) || !shape.every(natural)) return `has the shape ${JSON.stringify(shape)}`;
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(natural) || offsets[0]! > offsets[1]!) {
    return `has the offsets ${JSON.stringify(offsets)}`;
  }
  const [begin, end] = offsets as [number, number];
  const bytes = shape.reduce((product, side) => product * side, BYTES[dtype as SafetensorsDtype]);
  if (bytes !== end - begin) return `needs ${bytes} bytes by its shape, but has ${end - begin}`;
  return { dtype: dtype as SafetensorsDtype, shape, begin: dataStart + begin, end: dataStart + end };
}
