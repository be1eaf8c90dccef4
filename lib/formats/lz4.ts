/**
 * LZ4 frames, decoded within bounds. https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md.
 * Checksums are not looked at.
 */

const MAGIC = 0x184d2204;

/** No code of the format says more bytes than this with one. */
export const LZ4_RATIO = 255;

/**
 * Decodes a frame of which the length is known, block by block (4 MiB at most), between which other work can run.
 * @throws {RangeError} where it is damaged or does not give exactly `target.length` bytes.
 */
export async function decodeLz4(source: Uint8Array, target: Uint8Array): Promise<void> {
  let filled = 0;
  for (filled of lz4Blocks(source, target)) await new Promise((next) => setImmediate(next));
  if (filled !== target.length) throw new RangeError('an LZ4 frame is shorter than it says');
}

/** Decodes a frame of any length at once. */
export function decodeLz4Sync(source: Uint8Array): Uint8Array {
  const target = new Uint8Array(source.length * LZ4_RATIO);
  let filled = 0;
  for (filled of lz4Blocks(source, target));
  return target.slice(0, filled);
}

/** Gives how many bytes there are after each block. */
function* lz4Blocks(source: Uint8Array, target: Uint8Array): Generator<number> {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new RangeError('no LZ4 frame begins there');
  const flags = view.getUint8(4);
  // Flags: 2 versions, independence, block checksums, content size, content checksum, reserved, dictionary.
  let at = 7 + (flags & 0x08 ? 8 : 0) + (flags & 0x01 ? 4 : 0);
  let filled = 0;
  for (;;) {
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) break;
    const size = word & 0x7fffffff;
    if (at + size > source.length) throw new RangeError('an LZ4 block ends after its frame');
    const block = source.subarray(at, at + size);
    if (word >>> 31 === 0) {
      filled = decodeBlock(block, target, filled);
    } else {
      if (filled + size > target.length) throw new RangeError('an LZ4 frame is longer than it says');
      target.set(block, filled);
      filled += size;
    }
    at += size + (flags & 0x10 ? 4 : 0);
    yield filled;
  }
}

/** Sequences of literals and of matches, which repeat what is already there, byte by byte where they overlap themselves. */
function decodeBlock(source: Uint8Array, target: Uint8Array, from: number): number {
  const end = source.length;
  let at = 0;
  let filled = from;
  while (at < end) {
    const token = source[at++]!;
    let literals = token >> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (at >= end) throw new RangeError('an LZ4 block ends within a length');
        more = source[at++]!;
        literals += more;
      } while (more === 255);
    }
    if (at + literals > end || filled + literals > target.length)
      throw new RangeError('LZ4 literals are out of bounds');
    for (let i = 0; i < literals; i++) target[filled++] = source[at++]!;
    if (at === end) break;
    if (at + 2 > end) throw new RangeError('an LZ4 block ends within a match');
    const distance = source[at]! | (source[at + 1]! << 8);
    at += 2;
    let length = (token & 15) + 4;
    if ((token & 15) === 15) {
      let more: number;
      do {
        if (at >= end) throw new RangeError('an LZ4 block ends within a length');
        more = source[at++]!;
        length += more;
      } while (more === 255);
    }
    if (distance === 0 || distance > filled || filled + length > target.length) {
      throw new RangeError('an LZ4 match is out of bounds');
    }
    for (let back = filled - distance, i = 0; i < length; i++) target[filled++] = target[back++]!;
  }
  return filled;
}
