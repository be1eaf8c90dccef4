import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { partition } from '#lib/select/bins.js';
import { draw } from '#lib/select/draw.js';
import { select } from '#lib/select/select.js';
import { cloud } from './data.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-select-'));
afterAll(() => rmSync(folder, { recursive: true }));

const matrix = cloud('embeddingLike', 1, 200, 12);
const path = join(folder, 'X.npy');

test('is partition and draw, in memory and from a file', async () => {
  await writeNpy(path, { data: matrix.data, shape: [200, 12] });
  const options = { bins: 8, gain: 'cosine', budget: '10%', seed: 4, include: [3], exclude: [5] } as const;
  const expected = draw(await partition(matrix, options), options);
  for (const embeddings of [matrix, path]) {
    const { rows, seed, partition } = await select(embeddings, options);
    expect(rows).toEqual(expected.rows);
    expect(seed).toBe(4);
    expect(partition.order).toEqual(expected.partition.order);
  }
});

describe('refuses before the long part', () => {
  test('draw options', async () => {
    const seen: unknown[] = [];
    const options = { bins: 8, onProgress: (progress: unknown) => seen.push(progress) };
    await expect(select(matrix, { ...options, budget: 201 })).rejects.toThrow('`budget` must be');
    await expect(select(matrix, { ...options, budget: 20, include: [200] })).rejects.toThrow('`include[0]`');
    expect(seen).toEqual([]);
  });

  test.each([undefined, null, 5, {}])('embeddings that are %s', async (embeddings) => {
    await expect(select(embeddings as unknown as string, { bins: 2, budget: 1 })).rejects.toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });

  test('a file that is not there, and one with NaN, by name', async () => {
    await expect(select(join(folder, 'none.npy'), { bins: 2, budget: 1 })).rejects.toThrow(/none\.npy does not exist/);
    const data = Float64Array.from({ length: 20 }, (_, i) => (i === 13 ? Number.NaN : i));
    const bad = join(folder, 'bad.npy');
    await writeNpy(bad, { data, shape: [10, 2] });
    await expect(select(bad, { bins: 2, budget: 1 })).rejects.toThrow(`${bad} has NaN in row 6, column 1`);
  });
});
