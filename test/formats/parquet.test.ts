import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openEmbeddings, readColumn, readEmbeddings, reduce, writeParquet } from 'coregain';
import { describe, expect, test } from 'vitest';
import { openDuckdb, rowsOf } from '#lib/formats/duckdb.js';
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

/** Lets DuckDB write a file; `sql` says what. Nothing is read by what is tested. */
async function write(name: string, sql: string, options = ''): Promise<string> {
  const path = join(folder, name);
  const duckdb = await openDuckdb([path]);
  try {
    await duckdb.connection.run(`COPY (${sql}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet${options})`);
  } finally {
    duckdb.close();
  }
  return path;
}

describe('what pyarrow wrote', () => {
  test.each(['list', 'fixed', 'large'])('%s.parquet: seven rows a row group', async (name) => {
    await expectRows(golden(`${name}.parquet`), await expected('x'), 5);
    expect((await readEmbeddings(golden(`${name}.parquet`))).notes).toEqual([]);
  });

  test.each([
    ['half', 'x', 'float16', 'float32'],
    ['int8', 'k', 'int8', 'float32'],
    ['int16', 'k', 'int16', 'float32'],
    ['int32', 'k', 'int32', 'float64'],
    ['int64', 'k', 'int64', 'float64, which rounds integers beyond 2^53'],
    ['uint8', 'unsigned k', 'uint8', 'float32'],
    ['uint16', 'unsigned k', 'uint16', 'float32'],
    ['uint32', 'unsigned k', 'uint32', 'float64'],
    ['uint64', 'unsigned k', 'uint64', 'float64, which rounds integers beyond 2^53'],
  ] as const)('%s.parquet is converted with a word', async (name, which, type, as) => {
    const path = golden(`${name}.parquet`);
    await expectRows(path, await expected(which), 5);
    expect((await readEmbeddings(path)).notes).toEqual([`${path}: the column "emb" holds ${type}; read as ${as}.`]);
  });

  test('a column for each feature, in the order of the table, of a pattern, or of a list', async () => {
    const path = golden('columns.parquet');
    const x = await expected('x');
    await expectRows(path, x, 5);
    await expectRows({ path, name: 'f*' }, x, 5);
    await expectRows(
      { path, name: 'f3, f0' },
      x.filter((_, i) => i % 5 === 0).flatMap((value, row) => [x[row * 5 + 3]!, value]),
      2,
    );
    await expectRows(
      { path, name: 'f4' },
      x.filter((_, i) => i % 5 === 4),
      1,
    );
    await expectRows(
      { path, name: 'year' },
      Array.from({ length: 40 }, (_, i) => 2000 + i),
      1,
    );
    expect((await readEmbeddings(path)).notes).toEqual([
      `${path} has no lists of numbers; its features are 5 columns, "f0" to "f4", all that are floating-point.`,
    ]);
    expect((await readEmbeddings({ path, name: 'f*' })).notes).toEqual([]);
    await expectRows({ path: golden('mixed.parquet'), name: 'f*' }, x, 5);
    expect((await readEmbeddings({ path: golden('mixed.parquet'), name: 'f*' })).notes).toEqual([
      `${golden('mixed.parquet')}: the set of feature columns holds float32 beside wider numbers; read as float64.`,
    ]);
  });

  test('a name chooses among several lists', async () => {
    const path = golden('several.parquet');
    await expectRows({ path, name: 'a' }, await expected('x'), 5);
    await expectRows({ path, name: 'b' }, await expected('k'), 5);
    await expectRefused(
      path,
      'ERR_COLUMN_AMBIGUOUS',
      /Say which with `name`: "a" \(FLOAT\[\]\), "b" \(TINYINT\[\]\)\.$/,
    );
  });

  test.each([
    ['several', 'c', 'ERR_COLUMN_MISSING', /no column "c".*"a" .*"b" .*"score" \(DOUBLE\), "id" \(VARCHAR\)/],
    ['several', 'z*', 'ERR_COLUMN_MISSING', /no column "z\*"/],
    ['several', 'id', 'ERR_COLUMN_UNFIT', /"id" \(VARCHAR\) cannot be read, because embeddings are numbers/],
    ['several', 'a,score', 'ERR_COLUMN_UNFIT', /"a" \(FLOAT\[\]\).*several columns are one number each/],
    ['columns', 'f1,f*', 'ERR_COLUMN_AMBIGUOUS', /"f1" .* twice/],
    ['none', undefined, 'ERR_COLUMN_UNFIT', /none of floating-point numbers, only "id" \(VARCHAR\), "year" \(BIGINT\)/],
    ['empty', undefined, 'ERR_NO_ROWS', /has no rows/],
    ['no_values', undefined, 'ERR_NO_ROWS', /no values in row 0/],
    ['ragged', undefined, 'ERR_LIST_LENGTH', /column "emb" has 4 values in row 23 .*5 in those before/],
    ['null_row', undefined, 'ERR_NULL', /column "emb" is NULL in row 17 .*IS NOT NULL/],
    ['null_value', undefined, 'ERR_NULL', /column "emb" has NULL in row 31, value 3 /],
    ['null_column', undefined, 'ERR_NULL', /column "f2" is NULL in row 12 /],
  ])('%s.parquet, name %s: refused', async (name, column, code, message) => {
    await expectRefused({ path: golden(`${name}.parquet`), name: column }, code, message);
  });

  test('rows are counted among those of the condition', async () => {
    await expectRefused({ path: golden('null_row.parquet'), where: "id <> 's-3'" }, 'ERR_NULL', /in row 16 /);
    await expectRefused({ path: golden('ragged.parquet'), where: "id > 's-2'" }, 'ERR_LIST_LENGTH', /in row 10 /);
    const { rows } = await readEmbeddings({ path: golden('null_row.parquet'), where: 'emb IS NOT NULL' });
    expect(rows).toBe(39);
    await expectRefused({ path: golden('null_row.parquet'), where: 'emb IS NULL' }, 'ERR_NULL', /in row 0 /);
  });

  test('names that look like SQL are names', async () => {
    const path = golden('quotes.parquet');
    await expectRows({ path, name: 'a"b; DROP TABLE t; --' }, await expected('x'), 5);
    await expectRows(path, await expected('x'), 5);
    expect(await readColumn(path, "x' OR 1=1")).toEqual(Array.from({ length: 40 }, (_, i) => `s-${i}`));
    await expectRefused({ path, name: "\" FROM read_csv('/etc/passwd') --" }, 'ERR_COLUMN_MISSING', /no column/);
  });

  test('other columns as text', async () => {
    const path = golden('list.parquet');
    expect(await readColumn(path, 'id')).toEqual(Array.from({ length: 40 }, (_, i) => `s-${i}`));
    expect(await readColumn({ path, where: "clip = 'clip 2'" }, 'year')).toEqual(
      Array.from({ length: 13 }, (_, i) => String(2002 + 3 * i)),
    );
    await expect(readColumn(path, 'nosuch')).rejects.toMatchObject({ code: 'ERR_COLUMN_MISSING' });
    await expect(readColumn(golden('null_id.parquet'), 'id')).rejects.toMatchObject({
      code: 'ERR_NULL',
      message: expect.stringMatching(/column "id" is NULL in row 5 /),
    });
    await expect(readColumn(golden('x.npy'), 'id')).rejects.toMatchObject({ code: 'ERR_NO_COLUMNS' });
  });
});

