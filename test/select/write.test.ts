import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readNpyHeader } from '#lib/formats/npy.js';
import { hashFile, runRecord, writeRun } from '#lib/select/runRecord.js';
import { select } from '#lib/select/select.js';
import { writeSelection } from '#lib/select/write.js';
import { cloud } from './data.js';

const root = mkdtempSync(join(tmpdir(), 'coregain-write-'));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const fresh = () => join(root, `out${folders++}`);

const matrix = cloud('isotropic', 1, 23, 4);
const selection = await select(matrix, { bins: 4, budget: 9, seed: 1 });
const lines = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('writeSelection', () => {
  test('coreset.jsonl: a line for each chosen row, in order', async () => {
    const files = await writeSelection(fresh(), selection);
    const { bins, order, gains } = selection.partition;
    const found = lines(files.coreset);
    expect(found.map(({ row }) => row)).toEqual([...selection.rows]);
    for (const { id, row, bin, rank, gain, ...others } of found) {
      expect(others).toEqual({});
      expect(id).toBe(String(row));
      expect(bin).toBe(bins[row as number]);
      const members = [...order].filter((other) => bins[other] === bin);
      expect(members[rank as number]).toBe(row);
      expect(gain).toBe(gains[order.indexOf(row as number)]);
    }
  });

  test('ids and paths of samples', async () => {
    const samples = Array.from({ length: 23 }, (_, i) => ({
      id: `scene "${i}"\n`,
      ...(i % 2 === 0 ? { paths: { rgb: `rgb/${i}.png`, semseg: `seg/${i}.png` } } : {}),
    }));
    const { coreset } = await writeSelection(fresh(), selection, { samples });
    const found = lines(coreset);
    expect(found).toHaveLength(9);
    for (const { id, row, paths } of found) expect({ id, ...(paths ? { paths } : {}) }).toEqual(samples[row as number]);
    await expect(writeSelection(fresh(), selection, { samples: samples.slice(1) })).rejects.toThrow(
      '`samples.length` must be 23, one for each row of the partition, but it is 22.',
    );
  });

  test('bins.npy is int32 [N], order.npy int64 [n]', async () => {
    const files = await writeSelection(fresh(), selection);
    const bins = await readNpyHeader(files.bins);
    expect([bins.descr, bins.shape]).toEqual(['<i4', [23]]);
    const order = await readNpyHeader(files.order);
    expect([order.descr, order.shape]).toEqual(['<i8', [23]]);
    const values = (path: string, offset: number) => new Uint8Array(readFileSync(path).subarray(offset)).buffer;
    expect(new Int32Array(values(files.bins, bins.dataOffset))).toEqual(selection.partition.bins);
    const rows = new BigInt64Array(values(files.order, order.dataOffset));
    expect([...rows].map(Number)).toEqual([...selection.partition.order]);
  });

  test('rows in no bin: -1 in bins.npy, absent from order.npy, bin -1 without rank and gain if they were included', async () => {
    const first = await select(matrix, { bins: 4, budget: 1, remainder: 'drop' });
    const outside = first.partition.bins.indexOf(-1);
    const dropped = await select(matrix, { bins: 4, budget: 3, remainder: 'drop', include: [outside] });
    const files = await writeSelection(fresh(), dropped);
    expect(lines(files.coreset).at(-1)).toEqual({ id: String(outside), row: outside, bin: -1, rank: null, gain: null });
    expect((await readNpyHeader(files.order)).shape).toEqual([20]);
  });

  test('many rows: all are written', async () => {
    const many = await select(cloud('isotropic', 1, 9001, 2), { bins: 3, budget: '100%' });
    const { coreset } = await writeSelection(fresh(), many);
    expect(lines(coreset).map(({ row }) => row)).toEqual([...many.partition.order]);
  });

  test('an earlier run.json goes first; an abort leaves the folder as it was', async () => {
    const folder = fresh();
    mkdirSync(folder);
    writeFileSync(join(folder, 'run.json'), '{}');
    const reason = new Error('stop');
    await expect(writeSelection(folder, selection, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(readdirSync(folder)).toEqual(['run.json']);
    await writeSelection(folder, selection);
    expect(readdirSync(folder).sort()).toEqual(['bins.npy', 'coreset.jsonl', 'order.npy']);
  });
});

describe('run.json', () => {
  test('says what was asked, what ran, on what, and what it cost', async () => {
    const folder = fresh();
    await writeSelection(folder, selection);
    const input = join(root, 'input.bin');
    const content = Buffer.alloc(3_000_000, 'coregain');
    writeFileSync(input, content);
    const record = await runRecord({
      config: { bins: 4, budget: 9 },
      selection,
      stages: [{ name: 'select', seconds: 0.25 }],
      inputs: [input],
    });
    const path = await writeRun(folder, record);
    const read = JSON.parse(readFileSync(path, 'utf8')) as typeof record;
    expect(read).toEqual(record);
    expect(read).toMatchObject({
      config: { bins: 4, budget: 9 },
      stages: [{ name: 'select', seconds: 0.25 }],
      seed: 1,
      counts: { rows: 23, chosen: 9, bins: 4 },
      engine: { ...selection.partition.engine },
      versions: { node: process.versions.node, coregain: expect.stringMatching(/^\d+\.\d+\.\d+/) },
      inputs: [{ path: input, bytes: 3_000_000, sha256: createHash('sha256').update(content).digest('hex') }],
      notes: [],
    });
    expect(read.versions.onnxruntime).toMatch(/^\d+\.\d+/);
    expect(read.machine.simd).toContain('scalar');
    expect(Date.now() - Date.parse(read.finished)).toBeLessThan(60_000);
    expect(read.peakMemoryBytes).toBeGreaterThan(20e6);
    expect(read.peakMemoryBytes).toBeLessThan(64e9);
  });

  test('an input that cannot be read is named', async () => {
    const none = join(root, 'none.npy');
    const record = runRecord({ config: {}, selection, stages: [], inputs: [none] });
    await expect(record).rejects.toMatchObject({ code: 'ERR_FILE_UNREADABLE', message: expect.stringContaining(none) });
    const reason = new Error('stop');
    await expect(hashFile(none, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(existsSync(none)).toBe(false);
  });
});
