/** Writes PNGs of every kind that the format knows, value by value, so that tests do not rest on another encoder. */
import { deflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
/** Adam7: first x, first y, step x, step y of each pass. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export interface PngOptions {
  width: number;
  height: number;
  bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA. */
  colourType: keyof typeof CHANNELS;
  interlace?: boolean;
  /** Further chunks behind the header, e.g. a palette. */
  chunks?: Buffer[];
}

export function writePng(options: PngOptions, value: (x: number, y: number, channel: number) => number): Buffer {
  const { width, height, bitDepth, colourType, interlace = false, chunks = [] } = options;
  const lines: Buffer[] = [];
  for (const [x0, y0, dx, dy] of interlace ? PASSES : ([[0, 0, 1, 1]] as const)) {
    if (x0 >= width) continue;
    for (let y = y0; y < height; y += dy) {
      let bits = '';
      for (let x = x0; x < width; x += dx) {
        for (let c = 0; c < CHANNELS[colourType]; c++) bits += value(x, y, c).toString(2).padStart(bitDepth, '0');
      }
      const bytes = bits.match(/.{1,8}/g)!.map((byte) => Number.parseInt(byte.padEnd(8, '0'), 2));
      lines.push(Buffer.from([0, ...bytes])); // filter 0
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colourType, 0, 0, interlace ? 1 : 0], 8);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...chunks,
    chunk('IDAT', deflateSync(Buffer.concat(lines))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

export function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), out.length - 4);
  return out;
}

/** A palette of `colours` entries that share no order with their indices, the last ones being equal. */
export function palette(colours: number): Buffer {
  const entries = Array.from({ length: colours }, (_, i) =>
    i >= colours - 2 ? [9, 9, 9] : [255 - i, (i * 91) % 256, 3],
  );
  return chunk('PLTE', Uint8Array.from(entries.flat()));
}

function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}
