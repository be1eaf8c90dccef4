import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readSamples, rowsOfIds } from '#lib/select/samples.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-samples-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'samples.jsonl');
const write = (...lines: string[]) => writeFileSync(path, lines.map((line) => `${line}\n`).join(''));

describe('readSamples', () => {
  test('takes id and paths of what embed writes', async () => {
    write(
      '{"row":0,"id":"a","split":"train","paths":{"rgb":"a.png"},"depthScale":0.001,"metadata":{}}',
      '{"row":1,"id":"b","split":"train","paths":{},"metadata":{"clip":3}}',
      '{"id":"c"}',
    );
    expect(await readSamples(path, 3)).toEqual([
      { id: 'a', paths: { rgb: 'a.png' } },
      { id: 'b', paths: {} },
      { id: 'c' },
    ]);
  });

  test.each([
    [['{"id":"a"}', '{"id":'], 'is not JSON in line 2'],
    [['{"id":"a"}', ''], 'is not JSON in line 2'],
    [['{"id":"a"}', 'null'], 'has no text as `id` in line 2'],
    [['{"id":7}', '{"id":"a"}'], 'has no text as `id` in line 1'],
    [['{"id":"a"}', '{"id":"a"}'], 'has the id "a" a second time in line 2'],
    [['{"id":"a"}', '{"id":"b","paths":"x.png"}'], 'has `paths` that are no object in line 2'],
    [['{"id":"a"}'], 'has 1 lines, but there are 2 embeddings'],
    [['{"id":"a"}', '{"id":"b"}', '{"id":"c"}'], 'has 3 lines, but there are 2 embeddings'],
  ])('refuses %j', async (lines, message) => {
    write(...lines);
    await expect(readSamples(path, 2)).rejects.toMatchObject({
      code: 'ERR_SAMPLES',
      message: `${path} ${message}. Embed the data set again, or leave the file out.`,
    });
  });

  test('refuses a file that is not there, and stops when aborted', async () => {
    await expect(readSamples(join(folder, 'none'), 1)).rejects.toThrow(/none cannot be read: ENOENT/);
    write('{"id":"a"}');
    const reason = new Error('stop');
    await expect(readSamples(path, 1, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe('rowsOfIds', () => {
  const samples = [{ id: 'a' }, { id: '7' }, { id: 'c' }];

  test('finds ids, or takes row numbers where there are none', () => {
    expect(rowsOfIds(['c', 'a', 7], samples, 3)).toEqual([2, 0, 1]);
    expect(rowsOfIds(['2', 0], undefined, 3)).toEqual([2, 0]);
  });

  test('refuses an unknown id with what would be known', () => {
    expect(() => rowsOfIds(['a', 'x'], samples, 3, 'exclude')).toThrow(
      '`exclude` has the id "x", which no row has. Ids look like "a".',
    );
    for (const id of ['3', '-1', '1.0', 'a', '']) {
      expect(() => rowsOfIds([id], undefined, 3)).toThrow(
        /no row has\. The rows have no ids: give row numbers in 0\.\.2\./,
      );
    }
  });
});
