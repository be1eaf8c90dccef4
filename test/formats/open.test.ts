import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddings } from '#lib/formats/open.js';
import { expected, expectRefused, expectRows, golden, scratch } from './golden.js';

const folder = scratch();

test.each(['x.npy', 'deflated.npz', 'one.safetensors', 'one.h5', 'block.mat'])(
  '%s under a name that says nothing is known by how it begins',
  async (name) => {
    const path = join(folder, name.replace('.', '-'));
    copyFileSync(golden(name), path);
    await expectRows(path, await expected('x'), 5);
  },
);

test('endings may be in capitals', async () => {
  const path = join(folder, 'X.FVECS');
  copyFileSync(golden('x.fvecs'), path);
  await expectRows(path, await expected('x'), 5);
});

test.each([
  [
    'stored.npz',
    'archive.npy',
    /archive\.npy is named like NumPy, but begins like NumPy archive\. Rename it to end in \.npz/,
  ],
  ['x.npy', 'array.h5', /named like HDF5, but begins like NumPy\./],
  ['one.h5', 'tensors.safetensors', /named like safetensors, but begins like HDF5/],
])('%s named %s is refused', async (name, wrong, message) => {
  const path = join(folder, wrong);
  copyFileSync(golden(name), path);
  await expectRefused(path, 'ERR_FORMAT_DIFFERS', message);
});

test.each(['npy', 'npz', 'safetensors', 'h5', 'fvecs', 'f32'])('an empty .%s file, and none', async (ending) => {
  const path = join(folder, `empty.${ending}`);
  writeFileSync(path, '');
  await expectRefused({ path }, 'ERR_FILE_EMPTY', /is empty \(0 bytes\)/);
  await expectRefused(join(folder, `absent.${ending}`), 'ERR_FILE_MISSING', /does not exist/);
});

test('text of every ending is refused', async () => {
  for (const ending of ['npy', 'npz', 'safetensors', 'h5', 'mat', 'fvecs', 'bvecs', 'ivecs', 'f32', 'txt']) {
    const path = join(folder, `text.${ending}`);
    writeFileSync(path, 'a,b\n1,2\n');
    await expectRefused(path, expect.stringMatching(/^ERR_[A-Z0-9_]+$/) as never, /\./);
  }
});

test('options that a format does not use are refused', async () => {
  const npy = golden('x.npy');
  await expectRefused(
    { path: npy, cols: 5 },
    'ERR_OPTION_UNUSED',
    /`cols` is an option of the formats raw, but .*x\.npy is NumPy\. Leave it out\./,
  );
  await expectRefused({ path: npy, dtype: 'float16' }, 'ERR_OPTION_UNUSED', /`dtype` is an option of the formats raw/);
  await expectRefused(
    { path: npy, name: 'x' },
    'ERR_OPTION_UNUSED',
    /`name` is an option of the formats NumPy archive, safetensors, HDF5/,
  );
  await expectRefused({ path: golden('x.f32'), cols: 5, name: 'x' }, 'ERR_OPTION_UNUSED', /x\.f32 is raw/);
});

test('a device is not read', async () => {
  await expectRefused('/dev/null', 'ERR_FILE_UNREADABLE', /not a regular file/);
});

test('options of a wrong type or range name themselves', async () => {
  const path = golden('x.f32');
  await expect(openEmbeddings({ path, cols: 0 })).rejects.toThrow(/`cols` must be an integer >= 1/);
  await expect(openEmbeddings({ path, cols: 5, dtype: 'float8' as never })).rejects.toThrow(
    /`dtype` must be one of float32/,
  );
});
