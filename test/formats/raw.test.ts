import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { expectEveryCutRefused, expected, expectRefused, expectRows, golden, scratch } from './golden.js';

const folder = scratch();

test('the ending says the type, or `dtype` does', async () => {
  for (const ending of ['f16', 'f32', 'f64']) {
    await expectRows({ path: golden(`x.${ending}`), cols: 5 }, await expected('x'), 5);
  }
  await expectRows({ path: golden('k.bin'), cols: 5, dtype: 'int8' }, await expected('k'), 5);
  await expectRows({ path: golden('x.f32'), cols: 10, dtype: 'float32' }, await expected('x'), 10);
});

test('`cols` makes raw values of a file of unknown ending', async () => {
  const path = join(folder, 'embeddings.dat');
  copyFileSync(golden('x.f32'), path);
  await expectRows({ path, cols: 5 }, await expected('x'), 5);
  await expectRefused(path, 'ERR_FORMAT_UNKNOWN', /NumPy \(\.npy\).*HDF5.*`cols` for raw values/);
});

test('what cannot be is refused', async () => {
  const path = golden('x.f32');
  await expectRefused(path, 'ERR_RAW_COLS', /Give `cols`/);
  await expectRefused(
    { path, cols: 7 },
    'ERR_RAW_SIZE',
    /800 bytes, which is no whole number of rows of 7 float32 \(28 bytes\)/,
  );
  await expectRefused({ path, cols: 500 }, 'ERR_RAW_SIZE', /rows of 500/);
});

test('every cut within a row is refused', () =>
  expectEveryCutRefused('x.f32', folder, { source: { cols: 5 }, isWhole: (bytes) => bytes % 20 === 0 }));
