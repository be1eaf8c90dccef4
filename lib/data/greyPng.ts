import { DataError } from '../errors.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** IHDR's `colour type`. */
const PALETTE = 3;
const COLOURS = [2, 6];

/** What the pixels of a one-channel PNG stand for. */
export type Meaning = 'label ids' | 'depths';

/**
 * The same pixels as a greyscale PNG with nothing else in it, so that an ordinary decoder gives the stored numbers: a
 * palette image is a greyscale image of its indices once nobody looks at the palette, and without ancillary chunks
 * there is no profile or transparency that could change a value.
 *
 * A decoder that returned the indices itself would do; those at hand (fast-png) run on the JavaScript thread, 40 to
 * 120 ms for 2 Mpx, and garble interlaced images of less than 8 bits.
 *
 * @returns the PNG (grey or grey with alpha) and the bits per value: 1, 2, 4, 8 or 16.
 * @throws {DataError} beginning with `name`: `ERR_IMAGE_FORMAT` if it is no PNG, `ERR_IMAGE_COLOURS` if its pixels are
 * colours, `ERR_IMAGE_DAMAGED` if it is cut off.
 */
export function greyPng(bytes: Buffer, meaning: Meaning, name: string): { png: Buffer; bitDepth: number } {
  if (!bytes.subarray(0, 8).equals(SIGNATURE)) {
    const what = bytes.length === 0 ? 'is empty' : 'is not a PNG';
    throw new DataError(
      'ERR_IMAGE_FORMAT',
      `${name} ${what}. Save ${meaning} as greyscale PNG: formats with lossy compression would change them.`,
    );
  }
  const chunks = [SIGNATURE, ...pixelChunks(bytes, name)];
  const header = Buffer.from(chunks[1]!);
  const bitDepth = header[16]!;
  const colourType = header[17]!;
  if (COLOURS.includes(colourType) || (colourType === PALETTE && meaning === 'depths')) {
    throw new DataError(
      'ERR_IMAGE_COLOURS',
      meaning === 'depths'
        ? `${name} is a colour picture of depths, not depths. Save the depths themselves as 16-bit greyscale PNG.`
        : `${name} is an RGB image: its pixels are colours, not label ids. ` +
            'Map each colour to its class id and save the ids as greyscale or palette PNG.',
    );
  }
  if (colourType === PALETTE) {
    header[17] = 0;
    header.writeUInt32BE(crc32(header.subarray(4, 21)), 21);
    chunks[1] = header;
  }
  return { png: Buffer.concat(chunks), bitDepth };
}

/** IHDR, the IDATs and IEND, each with length, type and CRC. */
function pixelChunks(bytes: Buffer, name: string): Buffer[] {
  const chunks: Buffer[] = [];
  for (let offset = 8; ; ) {
    const end = offset + 12 <= bytes.length ? offset + 12 + bytes.readUInt32BE(offset) : Infinity;
    const type = bytes.toString('latin1', offset + 4, offset + 8);
    if (end > bytes.length) throw damaged(name, `it ends at byte ${bytes.length}, within a chunk`);
    if (offset === 8 && (type !== 'IHDR' || end !== 33)) throw damaged(name, 'it does not begin with a header chunk');
    if (type === 'IHDR' || type === 'IDAT' || type === 'IEND') chunks.push(bytes.subarray(offset, end));
    if (type === 'IEND') return chunks;
    offset = end;
  }
}

/** "`name` is damaged: `detail`. Copy it again ..." */
export function damaged(name: string, detail: string, cause?: unknown): DataError {
  const message = `${name} is damaged: ${detail}. Copy it again from where it came from, or make it anew.`;
  return new DataError('ERR_IMAGE_DAMAGED', message, { cause });
}

/** CRC-32 of PNG, bit by bit: it is only ever taken of 17 bytes. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