test.each(['list.parquet', 'columns.parquet'])('%s: every cut is refused, damage is survived', async (name) => {
  await expectEveryCutRefused(name, folder, { step: 211 });
  await expectDamageSurvived(name, folder, 60);
});

test('what is no Parquet, or not there, is refused', async () => {
  const path = join(folder, 'text.parquet');
  writeFileSync(path, 'id,emb\n1,2\n');
  await expectRefused(path, 'ERR_PARQUET_BROKEN', /cannot be read as Parquet \(.+\)\. Write or copy it again\.$/);
  await expectRefused(join(folder, 'absent.parquet'), 'ERR_FILE_MISSING', /does not exist/);
});

describe('order', () => {
  const ROWS = 20_000;
  const sql = (from: number, count: number) =>
    `SELECT i AS id, 'c' || (i % 7) AS clip, [i::FLOAT, (i * 0.5)::FLOAT, 1::FLOAT] AS emb FROM range(${from}, ${from + count}) t(i)`;
  const numbers = async (path: string, where?: string) => {
    const { data } = await readEmbeddings({ path, name: 'emb', where });
    return Array.from(data).filter((_, i) => i % 3 === 0);
  };

  test('many row groups and threads: rows come as they lie in the file, whatever the condition', async () => {
    const path = await write('many.parquet', sql(0, ROWS), ', ROW_GROUP_SIZE 2048');
    const all = Array.from({ length: ROWS }, (_, i) => i);
    for (let round = 0; round < 3; round++) expect(await numbers(path)).toEqual(all);
    const some = all.filter((i) => i % 7 === 3 && i > 5000);
    expect(await numbers(path, "clip = 'c3' AND id > 5000")).toEqual(some);
    expect((await readColumn({ path, where: "clip = 'c3' AND id > 5000" }, 'id')).map(Number)).toEqual(some);
    const opened = await openEmbeddings({ path, where: "clip = 'c3'" });
    const third = all.filter((i) => i % 7 === 3);
    // Forth, back, over a gap, and within what is already there.
    for (const [start, count] of [
      [0, 10],
      [2500, 300],
      [100, 2000],
      [101, 3],
      [2850, 7],
    ] as const) {
      const block = await opened.read(start, count);
      expect(Array.from(block).filter((_, i) => i % 3 === 0)).toEqual(third.slice(start, start + count));
    }
    await opened.close();
  });

  test('shards are one table, in natural order, and a pattern can have a condition', async () => {
    for (const [part, from] of [
      [10, 2000],
      [9, 1000],
      [1, 0],
    ] as const)
      await write(`part-${part}.parquet`, sql(from, 1000));
    const path = join(folder, 'part-*.parquet');
    expect(await numbers(path)).toEqual(Array.from({ length: 3000 }, (_, i) => i));
    expect(await numbers(path, 'id % 1000 = 1')).toEqual([1, 1001, 2001]);
    expect(await readColumn({ path, where: 'id % 1000 = 1' }, 'id')).toEqual(['1', '1001', '2001']);
  });

  test('folders that say key=value are columns too', async () => {
    for (const split of ['test', 'train']) {
      const path = join(folder, 'hive', `split=${split}`, 'a.parquet');
      mkdirSync(join(folder, 'hive', `split=${split}`), { recursive: true });
      await write(path.slice(folder.length + 1), sql(split === 'train' ? 10 : 0, 5));
    }
    expect(await numbers(join(folder, 'hive', '*', '*.parquet'), "split = 'train'")).toEqual([10, 11, 12, 13, 14]);
  });

  test('columns that are the same in all rows, or are said by a folder, have their values in each', async () => {
    mkdirSync(join(folder, 'hive2', 'year=2020'), { recursive: true });
    const same = 'SELECT 7::FLOAT AS a, i::FLOAT AS b, [1::FLOAT, 2::FLOAT] AS emb FROM range(5000) t(i)';
    await write('hive2/year=2020/same.parquet', same);
    const path = join(folder, 'hive2', '*', 'same.parquet');
    const rows = Array.from({ length: 5000 }, (_, i) => i);
    await expectRows(
      { path, name: 'a,year,b' },
      rows.flatMap((i) => [7, 2020, i]),
      3,
    );
    await expectRows(
      { path, name: 'emb' },
      rows.flatMap(() => [1, 2]),
      2,
    );
    const half = rows.filter((i) => i % 2 === 0);
    await expectRows(
      { path, name: 'a,b', where: 'b % 2 = 0' },
      half.flatMap((i) => [7, i]),
      2,
    );
    await expectRows(
      { path, name: 'emb', where: 'b % 2 = 0' },
      half.flatMap(() => [1, 2]),
      2,
    );
  });

  test('a thread of its own reads it too: pca', async () => {
    const path = await write('pca.parquet', sql(0, 3000));
    const { matrix } = await reduce({ path, where: 'id < 2500' }, { method: 'pca', dims: 1 });
    expect([matrix.rows, matrix.cols]).toEqual([2500, 1]);
    expect(matrix.data[2]! - matrix.data[1]!).toBeCloseTo(Math.sqrt(1.25), 3);
  });
});

