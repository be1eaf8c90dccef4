import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ELEMENT_TYPES } from '#lib/formats/elements.js';
import { openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import { expected, expectRows, golden, scratch } from './golden.js';

const folder = scratch();

describe('what NumPy wrote, in both byte orders', () => {
  test.each(['f2', 'f4', 'f8'])('%s', async (type) => {
    for (const order of ['le', 'be']) await expectRows(golden(`x_${order}_${type}.npy`), await expected('x'), 5);
  });
  test.each(['i1', 'i2', 'i4', 'i8'])('%s', async (type) => {
    for (const order of ['le', 'be']) await expectRows(golden(`k_${order}_${type}.npy`), await expected('k'), 5);
  });
  test.each(['u1', 'u2', 'u4', 'u8'])('%s', async (type) => {
    for (const order of ['le', 'be']) {
      await expectRows(golden(`k_${order}_${type}.npy`), await expected('unsigned k'), 5);
    }
  });
});

test.each([
  ['x_le_f2.npy', 'holds float16; read as float32.'],
  ['x_be_f4.npy', 'holds big-endian float32; read as float32.'],
  ['k_le_i4.npy', 'holds int32; read as float64.'],
  ['k_le_u1.npy', 'holds uint8; read as float32.'],
  ['k_be_i8.npy', 'holds big-endian int64; read as float64, which rounds integers beyond 2^53.'],
])('%s: a note says so', async (name, note) => {
  const { notes } = await readEmbeddings(golden(name));
  expect(notes).toEqual([`${golden(name)} ${note}`]);
});

test('what is read as it is stored has no note', async () => {
  for (const name of ['x_le_f4.npy', 'x_le_f8.npy']) expect((await readEmbeddings(golden(name))).notes).toEqual([]);
});

test('integers of 64 bits are rounded once, to the nearest float64, ties to even', async () => {
  const signed = [2n ** 53n + 1n, 2n ** 53n + 3n, -(2n ** 53n) - 1n, 2n ** 63n - 1n, -(2n ** 63n), 5n];
  expect([...(await readEmbeddings(golden('large_i8.npy'))).data]).toEqual(signed.map(Number));
  const unsigned = [2n ** 64n - 1n, 2n ** 63n, 2n ** 53n + 1n];
  expect([...(await readEmbeddings(golden('large_u8.npy'))).data]).toEqual(unsigned.map(Number));
});

test.each(ELEMENT_TYPES)('%s: more values than one chunk has, and a row wider than one', async (dtype) => {
  const path = join(folder, `${dtype}.bin`);
  const cols = 300_001;
  const bytes = Buffer.alloc(2 * cols * 8);
  // The pattern has no period that a chunk could hide, and no NaN.
  for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 2654435761) % 61;
  writeFileSync(path, bytes);
  const source = { path, cols, dtype };
  const whole = await readEmbeddings(source);
  const opened = await openEmbeddings(source);
  for (let row = 0; row < opened.rows; row++) {
    const same = (await opened.read(row, 1)).every((value, i) => value === whole.data[row * cols + i]);
    expect(same, `row ${row}`).toBe(true);
  }
  const size = bytes.length / (opened.rows * cols);
  const at = opened.rows * cols - 3;
  const last = bytes.subarray(at * size);
  const readers: Record<string, () => number> = {
    float32: () => last.readFloatLE(0),
    float64: () => last.readDoubleLE(0),
    int8: () => last.readInt8(0),
    uint8: () => last.readUInt8(0),
    int16: () => last.readInt16LE(0),
    uint16: () => last.readUInt16LE(0),
    int32: () => last.readInt32LE(0),
    uint32: () => last.readUInt32LE(0),
    int64: () => Number(last.readBigInt64LE(0)),
    uint64: () => Number(last.readBigUInt64LE(0)),
    bfloat16: () => Buffer.from([0, 0, last[0]!, last[1]!]).readFloatLE(0),
  };
  if (readers[dtype]) expect(whole.data[at]).toBe(readers[dtype]());
  await opened.close();
});

test('a file that becomes shorter while it is read is refused, with conversion and without', async () => {
  for (const dtype of ['float32', 'float16'] as const) {
    const path = join(folder, 'shrinks.bin');
    writeFileSync(path, Buffer.alloc(4_000_000));
    const opened = await openEmbeddings({ path, cols: 10, dtype });
    truncateSync(path, 1_000_000);
    await expect(opened.read(0, opened.rows)).rejects.toMatchObject({ code: 'ERR_FILE_TRUNCATED' });
    await opened.close();
  }
});

test('conversion leaves the event loop free', async () => {
  const path = join(folder, 'large.f16');
  writeFileSync(path, '');
  truncateSync(path, 128 << 20);
  let longest = 0;
  let before = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - before);
    before = performance.now();
  }, 1);
  const opened = await openEmbeddings({ path, cols: 1024 });
  await opened.read(0, opened.rows);
  await opened.close();
  clearInterval(timer);
  // 67 million values take 100 ms to 1 s: in one piece it would be at least that.
  expect(longest).toBeLessThan(100);
});
