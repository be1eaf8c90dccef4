import { createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import {
  Dictionary,
  Field,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  RecordBatch,
  RecordBatchStreamWriter,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow';
import { CoregainError, openEmbeddings, readColumn, readEmbeddings } from 'coregain';
import { describe, expect, test } from 'vitest';
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

describe('what pyarrow wrote', () => {
  test.each([
    ['fixed.arrow', undefined, 'x'],
    ['before.arrow', undefined, 'x'],
    ['before.arrows', 'emb', 'x'],
    ['sliced.arrows', undefined, 'x'],
    ['large.arrow', undefined, 'x'],
    ['columns.arrow', undefined, 'x'],
    ['columns.arrow', 'f*', 'x'],
    ['mixed.arrows', 'f*', 'x'],
    ['several.arrow', 'a', 'x'],
    ['several.arrow', 'b', 'k'],
    ['half.arrow', undefined, 'x'],
    ['int8.arrow', undefined, 'k'],
    ['uint32.arrow', undefined, 'unsigned k'],
  ] as const)('%s, name %s: seven rows a batch', async (file, name, which) => {
    await expectRows({ path: golden(file), name }, await expected(which), 5);
  });

  test('conversions are said', async () => {
    const notes = async (path: string) => (await readEmbeddings(path)).notes;
    expect(await notes(golden('fixed.arrow'))).toEqual([]);
    expect(await notes(golden('half.arrow'))).toEqual([
      `${golden('half.arrow')}: the column "emb" holds float16; read as float32.`,
    ]);
    expect(await notes(golden('columns.arrow'))).toEqual([
      `${golden('columns.arrow')} has no lists of numbers; its features are 5 columns, "f0" to "f4", all that are floating-point.`,
    ]);
  });

  test.each([
    ['several.arrow', undefined, 'ERR_COLUMN_AMBIGUOUS', /"a" \(fixedSizeList<float32>\[5\]\), "b" \(list<int8>\)/],
    ['fixed.arrow', 'nosuch', 'ERR_COLUMN_MISSING', /no column "nosuch".*"id" \(utf8\), "clip"/],
    ['fixed.arrow', 'id', 'ERR_COLUMN_UNFIT', /"id" \(utf8\) cannot be read/],
    ['empty.arrow', undefined, 'ERR_NO_ROWS', /has no rows/],
    ['ragged.arrow', undefined, 'ERR_LIST_LENGTH', /column "emb" has 4 values in row 23 .*5 in those before/],
    ['null_row.arrow', undefined, 'ERR_NULL', /column "emb" is NULL in row 17 /],
    ['null_value.arrow', undefined, 'ERR_NULL', /column "emb" has NULL in row 31, value 3 /],
    ['null_column.arrow', undefined, 'ERR_NULL', /column "f2" is NULL in row 12 /],
  ])('%s, name %s: refused', async (file, name, code, message) => {
    await expectRefused({ path: golden(file), name }, code, message);
  });

  test.each(['before.arrow', 'before.arrows'])('other columns of %s as text', async (name) => {
    const path = golden(name);
    const each = (text: (i: number) => string) => Array.from({ length: 40 }, (_, i) => text(i));
    expect(await readColumn({ path, name: 'emb' }, 'id')).toEqual(each((i) => `s-${i}`));
    expect(await readColumn(path, 'word')).toEqual(each((i) => `clip ${i % 3}`));
    expect(await readColumn(path, 'wide')).toEqual(each((i) => `s-${i}`));
    expect(await readColumn(path, 'view')).toEqual(each((i) => `a text of more than twelve bytes ${i}`));
    expect(await readColumn(path, 'flag')).toEqual(each((i) => String(i % 2 === 0)));
    expect(await readColumn(path, 'when')).toEqual(each((i) => new Date((1_600_000_000 + i) * 1000).toISOString()));
    for (const unfit of ['price', 'point', 'bytes', 'emb']) {
      await expect(readColumn(path, unfit)).rejects.toMatchObject({ code: 'ERR_COLUMN_UNFIT' });
    }
    await expect(readColumn(path, 'nosuch')).rejects.toMatchObject({ code: 'ERR_COLUMN_MISSING' });
  });

  test('an id that is NULL is refused', async () => {
    await expect(readColumn(golden('null_id.arrow'), 'id')).rejects.toMatchObject({
      code: 'ERR_NULL',
      message: expect.stringMatching(/column "id" is NULL in row 5 /),
    });
  });

  test('a condition is not of Arrow', async () => {
    await expectRefused({ path: golden('fixed.arrow'), where: 'true' }, 'ERR_OPTION_UNUSED', /`where`/);
  });
});

test.each(['fixed.arrow', 'columns.arrow', 'before.arrow'])(
  '%s: every cut is refused, damage is survived',
  async (name) => {
    await expectEveryCutRefused(name, folder, { step: 7 });
    await expectDamageSurvived(name, folder, 500);
  },
);

test('a stream that was cut off between two batches is read with a word; within one it is refused', async () => {
  const whole = readFileSync(golden('mixed.arrows'));
  const path = join(folder, 'cut.arrows');
  const read: number[] = [];
  for (let length = 1; length < whole.length; length++) {
    writeFileSync(path, whole.subarray(0, length));
    const result = await readEmbeddings({ path, name: 'f*' }).catch((thrown) => thrown);
    if (result instanceof CoregainError) continue;
    expect(result.notes.at(-1)).toBe(`${path} has no mark of its end; if it was cut off, rows are missing.`);
    read.push(result.rows);
  }
  expect(read).toEqual([7, 14, 21, 28, 35, 40]);
  await expectDamageSurvived('mixed.arrows', folder, 300, { name: 'f*' });
});

describe('what apache-arrow wrote', () => {
  const cols = 3;
  const listType = new FixedSizeList(cols, new Field('item', new Float32(), false));
  const schema = new Schema([new Field('clip', new Dictionary(new Utf8(), new Int32())), new Field('emb', listType)]);
  const clips = vectorFromArray(
    Array.from({ length: 13 }, (_, i) => `c${i % 2}`),
    schema.fields[0]!.type,
  );
  const batch = (start: number, rows: number) => {
    const clip = clips.slice(start, start + rows).data[0] ?? clips.data[0]!.slice(0, 0);
    const values = Float32Array.from({ length: rows * cols }, (_, i) => start * cols + i);
    const child = makeData({ type: new Float32(), data: values });
    const emb = makeData({ type: listType, length: rows, nullCount: 0, child });
    return new RecordBatch(schema, makeData({ type: new Struct(schema.fields), length: rows, children: [clip, emb] }));
  };

  test.each(['file', 'stream'] as const)('a %s with a dictionary, and an empty batch', async (kind) => {
    const path = join(folder, `js-${kind}.arrow`);
    writeFileSync(path, tableToIPC(new Table(schema, [batch(0, 5), batch(5, 0), batch(5, 8)]), kind));
    await expectRows(
      path,
      Array.from({ length: 13 * cols }, (_, i) => i),
      cols,
    );
    expect(await readColumn(path, 'clip')).toEqual(Array.from({ length: 13 }, (_, i) => `c${i % 2}`));
  });

  test('one large batch is read in pieces, with no more memory than that', async () => {
    const path = join(folder, 'large.arrows');
    const rows = 200_000;
    const wide = new FixedSizeList(64, new Field('item', new Float32(), false));
    const wideSchema = new Schema([new Field('emb', wide)]);
    const values = Float32Array.from({ length: rows * 64 }, (_, i) => i % 1000);
    const emb = makeData({
      type: wide,
      length: rows,
      nullCount: 0,
      child: makeData({ type: new Float32(), data: values }),
    });
    const one = new RecordBatch(
      wideSchema,
      makeData({ type: new Struct(wideSchema.fields), length: rows, children: [emb] }),
    );
    await pipeline(
      Readable.from([RecordBatchStreamWriter.writeAll([one]).toUint8Array(true)]),
      createWriteStream(path),
    );
    const opened = await openEmbeddings(path);
    const before = process.memoryUsage().arrayBuffers;
    const row = 123_456;
    expect([...(await opened.read(row, 2))]).toEqual(Array.from({ length: 128 }, (_, i) => (row * 64 + i) % 1000));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
    await opened.close();
  });
});

test('a file is Arrow by what it begins with, too', async () => {
  const path = join(folder, 'no-ending');
  writeFileSync(path, tableToIPC(new Table({ x: vectorFromArray([1.5, 2.5], new Float32()) }), 'stream'));
  await expectRows(path, [1.5, 2.5], 1);
});

describe.each(['lz4', 'zstd'])('compressed by %s', (codec) => {
  const known = codec === 'lz4' || 'zstdDecompressSync' in zlib;
  if (!known) console.warn('SKIPPED: tests of Arrow compressed by Zstandard, which Node has from 22.15 on');

  test.skipIf(!known)('values and other columns', async () => {
    const path = golden(`${codec}.feather`);
    await expectRows(path, await expected('x'), 5);
    expect(await readColumn(path, 'id')).toEqual(Array.from({ length: 40 }, (_, i) => `s-${i}`));
    expect(await readColumn(path, 'word')).toEqual(Array.from({ length: 40 }, (_, i) => `clip ${i % 3}`));
    await expectRefused(golden(`null_${codec}.feather`), 'ERR_NULL', /column "emb" has NULL in row 31, value 3 /);
  });

  test.skipIf(!known)('several blocks, long matches', async () => {
    const { data, rows } = await readEmbeddings(golden(`long_${codec}.feather`));
    expect(rows).toBe(20_000);
    expect(data).toEqual(Float32Array.from({ length: 20_000 * 16 }, (_, i) => (Math.floor(i / 16) * (i % 16)) % 7));
  });

  test.skipIf(!known)('damage is survived', async () => {
    await expectEveryCutRefused(`${codec}.feather`, folder, { step: 31 });
    await expectDamageSurvived(`${codec}.feather`, folder, 500);
    await expectDamageSurvived(`long_${codec}.feather`, folder, 20);
  });

  test.skipIf(known)('what to do is said', async () => {
    await expectRefused(golden(`${codec}.feather`), 'ERR_ARROW_COMPRESSED', /Zstandard, .* 22\.15 .*"uncompressed"/);
  });
});
