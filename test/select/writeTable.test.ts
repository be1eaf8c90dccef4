import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { draw, groupStrata, readColumn, readEmbeddings, select, writeParquet, writeSelectionTable } from 'coregain';
import { beforeAll, describe, expect, test } from 'vitest';
import { openDuckdb, rowsOf } from '#lib/formats/duckdb.js';
import { golden, scratch } from '../formats/golden.js';

const folder = scratch();
const ROWS = 9000;
const source = join(folder, 'source.parquet');

/** All rows of a Parquet file as objects, read by DuckDB; 64-bit integers are text. */
async function rowsIn(path: string): Promise<Record<string, unknown>[]> {
  const duckdb = await openDuckdb([path]);
  try {
    const { connection } = duckdb;
    const names = (await rowsOf(connection, `DESCRIBE SELECT * FROM read_parquet('${path}')`)).map(([name]) => name);
    const rows = await rowsOf(connection, `SELECT * FROM read_parquet('${path}')`);
    return rows.map((row) => Object.fromEntries(row.map((value, i) => [names[i], value])));
  } finally {
    duckdb.close();
  }
}

beforeAll(async () => {
  const duckdb = await openDuckdb([source]);
  await duckdb.connection.run(`COPY (
    SELECT 's-' || i AS id, 'c' || (i % 5) AS clip, i AS n, DATE '2020-01-01' + i::INTEGER AS day,
      [sin(i)::FLOAT, cos(i * 3)::FLOAT, (i % 17)::FLOAT] AS emb, i AS "Coregain_Row", {'a': i, 'b': [i]} AS "odd ""name"
    FROM range(${ROWS}) t(i)) TO '${source}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`);
  duckdb.close();
});

describe('of a Parquet source', () => {
  test.each([undefined, "clip IN ('c1', 'c3') AND n > 100"])('rows keep their columns; where %s', async (where) => {
    const file = { path: source, where };
    const matrix = await readEmbeddings(file);
    const selection = await select(matrix, { bins: 7, budget: 500, seed: 3 });
    const path = join(folder, 'new', 'coreset.parquet');
    await writeSelectionTable(path, selection, { source: file });
    expect(readdirSync(join(folder, 'new'))).toEqual(['coreset.parquet']);
    const rows = await rowsIn(path);
    const numbers = (await readColumn(file, 'n')).map(Number);
    const { partition } = selection;
    const starts = Array.from({ length: 7 }, (_, bin) =>
      partition.order.findIndex((row) => partition.bins[row] === bin),
    );
    expect(rows).toEqual(
      Array.from(selection.rows, (row) => {
        const i = numbers[row]!;
        const place = partition.order.indexOf(row);
        const bin = partition.bins[row]!;
        return {
          id: `s-${i}`,
          clip: `c${i % 5}`,
          n: String(i),
          day: new Date(Date.UTC(2020, 0, 1 + i)).toISOString().slice(0, 10),
          emb: [...matrix.data.subarray(3 * row, 3 * row + 3)],
          'odd "name': { a: String(i), b: [String(i)] },
          coregain_row: String(row),
          coregain_bin: bin,
          coregain_rank: place - starts[bin]!,
          coregain_gain: partition.gains[place],
        };
      }),
    );
    // What was written is a source, whose columns of these names are replaced.
    const again = join(folder, 'again.parquet');
    await writeSelectionTable(again, draw(groupStrata(rows.map(() => 'all')), { budget: 5 }), { source: path });
    expect((await rowsIn(again)).map((row) => Object.keys(row))).toEqual(Array(5).fill(Object.keys(rows[0]!)));
  });

  test('files of a pattern are one table', async () => {
    for (const part of [2, 10]) copyFileSync(golden('list.parquet'), join(folder, `part-${part}.parquet`));
    const file = join(folder, 'part-*.parquet');
    const selection = draw(groupStrata(Array(80).fill(0)), { budget: 20 });
    await writeSelectionTable(join(folder, 'parts.parquet'), selection, { source: file });
    const ids = await readColumn(file, 'id');
    expect(await readColumn(join(folder, 'parts.parquet'), 'id')).toEqual(
      Array.from(selection.rows, (row) => ids[row]),
    );
  });

  test('a source of other rows, and one that would be replaced, are refused', async () => {
    const path = join(folder, 'refused.parquet');
    const selection = draw(groupStrata(Array(ROWS).fill(0)), { budget: 20 });
    await expect(
      writeSelectionTable(path, selection, { source: { path: source, where: 'n > 5' } }),
    ).rejects.toMatchObject({ code: 'ERR_SOURCE_DIFFERS', message: expect.stringMatching(/8994 rows.*from 9000/) });
    await expect(writeSelectionTable(source, selection, { source })).rejects.toMatchObject({
      code: 'ERR_TABLE_IS_SOURCE',
    });
    await expect(
      writeSelectionTable(path, selection, { source: { path: source, where: 'nosuch' } }),
    ).rejects.toMatchObject({ code: 'ERR_WHERE' });
    const reason = new Error('enough');
    await expect(writeSelectionTable(path, selection, { source, signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
    expect(readdirSync(folder).filter((name) => name.startsWith('refused'))).toEqual([]);
    expect(existsSync(path)).toBe(false);
    expect((await readEmbeddings(source)).rows).toBe(ROWS);
  });
});

test('of other sources: ids; rows that are in no bin have neither rank nor gain', async () => {
  const data = Float32Array.from({ length: 11 * 2 }, (_, i) => (i * 7919) % 23);
  const selection = await select(
    { data, rows: 11, cols: 2 },
    { bins: 3, budget: 6, remainder: 'drop', include: Array.from({ length: 6 }, (_, i) => i) },
  );
  const samples = Array.from({ length: 11 }, (_, i) => ({ id: `é'${i}` }));
  const path = join(folder, 'ids.parquet');
  await writeSelectionTable(path, selection, { samples, source: golden('x.npy') });
  const rows = await rowsIn(path);
  expect(rows.map(({ id, coregain_row }) => [id, coregain_row])).toEqual(
    Array.from(selection.rows, (row) => [`é'${row}`, String(row)]),
  );
  const left = rows.filter(({ coregain_bin }) => coregain_bin === -1);
  expect(left.length).toBeGreaterThan(0);
  for (const row of left) expect(row).toMatchObject({ coregain_rank: null, coregain_gain: null });
  await writeSelectionTable(path, selection);
  expect((await rowsIn(path)).map(({ id }) => id)).toEqual(Array.from(selection.rows, String));
  await expect(writeSelectionTable(path, selection, { samples: samples.slice(1) })).rejects.toThrow(RangeError);
});

test('many rows: the event loop goes on', async () => {
  const rows = 300_000;
  const selection = draw(groupStrata(new Int32Array(rows)), { budget: 200_000 });
  let longest = 0;
  let before = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - before - 5);
    before = performance.now();
  }, 5);
  const path = join(folder, 'many.parquet');
  await writeSelectionTable(path, selection);
  clearInterval(timer);
  expect(longest).toBeLessThan(400);
  expect((await readColumn({ path, name: 'coregain_gain' }, 'coregain_row')).map(Number)).toEqual([...selection.rows]);
});

test('writeParquet and back: the same selection as from memory', async () => {
  const data = Float32Array.from({ length: 500 * 4 }, (_, i) => ((i * 2654435761) % 1009) / 1009);
  const matrix = { data, rows: 500, cols: 4 };
  const path = join(folder, 'same.parquet');
  await writeParquet(path, matrix);
  const options = { bins: 5, budget: 50 } as const;
  expect((await select(path, options)).rows).toEqual((await select(matrix, options)).rows);
});
