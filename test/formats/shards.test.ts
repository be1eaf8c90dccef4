import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reduce, select } from 'coregain';
import { beforeAll, describe, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { filesOf, openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import { expected, expectRefused, expectRows, golden, scratch } from './golden.js';

const folder = scratch();
const at = (...parts: string[]) => join(folder, ...parts);
let x: number[];

/** Rows [from, to) of x as a .npy file. */
async function writePart(
  path: string,
  from: number,
  to: number,
  Floats: typeof Float32Array | typeof Float64Array = Float32Array,
) {
  await writeNpy(path, { data: Floats.from(x.slice(from * 5, to * 5)), shape: [to - from, 5] });
}

beforeAll(async () => {
  x = await expected('x');
  await writePart(at('parts', 'part-10.npy'), 30, 40);
  await writePart(at('parts', 'part-9.npy'), 7, 30);
  await writePart(at('parts', 'part-1.npy'), 0, 7);
  writeFileSync(at('parts', 'samples.jsonl'), '{}\n');
  writeFileSync(at('parts', '.part-0.npy.tmp'), 'x');
});

test('a folder and a pattern are one matrix, in natural order', async () => {
  await expectRows(at('parts'), x, 5);
  await expectRows(at('parts', 'part-*.npy'), x, 5);
  await expectRows(at('parts', 'part-?.npy'), x.slice(0, 150), 5);
  await expectRows({ path: at('**', 'part-*.npy') }, x, 5);
  expect(await filesOf(at('parts'))).toEqual(
    ['part-1.npy', 'part-9.npy', 'part-10.npy'].map((name) => at('parts', name)),
  );
  expect(await filesOf(golden('x.npy'))).toEqual([golden('x.npy')]);
  expect(await filesOf(at('absent.npy'))).toEqual([at('absent.npy')]);
});

test('other formats, with their options', async () => {
  mkdirSync(at('archives'));
  for (const part of [1, 2]) copyFileSync(golden('several.npz'), at('archives', `${part}.npz`));
  await expectRows({ path: at('archives'), name: 'x' }, [...x, ...x], 5);
  await expectRefused(at('archives'), 'ERR_ARRAY_AMBIGUOUS', /archives/);
  mkdirSync(at('raw'));
  for (const part of [1, 2]) copyFileSync(golden('x.f16'), at('raw', `${part}.f16`));
  await expectRows({ path: at('raw', '*'), cols: 5 }, [...x, ...x], 5);
  for (const [name, format] of [
    ['one.h5', 'h5'],
    ['deflated.npz', 'npz'],
    ['one.safetensors', 'safetensors'],
    ['x.fvecs', 'fvecs'],
  ] as const) {
    mkdirSync(at(format));
    for (const part of [1, 2, 3]) copyFileSync(golden(name), at(format, `${part}.${format}`));
    await expectRows(at(format), [...x, ...x, ...x], 5);
  }
});

test('a file whose name has a wildcard is that file', async () => {
  await writePart(at('odd', 'what?.npy'), 0, 3);
  await writePart(at('odd', 'whats.npy'), 3, 5);
  expect((await readEmbeddings(at('odd', 'what?.npy'))).rows).toBe(3);
  expect((await readEmbeddings(at('odd', 'what??npy'))).rows).toBe(5);
});

describe('notes', () => {
  test('float32 beside float64 becomes float64, and a note says so', async () => {
    await writePart(at('mixed', '1.npy'), 0, 10);
    await writePart(at('mixed', '2.npy'), 10, 20, Float64Array);
    await writePart(at('mixed', '3.npy'), 20, 40);
    await expectRows(at('mixed'), x, 5);
    const { data, notes } = await readEmbeddings(at('mixed'));
    expect(data).toBeInstanceOf(Float64Array);
    expect(notes).toEqual([`${at('mixed')}: 2 of 3 files are float32 beside float64; read as float64.`]);
  });

  test('what all files have in common is said once, what some have of the first of them', async () => {
    mkdirSync(at('halves'));
    for (const part of [1, 2]) copyFileSync(golden('x_le_f2.npy'), at('halves', `${part}.npy`));
    expect((await readEmbeddings(at('halves'))).notes).toEqual([`${at('halves')} holds float16; read as float32.`]);
    await writePart(at('halves', '3.npy'), 0, 3);
    expect((await readEmbeddings(at('halves'))).notes).toEqual([
      `${at('halves', '1.npy')} holds float16; read as float32. (The same of 1 more.)`,
    ]);
  });
});

describe('what is no whole is refused', () => {
  test('no files', async () => {
    mkdirSync(at('empty'));
    writeFileSync(at('empty', 'readme.txt'), 'none');
    await expectRefused(at('empty'), 'ERR_SHARDS_NONE', /no files of embeddings/);
    await expectRefused(at('empty', '*.npy'), 'ERR_SHARDS_NONE', /names no file.*quote it/);
  });

  test('other widths: both files are named', async () => {
    await writePart(at('widths', '1.npy'), 0, 10);
    await writeNpy(at('widths', '2.npy'), { data: new Float32Array(12), shape: [3, 4] });
    await expectRefused(at('widths'), 'ERR_SHARDS_DIFFER', /1\.npy has rows of 5 values, but .*2\.npy of 4\./);
  });

  test('other formats: both files are named', async () => {
    await writePart(at('formats', '1.npy'), 0, 10);
    copyFileSync(golden('stored.npz'), at('formats', '2.npz'));
    await expectRefused(at('formats'), 'ERR_SHARDS_DIFFER', /1\.npy is NumPy, but .*2\.npz is NumPy archive/);
  });

  test('a damaged file is named', async () => {
    await writePart(at('damaged', '1.npy'), 0, 10);
    writeFileSync(at('damaged', '2.npy'), '');
    await expectRefused(at('damaged'), 'ERR_FILE_EMPTY', /2\.npy is empty/);
  });

  test('a file that changes after the matrix was opened', async () => {
    await writePart(at('changing', '1.npy'), 0, 10);
    await writePart(at('changing', '2.npy'), 10, 20);
    const opened = await openEmbeddings(at('changing'));
    await writePart(at('changing', '2.npy'), 10, 21);
    await expect(opened.read(0, 20)).rejects.toMatchObject({ code: 'ERR_SHARDS_CHANGED' });
    await opened.close();
  });
});

test('select and reduce take them like a file', async () => {
  const options = { bins: 3, budget: 6, seed: 1 };
  const matrix = { data: Float32Array.from(x), rows: 40, cols: 5 };
  expect((await select(at('parts'), options)).rows).toEqual((await select(matrix, options)).rows);
  expect((await select({ path: golden('several.npz'), name: 'x' }, options)).rows).toEqual(
    (await select(matrix, options)).rows,
  );
  const reduced = await reduce(at('halves'), { method: 'pca', dims: 2 });
  expect(reduced.notes).toHaveLength(1);
  const raw = { path: golden('x.f32'), cols: 5 };
  const plain = await reduce(matrix, { method: 'pca', dims: 2 });
  // PCA reads in a thread of its own.
  for (const source of [raw, at('parts'), golden('one.h5'), golden('deflated.npz'), golden('x_fortran_f4.npy')]) {
    expect((await reduce(source, { method: 'pca', dims: 2 })).matrix.data).toEqual(plain.matrix.data);
  }
  for (const method of ['umap', 'none'] as const) {
    const dims = method === 'umap' ? { dims: 2, neighbours: 5, epochs: 5 } : {};
    const found = await reduce(raw, { method, ...dims });
    expect(found.matrix.data).toEqual((await reduce(matrix, { method, ...dims })).matrix.data);
  }
});