describe('where', () => {
  const path = golden('list.parquet');
  test.each([
    ["clip = 'clip 1'", 13],
    ["id IN ('s-1', 's-2;') -- no more", 1],
    ["id = 's-4;' OR year = 2003", 1],
    ['emb[1] > 0 AND len(emb) = 5 OR true', 40],
    ['year BETWEEN 2010 AND 2019', 10],
  ])('%s', async (where, rows) => {
    expect((await readEmbeddings({ path, where })).rows).toBe(rows);
  });

  test.each([
    ['', /syntax error/],
    ["clip = 'clip 1", /unterminated/],
    ['true; DROP TABLE t', /syntax error/],
    ["true); COPY (SELECT 1) TO 'x.csv'; SELECT (1", /SELECT/],
    ['true); SELECT (1', /more than one condition/],
    ['true) UNION ALL SELECT (1', /more than one condition/],
    ['true) LIMIT (3', /more than one condition/],
    ['true) ORDER BY (year', /more than one condition/],
    ['true) GROUP BY (year', /more than one condition/],
    ["EXISTS (SELECT * FROM read_csv('/etc/passwd'))", /Permission Error/],
    ["EXISTS (SELECT * FROM read_text('/etc/passwd'))", /Permission Error/],
    [`EXISTS (SELECT * FROM read_parquet('${golden('int8.parquet')}'))`, /Permission Error/],
    ["EXISTS (SELECT * FROM read_csv('http://localhost:1/x.csv'))", /./],
    ['nosuch = 1', /"nosuch" not found/],
    ['random() < 0.5', /random\(\) gives something else each time/],
    ['count(*) > 1', /./],
    ['CAST(id AS INTEGER) = 3', /Could not convert/],
  ])('%s: refused', async (where, message) => {
    await expectRefused({ path, where }, 'ERR_WHERE', message);
  });

  test('no row is left: refused', async () => {
    await expectRefused({ path, where: 'year > 3000' }, 'ERR_NO_ROWS', /no row for which year > 3000\./);
  });

  test('it is of tables', async () => {
    await expectRefused(
      { path: golden('x.npy'), where: 'true' },
      'ERR_OPTION_UNUSED',
      /`where` is an option .*Parquet.*LanceDB/,
    );
  });
});

