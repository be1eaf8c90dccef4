import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
const path = golden('several.h5');

test('the only matrix of a file needs no name, in whatever group', async () => {
  await expectRows(golden('one.h5'), await expected('x'), 5);
  await expectRows({ path: golden('one.h5'), name: '/group/x' }, await expected('x'), 5);
  await expectRows(golden('block.mat'), await expected('x'), 5);
});

test.each(['le/x_f2', 'le/x_f4', 'le/x_f8', 'be/x_f2', 'be/x_f4', 'be/x_f8', 'gzip', 'soft'])('%s', async (name) => {
  await expectRows({ path, name }, await expected('x'), 5);
});

test.each(['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'])('%s', async (type) => {
  await expectRows({ path, name: `k_${type}` }, await expected(type[0] === 'i' ? 'k' : 'unsigned k'), 5);
});

test('a note names type and data set', async () => {
  expect((await readEmbeddings({ path, name: 'le/x_f2' })).notes).toEqual([
    `${path} (data set "le/x_f2") holds float16; read as float32.`,
  ]);
});

test.each([
  [path, undefined, 'ERR_ARRAY_AMBIGUOUS', /several data sets.*"be\/x_f2" \(float16 \[40, 5\]\)/],
  [path, 'none', 'ERR_ARRAY_MISSING', /no data set "none"/],
  [path, 'le', 'ERR_ARRAY_MISSING', /no data set "le"/],
  [path, 'nowhere', 'ERR_ARRAY_MISSING', /no data set "nowhere"/],
  [path, 'flags', 'ERR_ARRAY_UNFIT', /"flags" \(enum \[40, 5\]\).*real numbers/],
  [path, 'texts', 'ERR_ARRAY_UNFIT', /strings/],
  [path, 'images', 'ERR_ARRAY_UNFIT', /\[10, 4, 5\].*\[N, d\]/],
  [path, 'lzf', 'ERR_HDF5_FILTER', /filter lzf.*gzip/],
  [path, 'empty', 'ERR_NO_ROWS', /holds no values/],
  [golden('none.h5'), undefined, 'ERR_ARRAY_UNFIT', /only "labels" \(int64 \[40\]\)/],
])('%s, name %s: refused', async (file, name, code, message) => {
  await expectRefused({ path: file, name }, code, message);
});

test('a closed file gives its memory back, and can be opened again', async () => {
  for (let i = 0; i < 50; i++) {
    const opened = await openEmbeddings({ path, name: 'gzip' });
    expect((await opened.read(39, 1))[0]).toBe((await expected('x'))[195]);
    await opened.close();
  }
});

test('cuts are refused, damage is survived', async () => {
  await expectEveryCutRefused('one.h5', folder, { step: 29 });
  await expectDamageSurvived('block.mat', folder, 30);
  await expectDamageSurvived('several.h5', folder, 15, { name: 'gzip' });
});

test('a file that was damaged is read once it is whole, under the same name', async () => {
  const whole = readFileSync(golden('several.h5'));
  const file = join(folder, 'repaired.h5');
  const source = { path: file, name: 'gzip' };
  // The last chunk that gzip wrote.
  const at = whole.lastIndexOf(Buffer.from([0x78, 0x5e]));
  writeFileSync(file, Buffer.concat([whole.subarray(0, at), Buffer.alloc(16, 0xff), whole.subarray(at + 16)]));
  await expectRefused(source, 'ERR_HDF5_FILE', /not a whole HDF5 file/);
  writeFileSync(file, whole);
  await expectRows(source, await expected('x'), 5);
});
