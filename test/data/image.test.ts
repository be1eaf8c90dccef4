import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from 'fast-png';
import sharp from 'sharp';
import { describe, expect, it, test } from 'vitest';
import type { Modality } from '#lib/data/dataset.js';
import { decodeImage } from '#lib/data/image.js';
import { shared } from '../shared.js';
import { chunk, palette, writePng } from './png.js';

const NAME = 'semseg of sample "7" (data/semseg/7.png)';
// Neither is a multiple of 8: the last byte of a line is not full and the passes of Adam7 differ in size.
const width = 13;
const height = 11;
const size = { width, height };

function grid(value: (x: number, y: number) => number): number[] {
  return Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width)));
}

describe('label ids and depths are the stored numbers', () => {
  for (const interlace of [false, true]) {
    for (const bitDepth of [1, 2, 4, 8, 16]) {
      const value = (x: number, y: number) => (x * 31 + y * 1017) % 2 ** bitDepth;
      const type = bitDepth === 16 ? Uint16Array : Uint8Array;
      const kind = `${bitDepth}-bit ${interlace ? 'interlaced ' : ''}`;

      test(`${kind}grey`, async () => {
        const png = writePng({ ...size, bitDepth, colourType: 0, interlace }, value);
        for (const modality of ['semseg', 'instance', 'depth'] as Modality[]) {
          const raster = await decodeImage(png, modality, NAME);
          expect(raster).toMatchObject({ width, height, channels: 1 });
          expect(raster.data).toBeInstanceOf(type);
          expect([...raster.data]).toEqual(grid(value));
        }
      });

      if (bitDepth <= 8) {
        test(`${kind}palette`, async () => {
          const transparency = chunk('tRNS', Uint8Array.of(0, 128));
          const chunks = [palette(2 ** bitDepth), transparency];
          const png = writePng({ ...size, bitDepth, colourType: 3, interlace, chunks }, value);
          const raster = await decodeImage(png, 'semseg', NAME);
          expect(raster.channels).toBe(1);
          expect([...raster.data]).toEqual(grid(value));
        });
      }
      if (bitDepth >= 8) {
        test(`${kind}grey with alpha`, async () => {
          const png = writePng({ ...size, bitDepth, colourType: 4, interlace }, (x, y, c) =>
            c === 1 ? 0 : value(x, y),
          );
          expect([...(await decodeImage(png, 'depth', NAME)).data]).toEqual(grid(value));
        });
      }
    }
  }

  test('whatever gamma, profile or transparent value the file claims', async () => {
    const profile = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const start = profile.indexOf('iCCP') - 4;
    const iccp = profile.subarray(start, start + 12 + profile.readUInt32BE(start));
    const gamma = chunk('gAMA', Uint8Array.of(0, 0, 0x27, 0x10));
    const transparent = chunk('tRNS', Uint8Array.of(0, 5));
    const value = (x: number, y: number) => (x * 19 + y) % 256;
    const chunks = [gamma, iccp, transparent];
    const png = writePng({ ...size, bitDepth: 8, colourType: 0, chunks }, value);
    expect([...(await decodeImage(png, 'semseg', NAME)).data]).toEqual(grid(value));
  });

  test('ids behind the end of the palette', async () => {
    const png = writePng({ ...size, bitDepth: 8, colourType: 3, chunks: [palette(4)] }, () => 255);
    expect([...(await decodeImage(png, 'semseg', NAME)).data]).toEqual(grid(() => 255));
  });
});

describe('rgb is 8-bit sRGB of 3 channels', () => {
  const rgb = (png: Buffer) => decodeImage(png, 'rgb', 'rgb of sample "7"');
  const colour = (x: number, y: number, c: number) => (x * 7 + y * 13 + c * 101) % 256;
  const pixels = grid((x, y) => y * width + x).flatMap((i) =>
    [0, 1, 2].map((c) => colour(i % width, Math.floor(i / width), c)),
  );

  it('keeps RGB', async () => {
    const raster = await rgb(writePng({ ...size, bitDepth: 8, colourType: 2 }, colour));
    expect(raster).toMatchObject({ width, height, channels: 3 });
    expect(raster.data).toBeInstanceOf(Uint8Array);
    expect([...raster.data]).toEqual(pixels);
  });

  it('drops alpha without blending', async () => {
    const alpha = (x: number, y: number, c: number) => (c === 3 ? (x * 20) % 256 : colour(x, y, c));
    expect([...(await rgb(writePng({ ...size, bitDepth: 8, colourType: 6 }, alpha))).data]).toEqual(pixels);
  });

  it('repeats grey', async () => {
    for (const colourType of [0, 4] as const) {
      const png = writePng({ ...size, bitDepth: 8, colourType }, (x, y, c) => (c === 1 ? 0 : colour(x, y, 0)));
      const expected = grid((x, y) => colour(x, y, 0)).flatMap((v) => [v, v, v]);
      expect([...(await rgb(png)).data]).toEqual(expected);
    }
  });

  it('takes the upper 8 of 16 bits', async () => {
    const png = writePng({ ...size, bitDepth: 16, colourType: 2 }, (x, y, c) => colour(x, y, c) * 257);
    expect([...(await rgb(png)).data]).toEqual(pixels);
  });

  it('looks palette colours up', async () => {
    const chunks = [chunk('PLTE', Uint8Array.of(1, 2, 3, 40, 50, 60))];
    const png = writePng({ ...size, bitDepth: 1, colourType: 3, chunks }, (x) => x % 2);
    expect([...(await rgb(png)).data.subarray(0, 6)]).toEqual([1, 2, 3, 40, 50, 60]);
  });

  it('reads JPEG, of which EXIF orientation is ignored', async () => {
    const jpeg = await sharp({ create: { width: 20, height: 10, channels: 3, background: '#6496c8' } })
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100 })
      .toBuffer();
    const raster = await rgb(jpeg);
    expect(raster).toMatchObject({ width: 20, height: 10, channels: 3 });
    for (const [i, value] of [100, 150, 200].entries()) expect(Math.abs(raster.data[i]! - value)).toBeLessThan(4);
  });
});