describe('writeParquet', () => {
  const data = new Float32Array(5000 * 3).map((_, i) => Math.fround(i / 3));
  test('what it wrote is read again, by DuckDB too', async () => {
    const path = join(folder, 'new', 'out.parquet');
    const ids = Array.from({ length: 5000 }, (_, i) => `é"'${i}`);
    await writeParquet(path, { data, rows: 5000, cols: 3 }, { ids });
    expect(readdirSync(join(folder, 'new'))).toEqual(['out.parquet']);
    expect((await readEmbeddings(path)).data).toEqual(data);
    expect(await readColumn(path, 'id')).toEqual(ids);
    const duckdb = await openDuckdb([path]);
    const [row] = await rowsOf(duckdb.connection, `SELECT id, embedding FROM '${path}' LIMIT 1 OFFSET 4999`);
    expect(row).toEqual([ids[4999], [...data.subarray(-3)]]);
    duckdb.close();
    const shared = new Float64Array(new SharedArrayBuffer(48));
    shared.set([1, 2, 3, 4, 5, 1e300]);
    await writeParquet(path, { data: shared, rows: 2, cols: 3 });
    expect([...(await readEmbeddings(path)).data]).toEqual([...shared]);
  });

  test('nothing is left where it fails or is aborted', async () => {
    const path = join(folder, 'aborted', 'out.parquet');
    const reason = new Error('enough');
    const matrix = { data, rows: 5000, cols: 3 };
    await expect(writeParquet(path, matrix, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(existsSync(path)).toBe(false);
    const controller = new AbortController();
    const writing = writeParquet(path, matrix, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await expect(writing).rejects.toBe(reason);
    expect(readdirSync(join(folder, 'aborted'))).toEqual([]);
    await expect(writeParquet(path, matrix, { ids: ['a'] })).rejects.toThrow(RangeError);
  });
});
