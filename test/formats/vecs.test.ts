import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import { expectEveryCutRefused, expected, expectRefused, expectRows, golden, scratch } from './golden.js';

const folder = scratch();

test('fvecs, bvecs, ivecs', async () => {
  await expectRows(golden('x.fvecs'), await expected('x'), 5);
  await expectRows(golden('k.bvecs'), await expected('unsigned k'), 5);
  await expectRows(golden('k.ivecs'), await expected('k'), 5);
  expect((await readEmbeddings(golden('k.bvecs'))).notes).toEqual([
    `${golden('k.bvecs')} holds uint8; read as float32.`,
  ]);
});

test('more rows than a chunk has', async () => {
  const [rows, cols] = [9001, 100];
  const words = new Int32Array(rows * (cols + 1));
  const floats = new Float32Array(words.buffer);
  for (let row = 0; row < rows; row++) {
    words[row * (cols + 1)] = cols;
    for (let col = 0; col < cols; col++) floats[row * (cols + 1) + 1 + col] = row * cols + col;
  }
  const path = join(folder, 'many.fvecs');
  writeFileSync(path, new Uint8Array(words.buffer));
  expect((await readEmbeddings(path)).data.every((value, i) => value === i)).toBe(true);
});

test('every cut within a row is refused', () =>
  expectEveryCutRefused('x.fvecs', folder, { isWhole: (bytes) => bytes % 24 === 0 }));

test('a row of another length is named: the last when the file is opened, others when they are read', async () => {
  const path = join(folder, 'uneven.fvecs');
  const bytes = Buffer.from(readFileSync(golden('x.fvecs')));
  bytes.writeInt32LE(4, 39 * 24);
  writeFileSync(path, bytes);
  await expectRefused(path, 'ERR_VECS_ROW', /row 39 says that it has 4 values, row 0 has 5/);
  bytes.writeInt32LE(5, 39 * 24);
  bytes.writeInt32LE(6, 17 * 24);
  writeFileSync(path, bytes);
  const opened = await openEmbeddings(path);
  expect(await opened.read(0, 17)).toHaveLength(85);
  await expect(opened.read(10, 10)).rejects.toMatchObject({
    code: 'ERR_VECS_ROW',
    message: expect.stringMatching(/row 17/),
  });
  await opened.close();
});

test.each([0, -3, 2 ** 31 - 1])('a first row that claims %s values is refused', async (d) => {
  const path = join(folder, 'first.fvecs');
  const bytes = Buffer.from(readFileSync(golden('x.fvecs')));
  bytes.writeInt32LE(d, 0);
  writeFileSync(path, bytes);
  await expectRefused(path, 'ERR_VECS_SIZE', /no whole number of rows/);
});