describe('files that cannot be used', () => {
  const mask = writePng({ ...size, bitDepth: 8, colourType: 0 }, (x, y) => x ^ y);
  const failing = (bytes: Buffer, modality: Modality) =>
    decodeImage(bytes, modality, NAME).then(
      () => expect.unreachable('decoded'),
      (error) => error,
    );

  it('refuses a mask of colours and says what to do', async () => {
    for (const colourType of [2, 6] as const) {
      const error = await failing(
        writePng({ ...size, bitDepth: 8, colourType }, (x) => x),
        'semseg',
      );
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_IMAGE_COLOURS' });
      expect(error.message).toBe(
        `${NAME} is an RGB image: its pixels are colours, not label ids. ` +
          'Map each colour to its class id and save the ids as greyscale or palette PNG.',
      );
    }
  });

  it('refuses depths that were made a picture', async () => {
    for (const colourType of [2, 3] as const) {
      const png = writePng({ ...size, bitDepth: 8, colourType, chunks: [palette(256)] }, (x) => x);
      const error = await failing(png, 'depth');
      expect(error).toMatchObject({ code: 'ERR_IMAGE_COLOURS' });
      expect(error.message).toContain('16-bit greyscale PNG');
    }
  });

  it('refuses masks in formats that would change ids', async () => {
    const error = await failing(await sharp(mask).jpeg().toBuffer(), 'semseg');
    expect(error).toMatchObject({ code: 'ERR_IMAGE_FORMAT' });
    expect(error.message).toContain(`${NAME} is not a PNG`);
    expect((await failing(Buffer.alloc(0), 'semseg')).message).toContain(`${NAME} is empty`);
  });

  it('names a file that is cut off anywhere', async () => {
    for (let length = 8; length < mask.length; length += 3) {
      const error = await failing(mask.subarray(0, length), 'semseg');
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_IMAGE_DAMAGED' });
      expect(error.message).toContain(`${NAME} is damaged: it ends at byte ${length}`);
    }
    const half = writePng({ width: 200, height: 200, bitDepth: 8, colourType: 2 }, (x, y) => (x * y) % 256);
    const rgb = await failing(half.subarray(0, half.length >> 1), 'rgb');
    expect(rgb.code).toBe('ERR_IMAGE_DAMAGED');
    expect(rgb.message).toMatch(/is damaged: .*\. Copy it again/);
  });

  it('names a file with a changed byte', async () => {
    const start = mask.indexOf('IDAT') + 4;
    const end = mask.indexOf('IEND') - 8;
    for (let at = start; at < end; at += 5) {
      const bytes = Buffer.from(mask);
      bytes[at]! ^= 0x10;
      expect(await failing(bytes, 'semseg')).toMatchObject({ code: 'ERR_IMAGE_DAMAGED' });
    }
  });

  it('does not take a chunk length for granted', async () => {
    const bytes = Buffer.from(mask);
    bytes.writeUInt32BE(0xffffffff, 33);
    expect(await failing(bytes, 'semseg')).toMatchObject({ code: 'ERR_IMAGE_DAMAGED' });
    // IHDR twice, or not first
    const twice = Buffer.concat([mask.subarray(0, 8), mask.subarray(33), mask.subarray(8, 33)]);
    expect(await failing(twice, 'semseg')).toMatchObject({ code: 'ERR_IMAGE_DAMAGED' });
    // so many pixels that nobody has the memory
    const huge = Buffer.from(mask);
    huge.writeUInt32BE(0x7fffffff, 16);
    huge.writeUInt32BE(0x7fffffff, 20);
    expect(await failing(huge, 'semseg')).toMatchObject({ code: 'ERR_IMAGE_DAMAGED' });
  });

  it('names an RGB file that is no image', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.from('<html>404</html>')]) {
      expect(await failing(bytes, 'rgb')).toMatchObject({ name: 'DataError', code: 'ERR_IMAGE_DAMAGED' });
    }
  });
});

test.skipIf(!shared)('clevr-mini decodes to what fast-png makes of it', async () => {
  for (const modality of ['rgb', 'semseg', 'depth', 'instance'] as Modality[]) {
    for (const id of ['000000', '000311']) {
      const bytes = readFileSync(join(shared!, 'data/clevr-mini', modality, `${id}.png`));
      const raster = await decodeImage(bytes, modality, modality);
      const expected = decode(bytes);
      expect([raster.width, raster.height, raster.channels]).toEqual([224, 224, expected.channels]);
      expect(raster.data.constructor).toBe(expected.data.constructor);
      expect(raster.data.length).toBe(expected.data.length);
      expect(raster.data.every((value, i) => value === expected.data[i])).toBe(true);
    }
  }
});
