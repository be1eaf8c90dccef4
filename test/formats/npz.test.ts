import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import {
  expectDamageSurvived,
  expectEveryCutRefused,
  expected,
  expectRefused,
  expectRows,
  golden,
  scratch,
} from './golden.js';

const folder = scratch();

describe('what NumPy wrote', () => {
  test.each(['stored.npz', 'deflated.npz', 'fortran.npz', 'zip64.npz'])('%s', async (name) => {
    await expectRows(golden(name), await expected('x'), 5);
  });

  test('a name chooses; it is needed only where several arrays may be meant', async () => {
    const path = golden('several.npz');
    await expectRows({ path, name: 'x' }, await expected('x'), 5);
    await expectRows({ path, name: 'k' }, await expected('k'), 5);
    expect((await readEmbeddings({ path, name: 'y' })).cols).toBe(2);
    await expectRefused(path, 'ERR_ARRAY_AMBIGUOUS', /"x" \(<f4 \[40, 5\]\), "y" \(<f4 \[40, 2\]\)\.$/);
    await expectRows(golden('integers.npz'), await expected('k'), 5);
    expect((await readEmbeddings(golden('integers.npz'))).notes).toEqual([
      `${golden('integers.npz')} (array "k") holds int8; read as float32.`,
    ]);
  });

  test.each([
    ['several.npz', 'z', 'ERR_ARRAY_MISSING', /no array "z".*"x" .*"y" .*"k"/],
    [
      'stored.npz',
      'labels',
      'ERR_ARRAY_UNFIT',
      /"labels" \(<i8 \[40\]\) cannot be read, because embeddings are \[N, d\]/,
    ],
    ['pickled.npz', 'objects', 'ERR_ARRAY_UNFIT', /pickled objects.*real numbers/],
    ['pickled.npz', undefined, 'ERR_ARRAY_UNFIT', /pickled objects/],
    ['one_d.npz', undefined, 'ERR_ARRAY_UNFIT', /no array of numbers \[N, d\], only "labels" .*"more"/],
    ['no_rows.npz', undefined, 'ERR_NO_ROWS', /shape \(0, 5\)/],
    ['bzip2.npz', undefined, 'ERR_NPZ_METHOD', /"x\.npy" is compressed by method 12.*np\.savez/],
  ])('%s, name %s: refused', async (name, array, code, message) => {
    await expectRefused({ path: golden(name), name: array }, code, message);
  });
});

test.each(['stored.npz', 'deflated.npz', 'zip64.npz'])('%s: every cut is refused, damage is survived', async (name) => {
  await expectEveryCutRefused(name, folder);
  await expectDamageSurvived(name, folder, 500);
});

/** An archive of one deflated member, without checksums; `size` is what it says of itself. */
function archive(name: string, content: Buffer, size = content.length, packed = deflateRawSync(content)): string {
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(8, 4);
  fields.writeUInt32LE(packed.length, 14);
  fields.writeUInt32LE(size, 18);
  fields.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), packed]);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, Buffer.alloc(14), Buffer.from(name)]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0);
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(local.length, 16);
  const path = join(folder, 'made.npz');
  writeFileSync(path, Buffer.concat([local, central, end]));
  return path;
}

/** A .npy file of float32. */
function npy(rows: number, cols: number, values: Buffer): Buffer {
  const start = Buffer.from('\x93NUMPY\x01\x00\x76\x00', 'latin1');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${cols}), }`.padEnd(117);
  return Buffer.concat([start, Buffer.from(`${text}\n`), values]);
}

describe('deflated members', () => {
  const [rows, cols] = [30_000, 50];
  const values = Float32Array.from({ length: rows * cols }, (_, i) => (i * 2654435761) % 1000);
  const content = npy(rows, cols, Buffer.from(values.buffer));

  test('of many chunks: to the end, then backwards, then two reads at once', async () => {
    const path = archive('x.npy', content);
    const { data } = await readEmbeddings(path);
    expect(data.every((value, i) => value === values[i])).toBe(true);
    const opened = await openEmbeddings(path);
    for (const start of [29_999, 15_000, 15_001, 0]) {
      expect(await opened.read(start, 1)).toEqual(values.slice(start * cols, (start + 1) * cols));
    }
    const [late, early] = await Promise.all([opened.read(20_000, 2), opened.read(10, 2)]);
    expect(late).toEqual(values.slice(20_000 * cols, 20_002 * cols));
    expect(early).toEqual(values.slice(10 * cols, 12 * cols));
    await opened.close();
  });

  test('a size that no deflated data of that length can have allocates nothing', async () => {
    const path = archive('x.npy', npy(1_000_000, 1000, Buffer.alloc(0)), 4_000_000_128);
    await expectRefused(path, 'ERR_NPZ_BROKEN', /promises 4000000128 bytes, more than/);
  });

  test('more or less content than promised is refused', async () => {
    await expectRefused(archive('x.npy', content, content.length - 4), 'ERR_NPY_TRUNCATED', /promises/);
    const longer = Buffer.concat([content, Buffer.alloc(8)]);
    const packed = deflateRawSync(longer);
    await expectRefused(archive('x.npy', content, content.length, packed), 'ERR_NPZ_BROKEN', /more than its \d+ bytes/);
    const shorter = deflateRawSync(content.subarray(0, -400));
    await expectRefused(
      archive('x.npy', content, content.length, shorter),
      'ERR_NPZ_BROKEN',
      /ends after \d+ of \d+ bytes/,
    );
  });

  test('data that is not deflated is refused', async () => {
    const noise = Buffer.from(content.subarray(0, 100_000).map((byte, i) => byte ^ (i * 31)));
    await expectRefused(archive('x.npy', content, content.length, noise), 'ERR_NPZ_BROKEN', /of "x\.npy", /);
  });
});

test('an archive without arrays, and a zip file of other things', async () => {
  await expectRefused(archive('notes.txt', Buffer.from('hello')), 'ERR_ARRAY_UNFIT', /has no arrays/);
  const path = join(folder, 'twice.npz');
  writeFileSync(path, readFileSync(golden('stored.npz')));
  truncateSync(path, 100);
  await expectRefused(path, 'ERR_NPZ_BROKEN', /directory at its end is missing/);
});
