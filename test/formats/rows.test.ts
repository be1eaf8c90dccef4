import { copyFileSync, mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddings } from '#lib/formats/open.js';
import type { EmbeddingSource } from '#lib/formats/source.js';
import { golden, scratch } from './golden.js';

const folder = scratch();

async function hasColumns(source: EmbeddingSource): Promise<boolean> {
  const file = await openEmbeddings(source);
  await file.close();
  return file.readColumns !== undefined;
}

test.runIf(process.platform !== 'win32')(
  'columns can be had of formats whose rows lie in the file as they are',
  async () => {
    mkdirSync(join(folder, 'parts'));
    for (const part of [1, 2]) copyFileSync(golden('halves.npy'), join(folder, 'parts', `${part}.npy`));
    for (const source of [
      golden('k_le_i4.npy'),
      golden('k_be_i2.npy'),
      { path: golden('several.npz'), name: 'x' },
      golden('one.safetensors'),
      { path: golden('x.f16'), cols: 5 },
      join(folder, 'parts'),
    ]) {
      expect(await hasColumns(source), JSON.stringify(source)).toBe(true);
    }
    for (const source of [golden('deflated.npz'), golden('x.fvecs'), golden('list.parquet'), golden('one.h5')]) {
      expect(await hasColumns(source), JSON.stringify(source)).toBe(false);
    }
  },
);

test.runIf(process.platform !== 'win32')('a file that ends while its columns are read', async () => {
  const path = join(folder, 'cut.f32');
  copyFileSync(golden('x.f32'), path);
  const file = await openEmbeddings({ path, cols: 5 });
  truncateSync(path, 150);
  await expect(file.readColumns!(1, 2, new Float32Array(2 * file.rows))).rejects.toMatchObject({
    name: 'DataError',
    code: 'ERR_FILE_TRUNCATED',
    message: expect.stringMatching(/cut\.f32 ends at byte 150, but bytes 4\.\.792 are needed/),
  });
  await file.close();
});
