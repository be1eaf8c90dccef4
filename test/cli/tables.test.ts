import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readColumn, readEmbeddings } from 'coregain';
import { expect, test } from 'vitest';
import { golden } from '../formats/golden.js';
import { coregain, filesIn, jsonLines, scratchFolder } from './coregain.js';

const folder = scratchFolder();
const table = golden('list.parquet');
const random = ['--strategy', 'random', '--no-report'];

test('ids, groups and a condition from the table, and the selection as a table', async () => {
  const where = 'year >= 2004';
  const { status, stderr, stdout } = await coregain(
    [
      ...['select', '--embeddings', table, '--where', where, '--id-column', 'id'],
      ...[
        '--strategy',
        'round-robin',
        '--group-column',
        'clip',
        '--budget',
        '9',
        '--include',
        's-39',
        '--exclude',
        's-5',
      ],
      ...['--out', 'out', '--table', 'tables/coreset.parquet', '--json'],
    ],
    folder,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(filesIn(join(folder, 'tables'))).toEqual(['coreset.parquet']);
  const chosen = jsonLines(join(folder, 'out', 'coreset.jsonl'));
  const ids = chosen.map(({ id }) => id as string);
  expect(chosen.map(({ row }) => row)).toEqual(ids.map((id) => Number(id.slice(2)) - 4));
  expect(ids).toContain('s-39');
  expect(ids).not.toContain('s-5');
  const path = join(folder, 'tables', 'coreset.parquet');
  expect(await readColumn(path, 'id')).toEqual(ids);
  expect(await readColumn(path, 'coregain_row')).toEqual(chosen.map(({ row }) => String(row)));
  const clips = await readColumn(path, 'clip');
  for (const clip of ['clip 0', 'clip 1', 'clip 2']) expect(clips.filter((each) => each === clip)).toHaveLength(3);
  const all = await readEmbeddings(table);
  expect([...(await readEmbeddings({ path, name: 'emb' })).data]).toEqual(
    ids.flatMap((id) => [...all.data.subarray(Number(id.slice(2)) * 5, Number(id.slice(2)) * 5 + 5)]),
  );
  const result = JSON.parse(stdout);
  expect(result.files.table).toBe('tables/coreset.parquet');
  const run = JSON.parse(readFileSync(join(folder, 'out', 'run.json'), 'utf8'));
  expect(run).toMatchObject({
    config: { where, idColumn: 'id', groupColumn: 'clip' },
    counts: { rows: 36, chosen: 9 },
  });
});

test('another condition is another configuration', async () => {
  const args = ['select', '--embeddings', table, ...random, '--budget', '5', '--out', 'taken'];
  expect((await coregain([...args, '--where', 'year > 2001'], folder)).status).toBe(0);
  expect(await coregain([...args, '--where', 'year > 2002'], folder)).toMatchObject({ status: 2 });
  expect((await coregain([...args, '--where', 'year > 2001', '--table', 't.parquet'], folder)).stdout).toMatch(
    / {2}table {4}t\.parquet\n/,
  );
});

test('Arrow has ids too; a selection from it as a table', async () => {
  const args = ['select', '--embeddings', golden('before.arrow'), '--name', 'emb', '--id-column', 'id', ...random];
  expect(
    await coregain([...args, '--budget', '4', '--out', 'arrow', '--table', 'arrow.parquet'], folder),
  ).toMatchObject({
    status: 0,
    stderr: '',
  });
  const ids = jsonLines(join(folder, 'arrow', 'coreset.jsonl')).map(({ id }) => id);
  expect(ids[0]).toMatch(/^s-\d+$/);
  expect(await readColumn(join(folder, 'arrow.parquet'), 'id')).toEqual(ids);
});

test('reduce writes a table with the ids, and diagnose takes a condition', async () => {
  const where = "clip <> 'clip 1'";
  const args = ['reduce', '--embeddings', table, '--where', where, '--dims', '2', '--id-column', 'id'];
  expect(await coregain([...args, '--out', 'reduced.parquet'], folder)).toMatchObject({ status: 0, stderr: '' });
  const path = join(folder, 'reduced.parquet');
  const { rows, cols } = await readEmbeddings(path);
  expect([rows, cols]).toEqual([27, 2]);
  expect(await readColumn(path, 'id')).toEqual(await readColumn({ path: table, where }, 'id'));
  const found = await coregain(['diagnose', '--embeddings', table, '--where', where, '--json'], folder);
  expect(found).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(found.stdout).redundancy.rows).toBe(27);
});

const select = ['select', '--embeddings', table, ...random, '--budget', '5', '--out', 'nothing'];
test.each([
  [
    'two names for the rows',
    [...select, '--id-column', 'id', '--samples', 's.jsonl'],
    2,
    /`--id-column` and `--samples`/,
  ],
  [
    'two groups',
    [...select, '--strategy', 'round-robin', '--group-column', 'clip', '--groups', 'g.txt'],
    2,
    /`--group-column` and `--groups`/,
  ],
  ['groups of another strategy', [...select, '--group-column', 'clip'], 2, /round-robin/],
  [
    'a table of another kind',
    [...select, '--table', 'x.csv'],
    2,
    /writes Parquet, and x\.csv does not end in \.parquet/,
  ],
  ['ids that are not unique', [...select, '--id-column', 'clip'], 1, /the id "clip 0" in row 0 and again in row 3 /],
  ['no such column', [...select, '--id-column', 'nosuch'], 1, /no column "nosuch"\. Those there are "id", "clip"/],
  ['a condition that is none', [...select, '--where', 'nosuch = 1'], 2, /`where` \(nosuch = 1\) is no condition/],
  ['an id that no row has', [...select, '--id-column', 'id', '--include', '7'], 2, /`include` has the id "7"/],
  [
    'ids of what is no table',
    ['select', '--embeddings', golden('x.npy'), ...random, '--id-column', 'id', '--out', 'nothing'],
    1,
    /no column "id", because it is no table/,
  ],
  [
    'a condition on what is no table',
    ['select', '--embeddings', golden('x.npy'), ...random, '--where', 'true', '--out', 'nothing'],
    1,
    /`where` is an option of/,
  ],
  [
    'ids that would go nowhere',
    ['reduce', '--embeddings', table, '--dims', '2', '--id-column', 'id', '--out', 'nothing.npy'],
    2,
    /`--id-column` is kept in a table/,
  ],
])('%s: one sentence, nothing is written', async (_, args, code, message) => {
  const { status, stdout, stderr } = await coregain(args, folder);
  expect({ status, stdout }).toEqual({ status: code, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(['nothing', 'nothing.npy', 'x.csv'].filter((name) => existsSync(join(folder, name)))).toEqual([]);
});

test('the table that is selected from is not replaced', async () => {
  mkdirSync(join(folder, 'data'));
  const args = ['reduce', '--embeddings', table, '--dims', '2', '--out', 'data/x.parquet'];
  expect((await coregain(args, folder)).status).toBe(0);
  const before = readFileSync(join(folder, 'data', 'x.parquet'));
  const taken = ['select', '--embeddings', 'data/x.parquet', ...random, '--budget', '3', '--out', 'o'];
  const { status, stderr } = await coregain([...taken, '--table', 'data/x.parquet'], folder);
  expect(status).toBe(2);
  expect(stderr).toMatch(/data\/x\.parquet is what is selected from/);
  expect(readFileSync(join(folder, 'data', 'x.parquet'))).toEqual(before);
  expect(existsSync(join(folder, 'o'))).toBe(false);
});
