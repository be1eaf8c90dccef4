import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import { expectEveryCutRefused, expected, expectRefused, expectRows, golden, scratch } from './golden.js';

const folder = scratch();

test.each(['x_fortran_f4.npy', 'x_fortran_f2.npy'])('%s is read by rows like any other', async (name) => {
  await expectRows(golden(name), await expected('x'), 5);
});

test('every cut of it is refused', () => expectEveryCutRefused('x_fortran_f2.npy', folder));

/** A .npy header in Fortran order. */
function header(descr: string, rows: number, cols: number): Buffer {
  const text = `{'descr': '${descr}', 'fortran_order': True, 'shape': (${rows}, ${cols}), }`.padEnd(117);
  const start = Buffer.from('\x93NUMPY\x01\x00\x00\x00', 'latin1');
  start.writeUInt16LE(118, 8);
  return Buffer.concat([start, Buffer.from(`${text}\n`)]);
}

test('more rows than a band has: bands from front to back and from back to front', async () => {
  // 32 MiB of 64 float32 are 131,072 rows.
  const [rows, cols] = [140_000, 64];
  const values = new Float32Array(rows * cols);
  for (let col = 0; col < cols; col++) {
    for (let row = 0; row < rows; row++) values[col * rows + row] = row * 64 + col;
  }
  const path = join(folder, 'bands.npy');
  writeFileSync(path, Buffer.concat([header('<f4', rows, cols), Buffer.from(values.buffer)]));
  const { data } = await readEmbeddings(path);
  expect(data.every((value, i) => value === Math.fround(i))).toBe(true);
  const opened = await openEmbeddings(path);
  for (const [start, count] of [
    [139_990, 10],
    [131_070, 4],
    [0, 1],
  ] as const) {
    const block = await opened.read(start, count);
    expect([...block]).toEqual(Array.from(block, (_, i) => Math.fround(start * cols + i)));
  }
  await opened.close();
});

test('a matrix too wide for bands is refused with the cure, a small one of the same width is not', async () => {
  const cols = 1_000_000;
  const path = join(folder, 'wide.npy');
  for (const rows of [100, 10]) {
    writeFileSync(path, header('<f4', rows, cols));
    truncateSync(path, 128 + rows * cols * 4);
    if (rows === 100) await expectRefused(path, 'ERR_NPY_ORDER', /Fortran order.*100 x 1000000.*ascontiguousarray/);
    else expect((await readEmbeddings(path)).rows).toBe(10);
  }
});
