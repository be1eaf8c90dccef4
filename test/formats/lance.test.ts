import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddings, readColumn, readEmbeddings } from 'coregain';
import { beforeAll, describe, expect, test } from 'vitest';
import { filesOf } from '#lib/formats/open.js';
import { expectRefused, expectRows, scratch } from './golden.js';

const folder = scratch();

interface Lancedb {
  connect(folder: string): Promise<{
    createTable(name: string, rows: object[]): Promise<{ add(rows: object[]): Promise<unknown> }>;
    createTable(name: string, table: unknown): Promise<unknown>;
  }>;
  makeArrowTable(rows: object[], options: object): unknown;
}
const name: string = '@lancedb/lancedb';
const lancedb = (await import(name).catch(() => undefined)) as Lancedb | undefined;
if (!lancedb) console.warn(`SKIPPED: tests of LanceDB, because ${name} is not installed`);

test.skipIf(lancedb)('without the package: what to install', async () => {
  mkdirSync(join(folder, 'any.lance'));
  await expect(readEmbeddings(join(folder, 'any.lance'))).rejects.toMatchObject({
    code: 'ERR_LANCEDB_MISSING',
    message: expect.stringMatching(/is not installed\. Install it: npm install @lancedb\/lancedb/),
  });
});

test('a table that is not there', async () => {
  await expectRefused(join(folder, 'absent.lance'), 'ERR_FILE_MISSING', /does not exist/);
  await expectRefused({ path: join(folder, 'absent.lance'), cols: 3 }, 'ERR_OPTION_UNUSED', /`cols`/);
});

describe.skipIf(!lancedb)('with the package', () => {
  const ROWS = 5000;
  const path = join(folder, 'db', 'clips.lance');
  const row = (i: number) => ({ id: `s-${i}`, clip: `c${i % 3}`, year: 2000 + (i % 20), vector: [i, i / 2, -1] });
  const values = Array.from({ length: ROWS }, (_, i) => row(i).vector);

  beforeAll(async () => {
    const database = await lancedb!.connect(join(folder, 'db'));
    const rows = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => row(from + i));
    // Three fragments, each of several batches.
    const table = await database.createTable('clips', rows(0, 3000));
    await table.add(rows(3000, 4500));
    await table.add(rows(4500, ROWS));
    await database.createTable(
      'columns',
      rows(0, 10).map(({ id, vector: [x, y] }) => ({ id, x, y })),
    );
    await database.createTable(
      'several',
      rows(0, 10).map(({ vector }) => ({ vector, other_vector: vector })),
    );
    const { Schema, Field, Float16, Float64, Int8, FixedSizeList, List, Utf8 } = await import('apache-arrow');
    const schema = (type: ConstructorParameters<typeof Field>[1]) =>
      new Schema([new Field('id', new Utf8()), new Field('v', type as never, true)]);
    const list = (item: unknown, nullable = true) => new Field('item', item as never, nullable);
    const make = (name: string, type: unknown, vectors: unknown[]) =>
      database.createTable(
        name,
        lancedb!.makeArrowTable(
          vectors.map((v, i) => ({ id: `s-${i}`, v })),
          { schema: schema(type as never) },
        ),
      );
    await make('half', new FixedSizeList(2, list(new Float16())), [
      [1.5, 2],
      [-0.25, 4],
    ]);
    await make('double', new List(list(new Float64())), [
      [1e300, 2],
      [3, 4],
    ]);
    await make('int8', new FixedSizeList(2, list(new Int8())), [
      [1, -2],
      [3, 127],
    ]);
    await make('ragged', new List(list(new Float64())), [[1, 2], [3, 4], [5]]);
    await make('null_row', new List(list(new Float64())), [[1, 2], null, [5, 6]]);
    await make('null_value', new List(list(new Float64())), [
      [1, 2],
      [3, null],
    ]);
  });

  test('fragments and batches come in order, read in any order', async () => {
    await expectRows(path, values.flat(), 3);
    await expectRows({ path, name: 'vector' }, values.flat(), 3);
    expect((await readEmbeddings(path)).notes).toEqual([]);
  });

  test('a condition, and other columns as text', async () => {
    const where = "clip = 'c1' AND year < 2010";
    const rows = Array.from({ length: ROWS }, (_, i) => i).filter((i) => i % 3 === 1 && i % 20 < 10);
    await expectRows(
      { path, where },
      rows.flatMap((i) => values[i]!),
      3,
    );
    expect(await readColumn({ path, where }, 'id')).toEqual(rows.map((i) => `s-${i}`));
    expect(await readColumn({ path, where }, 'year')).toEqual(rows.map((i) => String(2000 + (i % 20))));
    await expect(readColumn(path, 'nosuch')).rejects.toMatchObject({ code: 'ERR_COLUMN_MISSING' });
    await expectRefused({ path, where: 'nosuch = 1' }, 'ERR_WHERE', /nosuch/);
    await expectRefused({ path, where: 'true; DROP TABLE clips' }, 'ERR_WHERE', /no condition/);
    await expectRefused({ path, where: "clip = 'c1' year" }, 'ERR_WHERE', /no condition/);
    await expectRefused({ path, where: 'year > 3000' }, 'ERR_NO_ROWS', /no row for which year > 3000/);
    const opened = await openEmbeddings({ path, where });
    expect([...(await opened.read(700, 1))]).toEqual(values[rows[700]!]);
    await opened.close();
  });

  test.each([
    ['half', [1.5, 2, -0.25, 4], /float16; read as float32/],
    ['int8', [1, -2, 3, 127], /int8; read as float32/],
    ['double', [1e300, 2, 3, 4], undefined],
  ] as const)('%s', async (table, expected, note) => {
    const file = join(folder, 'db', `${table}.lance`);
    await expectRows(file, [...expected], 2);
    const { notes } = await readEmbeddings(file);
    if (note) expect(notes).toEqual([expect.stringMatching(note)]);
    else expect(notes).toEqual([]);
  });

  test('a column for each feature', async () => {
    const file = join(folder, 'db', 'columns.lance');
    await expectRows(
      { path: file, name: 'y,x' },
      values.slice(0, 10).flatMap(([x, y]) => [y!, x!]),
      2,
    );
    expect((await readEmbeddings(file)).notes[0]).toMatch(/features are 2 columns, "x" to "y"/);
  });

  test.each([
    ['several', 'ERR_COLUMN_AMBIGUOUS', /"vector" .*"other_vector"/],
    ['ragged', 'ERR_LIST_LENGTH', /column "v" has 1 values in row 2 /],
    ['null_row', 'ERR_NULL', /column "v" is NULL in row 1 /],
    ['null_value', 'ERR_NULL', /column "v" has NULL in row 1, value 1 /],
  ])('%s: refused', async (table, code, message) => {
    await expectRefused(join(folder, 'db', `${table}.lance`), code, message);
  });

  test('a folder that is no table is refused, and files of a table are found for their hashes', async () => {
    mkdirSync(join(folder, 'db', 'broken.lance'));
    writeFileSync(join(folder, 'db', 'broken.lance', 'x'), 'x');
    await expectRefused(join(folder, 'db', 'broken.lance'), 'ERR_LANCE_BROKEN', /cannot be read as a LanceDB table/);
    const files = await filesOf(path);
    expect(files.filter((file) => file.endsWith('.lance')).length).toBeGreaterThanOrEqual(3);
    expect(files.some((file) => file.includes('_versions'))).toBe(true);
  });
});
