import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openSafetensors, readSafetensors, streamSafetensors, writeSafetensors } from '#lib/weights/safetensors.js';
import { toFloat32 } from '#lib/weights/tensor.js';
import { golden } from '../models/golden.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-safetensors-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'a.safetensors');

function file(header: unknown, data: Uint8Array = new Uint8Array(8), length?: bigint): string {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(json.length));
  writeFileSync(path, Buffer.concat([prefix, json, data]));
  return path;
}

test('what is written is read back: every element type, scalars and empty tensors, in order', async () => {
  const tensors = {
    z: { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, Math.PI, Number.NaN) },
    a: { dtype: 'I64', shape: [2], data: BigInt64Array.of(-(2n ** 63n), 5n) },
    scalar: { dtype: 'F64', shape: [], data: Float64Array.of(1e300) },
    flag: { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) },
    half: { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c00) },
    none: { dtype: 'I32', shape: [0, 7], data: new Int32Array(0) },
    'name with "quotes" and ü': { dtype: 'U8', shape: [1], data: Uint8Array.of(255) },
  } as const;
  await writeSafetensors(path, tensors);
  const read = await readSafetensors(path);
  expect(Object.keys(read)).toEqual(Object.keys(tensors));
  expect(read).toEqual(tensors);
  expect(Number(readFileSync(path).readBigUInt64LE(0)) % 8).toBe(0);
});

test('what PyTorch wrote is read, whole and by rows', async () => {
  const opened = await openSafetensors(golden('official/inputs.safetensors'));
  expect(opened.tensors.get('semseg')).toMatchObject({ dtype: 'I64', shape: [2, 16, 16] });
  const all = await opened.read('rgb');
  const second = await opened.readRows('rgb', 1, 2);
  expect(second.shape).toEqual([1, 3, 64, 64]);
  expect(second.data).toEqual(all.data.slice(3 * 64 * 64));
  await expect(opened.read('nothing')).rejects.toMatchObject({ code: 'ERR_TENSOR_MISSING' });
  await opened.close();
});

test('tensors can be delivered in pieces; a failure leaves the old file and nothing else', async () => {
  const layout = { a: { dtype: 'F32', shape: [3] }, b: { dtype: 'F32', shape: [2] } } as const;
  await streamSafetensors(path, layout, async (put) => {
    await put('b', 0, Float32Array.of(4, 5));
    await put('a', 2, Float32Array.of(3));
    await put('a', 0, Float32Array.of(1, 2));
  });
  expect([...(await readSafetensors(path)).a!.data]).toEqual([1, 2, 3]);
  const failing = streamSafetensors(path, layout, () => Promise.reject(new Error('no more')));
  await expect(failing).rejects.toThrow('no more');
  expect([...(await readSafetensors(path)).b!.data]).toEqual([4, 5]);
  expect(readdirSync(folder)).toEqual(['a.safetensors']);
});

test('half precision becomes float32 exactly', () => {
  const half = {
    dtype: 'F16',
    shape: [7],
    data: Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x8000, 0x3555),
  } as const;
  expect([...toFloat32(half)!]).toEqual([1, -2, 2 ** -24, 65504, Number.POSITIVE_INFINITY, -0, 0.333251953125]);
  const brain = { dtype: 'BF16', shape: [3], data: Uint16Array.of(0x3f80, 0xc0a0, 0x7f80) } as const;
  expect([...toFloat32(brain)!]).toEqual([1, -5, Number.POSITIVE_INFINITY]);
  expect(toFloat32({ dtype: 'I32', shape: [1], data: Int32Array.of(1) })).toBeUndefined();
});

describe('a header that is not exactly right is refused', () => {
  const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });
  test.each<[string, unknown, RegExp]>([
    ['no JSON', '{"a":', /not JSON/],
    ['a list', '[]', /not an object/],
    ['null for a tensor', { a: null }, /"a" has the element type/],
    ['an unknown element type', { a: { ...f32(0, 8), dtype: 'F3' } }, /"F3"; these are known/],
    ['an inherited name as type', { a: { ...f32(0, 8), dtype: 'constructor' } }, /"constructor"/],
    ['a negative size', { a: f32(0, 8, [-2]) }, /shape \[-2\]/],
    ['a fraction', { a: f32(0, 8, [1.5]) }, /shape \[1\.5\]/],
    ['sizes that overflow', { a: f32(0, 8, Array(40).fill(2 ** 40)) }, /needs .* bytes/],
    ['too few bytes for the shape', { a: f32(0, 8, [3]) }, /needs 12 bytes by its shape, but has 8/],
    ['offsets in the wrong order', { a: { dtype: 'F32', shape: [0], data_offsets: [8, 0] } }, /offsets/],
    ['overlapping tensors', { a: f32(0, 8), b: f32(4, 8) }, /"b" begins/],
    ['a gap', { a: f32(4, 8) }, /"a" begins/],
    ['bytes after the last tensor', { a: f32(0, 4) }, /tensors end at byte/],
    ['an end after the file', { a: f32(0, 16) }, /tensors end at byte/],
  ])('%s', async (_, header, message) => {
    await expect(openSafetensors(file(header))).rejects.toMatchObject({
      code: 'ERR_SAFETENSORS_INVALID',
      message: expect.stringMatching(message),
    });
  });

  test('a hostile header length allocates nothing', async () => {
    await expect(openSafetensors(file('{}', undefined, 2n ** 63n))).rejects.toMatchObject({
      message: expect.stringMatching(/limit/),
    });
    await expect(openSafetensors(file('{}', undefined, 1000n))).rejects.toMatchObject({
      message: expect.stringMatching(/after the end/),
    });
    writeFileSync(path, 'abc');
    await expect(openSafetensors(path)).rejects.toMatchObject({ message: expect.stringMatching(/3 bytes/) });
  });
});
