import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CoregainError } from 'coregain';
import { afterAll, expect } from 'vitest';
import { openEmbeddings, readEmbeddings } from '#lib/formats/open.js';
import type { EmbeddingSource } from '#lib/formats/source.js';

/** A file that test/golden/formats/make.py wrote. */
export function golden(name: string): string {
  return fileURLToPath(new URL(`../golden/formats/${name}`, import.meta.url));
}

/** A folder that is removed after the tests of a file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'coregain-formats-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** x (of floating-point types), k (of integers) and |k| (of unsigned ones), [40, 5]. */
export async function expected(which: 'x' | 'k' | 'unsigned k'): Promise<number[]> {
  const values = [...(await readEmbeddings(golden(which === 'x' ? 'x.npy' : 'k.npy'))).data];
  return which === 'unsigned k' ? values.map(Math.abs) : values;
}

/** Reads all, then blocks from back to front, into memory of the reader's and of ours, and rows that are not there. */
export async function expectRows(source: EmbeddingSource, values: readonly number[], cols: number): Promise<void> {
  const rows = values.length / cols;
  const whole = await readEmbeddings(source);
  expect([whole.rows, whole.cols]).toEqual([rows, cols]);
  expect(whole.data.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect([...whole.data]).toEqual(values);
  const opened = await openEmbeddings(source);
  try {
    expect(whole.data.constructor.name).toBe(opened.dtype === 'float32' ? 'Float32Array' : 'Float64Array');
    for (let end = rows, step = 1; end > 0; end -= step, step = Math.min(step + 2, end)) {
      const block = await opened.read(end - step, step);
      expect([...block]).toEqual(values.slice((end - step) * cols, end * cols));
    }
    const Floats = opened.dtype === 'float32' ? Float32Array : Float64Array;
    const target = new Floats(new SharedArrayBuffer(2 * cols * Floats.BYTES_PER_ELEMENT));
    expect(await opened.read(rows - 2, 2, target)).toBe(target);
    expect([...target]).toEqual(values.slice(-2 * cols));
    expect(await opened.read(rows, 0)).toHaveLength(0);
    await expect(opened.read(rows - 1, 2)).rejects.toThrow(RangeError);
    await expect(opened.read(-1, 1)).rejects.toThrow(RangeError);
    await expect(opened.read(0, 1, new Floats(cols + 1))).rejects.toThrow(/`target.length` must be/);
    for (let first = 0; opened.readColumns && first < cols; first++) {
      for (let count = 1; first + count <= cols; count++) {
        const columns = new Floats(new SharedArrayBuffer(rows * count * Floats.BYTES_PER_ELEMENT));
        await opened.readColumns(first, count, columns);
        expect([...columns]).toEqual(values.filter((_, at) => at % cols >= first && at % cols < first + count));
      }
      await expect(opened.readColumns(first, 1, new Floats(rows + 1))).rejects.toThrow(/`target.length` must be/);
      await expect(opened.readColumns(first, cols, target)).rejects.toThrow(first === 0 ? /target/ : /`count` must be/);
    }
    const Other = opened.dtype === 'float32' ? Float64Array : Float32Array;
    await expect(opened.read(0, 1, new Other(cols))).rejects.toThrow(TypeError);
  } finally {
    await opened.close();
  }
}

/** One sentence or two that name the file, and a stable code. */
export async function expectRefused(source: EmbeddingSource, code: string, message: RegExp): Promise<void> {
  const error = await readEmbeddings(source).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(CoregainError);
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
  expect(error.message).toContain((typeof source === 'string' ? source : source.path).split('*')[0]);
}

/** Every file that begins like this one and is cut off somewhere is refused with a code, or is what `isWhole` allows. */
export async function expectEveryCutRefused(
  name: string,
  folder: string,
  options: { source?: object; isWhole?: (bytes: number) => boolean; step?: number } = {},
): Promise<void> {
  const { source, isWhole = () => false, step = 1 } = options;
  const whole = readFileSync(golden(name));
  const path = join(folder, `cut-${name}`);
  for (let length = 0; length < whole.length; length += step) {
    writeFileSync(path, whole.subarray(0, length));
    const result = await readEmbeddings({ path, ...source }).catch((thrown) => thrown);
    if (length > 0 && isWhole(length)) expect(result.rows, `${length} bytes`).toBeGreaterThan(0);
    else expect(result, `${length} bytes`).toBeInstanceOf(CoregainError);
  }
}

/** Flips bits in copies of a file, seeded: each is read, or refused with a code; nothing crashes or hangs. */
export async function expectDamageSurvived(
  name: string,
  folder: string,
  copies: number,
  source?: object,
): Promise<void> {
  const whole = readFileSync(golden(name));
  const path = join(folder, `damaged-${name}`);
  let state = 12345;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  for (let copy = 0; copy < copies; copy++) {
    const bytes = Buffer.from(whole);
    for (let i = random(4); i >= 0; i--) bytes[random(bytes.length)]! ^= 1 << random(8);
    writeFileSync(path, bytes);
    const result = await readEmbeddings({ path, ...source }).catch((thrown) => thrown);
    if (result instanceof Error) expect(result, `copy ${copy}: ${result.stack}`).toBeInstanceOf(CoregainError);
  }
}
