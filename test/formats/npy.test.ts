import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { checkFinite } from '#lib/formats/finite.js';
import { openNpy, readNpyHeader, writeNpy, writeNpyRows } from '#lib/formats/npy.js';
import { readEmbeddings } from '#lib/formats/open.js';

const golden = (name: string) => fileURLToPath(new URL(`../golden/npy/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'coregain-npy-'));
afterAll(() => rmSync(folder, { recursive: true }));
const hasNumpy = spawnSync('python3', ['-c', 'import numpy']).status === 0;

// np.load('f8.npy')[0].tolist()
const FIRST = [0.0012301533574825742, 0.2987455375084699, -0.2741378553622176];

describe('readEmbeddings', () => {
  test('reads what NumPy wrote, float64 and float32, onto shared memory', async () => {
    const f8 = await readEmbeddings(golden('f8.npy'));
    expect([f8.rows, f8.cols]).toEqual([5, 3]);
    expect(f8.data).toBeInstanceOf(Float64Array);
    expect(f8.data.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect([...f8.data.subarray(0, 3)]).toEqual(FIRST);
    const f4 = await readEmbeddings(golden('f4.npy'));
    expect(f4.data).toBeInstanceOf(Float32Array);
    expect([...f4.data]).toEqual([...f8.data].map(Math.fround));
  });

  test.each(['v2.npy', 'v3.npy'])('reads header version of %s', async (name) => {
    expect((await readEmbeddings(golden(name))).data).toEqual((await readEmbeddings(golden('f4.npy'))).data);
  });

  test.each([
    ['bool.npy', 'ERR_NPY_DTYPE', /booleans/],
    ['complex.npy', 'ERR_NPY_DTYPE', /complex/],
    ['object.npy', 'ERR_NPY_DTYPE', /pickled Python objects/],
    ['structured.npy', 'ERR_NPY_DTYPE', /values of type \[/],
    ['one_d.npy', 'ERR_NPY_SHAPE', /\(3,\).*X\[:, None\]/],
    ['zero_d.npy', 'ERR_NPY_SHAPE', /\(\)/],
    ['three_d.npy', 'ERR_NPY_SHAPE', /\(2, 3, 4\).*reshape/],
    ['no_rows.npy', 'ERR_NPY_EMPTY', /\(0, 3\)/],
    ['absent.npy', 'ERR_FILE_MISSING', /does not exist/],
  ])('refuses %s with one sentence and the cure', async (name, code, message) => {
    const refused = expect(readEmbeddings(golden(name))).rejects;
    await refused.toMatchObject({ code, message: expect.stringMatching(message) });
    await expect(readEmbeddings(golden(name))).rejects.toThrow(golden(name));
  });

  test('refuses what is no .npy file under that name', async () => {
    const path = join(folder, 'text.npy');
    writeFileSync(path, 'a,b\n1,2\n');
    await expect(readEmbeddings(path)).rejects.toMatchObject({
      code: 'ERR_NPY_NOT_NPY',
      message: expect.stringMatching(/text\.npy is not an \.npy file.*np\.save/),
    });
  });

  test('refuses every truncation and trailing bytes', async () => {
    const whole = readFileSync(golden('f4.npy'));
    const path = join(folder, 'cut.npy');
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(readEmbeddings(path), `${length} bytes`).rejects.toMatchObject({
        code: expect.stringMatching(/^ERR_(FILE_EMPTY|NPY_NOT_NPY|NPY_HEADER|NPY_TRUNCATED)$/),
      });
    }
    writeFileSync(path, Buffer.concat([whole, Buffer.from([0])]));
    await expect(readEmbeddings(path)).rejects.toMatchObject({ code: 'ERR_NPY_TRAILING' });
  });

  test('refuses a damaged header: version, length, dict, huge shape', async () => {
    const path = join(folder, 'bad.npy');
    const whole = readFileSync(golden('f4.npy'));
    const damage: ((bytes: Buffer) => void)[] = [
      (b) => b.writeUInt8(9, 6),
      (b) => b.write('xxxxxxx', 11),
      (b) => b.write('(99999999999999999999, 3)', b.indexOf('(5, 3)')),
    ];
    for (const change of damage) {
      const bytes = Buffer.from(whole);
      change(bytes);
      writeFileSync(path, bytes);
      await expect(readEmbeddings(path)).rejects.toMatchObject({ code: 'ERR_NPY_HEADER' });
    }
    const long = Buffer.from(readFileSync(golden('v2.npy')));
    long.writeUInt32LE(0xffffffff, 8);
    writeFileSync(path, long);
    await expect(readEmbeddings(path)).rejects.toMatchObject({ code: 'ERR_NPY_HEADER' });
  });

  test('a matrix of more than 2 GiB is read whole, the event loop stays free, abort is honoured', async () => {
    const path = join(folder, 'large.npy');
    const [rows, cols] = [70_000, 8192]; // 2.14 GiB, sparse on the disk
    await writeNpyRows(path, cols, async () => {});
    const bytes = readFileSync(path);
    const header = Buffer.from(bytes.toString('latin1').replace('(0, 8192), }    ', `(${rows}, 8192), }`), 'latin1');
    writeFileSync(path, header.subarray(0, 128));
    truncateSync(path, 128 + rows * cols * 4);
    const mark = Buffer.alloc(4);
    mark.writeFloatLE(42);
    const last = await import('node:fs/promises').then((fs) => fs.open(path, 'r+'));
    await last.write(mark, 0, 4, 128 + rows * cols * 4 - 4);
    await last.close();

    let longest = 0;
    let before = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - before - 5);
      before = performance.now();
    }, 5);
    const matrix = await readEmbeddings(path);
    clearInterval(timer);
    expect([matrix.rows, matrix.cols, matrix.data.length, matrix.data.at(-1)]).toEqual([rows, cols, rows * cols, 42]);
    expect(longest).toBeLessThan(250);

    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error('enough')), 20);
    await expect(readEmbeddings(path, { signal: abort.signal })).rejects.toThrow('enough');
    rmSync(path);
  });
});

test('openNpy reads any block of rows, also into given memory, and refuses rows that are not there', async () => {
  const all = await readEmbeddings(golden('f8.npy'));
  const npy = await openNpy({ path: golden('f8.npy') });
  expect(await npy.read(1, 2)).toEqual(Float64Array.from(all.data.subarray(3, 9)));
  const target = new Float64Array(3);
  expect(await npy.read(4, 1, target)).toBe(target);
  expect([...target]).toEqual([...all.data.subarray(12)]);
  await expect(npy.read(4, 2)).rejects.toThrow(RangeError);
  await npy.close();
});

describe('writers', () => {
  test.each([
    ['<i4', Int32Array.from([1, -2, 3, 2 ** 31 - 1, -(2 ** 31), 6]), [6]],
    ['<i8', BigInt64Array.from([1n, -2n, 2n ** 62n, 4n, 5n, 6n]), [6]],
    ['<f4', Float32Array.from([1, 2, 3, 4, 5, 6.5]), [2, 3]],
    ['<f8', Float64Array.from([1, 2, 3, 4, 5, Math.PI]), [3, 2]],
  ] as const)('writeNpy %s: header and bytes', async (descr, data, shape) => {
    const path = join(folder, 'w.npy');
    await writeNpy(path, { data, shape });
    const header = await readNpyHeader(path);
    expect(header).toMatchObject({ descr, shape, fortranOrder: false });
    expect(header.dataOffset % 64).toBe(0);
    expect(readFileSync(path).subarray(header.dataOffset)).toEqual(Buffer.from(data.buffer));
    if (hasNumpy) {
      const code = 'import sys, numpy as np; x = np.load(sys.argv[1]); print(x.dtype.str, x.shape, x.ravel().tolist())';
      const list = [...data].map((v) => (descr[1] === 'f' && Number.isInteger(v) ? `${v}.0` : String(v))).join(', ');
      const sides = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
      expect(execFileSync('python3', ['-c', code, path], { encoding: 'utf8' }).trim()).toBe(
        `${descr} ${sides} [${list}]`,
      );
    }
  });

  test('writeNpy refuses a shape that does not fit the data and leaves no file', async () => {
    const path = join(folder, 'none.npy');
    await expect(writeNpy(path, { data: new Float32Array(5), shape: [2, 3] })).rejects.toThrow(RangeError);
    expect(readdirSync(folder)).not.toContain('none.npy');
  });

  test('writeNpyRows streams rows in uneven pieces', async () => {
    const path = join(folder, 'rows.npy');
    const cols = 1000;
    const all = Float32Array.from({ length: 777 * cols }, (_, i) => i);
    const rows = await writeNpyRows(path, cols, async (append) => {
      for (let row = 0, step = 1; row < 777; row += step, step = (step % 300) * 2 + 1) {
        await append(all.subarray(row * cols, (row + step) * cols));
      }
    });
    expect(rows).toBe(777);
    const back = await readEmbeddings(path);
    expect([back.rows, back.cols]).toEqual([777, cols]);
    expect(Buffer.compare(Buffer.from(back.data.buffer), Buffer.from(all.buffer))).toBe(0);
  });

  test('a failing writeNpyRows keeps the old file and leaves nothing beside it', async () => {
    const path = join(folder, 'kept.npy');
    await writeNpy(path, { data: new Float32Array(1), shape: [1, 1] });
    const size = statSync(path).size;
    const failing = writeNpyRows(path, 2, async (append) => {
      await append(new Float32Array(4));
      throw new Error('disk on fire');
    });
    await expect(failing).rejects.toThrow('disk on fire');
    expect(statSync(path).size).toBe(size);
    expect(readdirSync(folder).filter((name) => name.startsWith('kept'))).toEqual(['kept.npy']);
    await expect(writeNpyRows(path, 2, (append) => append(new Float32Array(3)))).rejects.toThrow(RangeError);
  });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  'checkFinite names row and column of %s',
  (bad) => {
    const data = new Float32Array(12).fill(3e38);
    expect(() => checkFinite(data, 4, 'X.npy')).not.toThrow();
    data[6] = bad;
    expect(() => checkFinite(data, 4, 'X.npy', 100)).toThrow(`X.npy has ${bad} in row 101, column 2`);
  },
);
