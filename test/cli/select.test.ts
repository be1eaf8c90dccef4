import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { readNpyHeader, writeNpy } from '#lib/formats/npy.js';
import { select } from '#lib/select/select.js';
import { coregain, filesIn, jsonLines, scratchFolder } from './coregain.js';

const ROWS = 103;
const COLS = 7;
const folder = scratchFolder();
const data = new Float32Array(ROWS * COLS);

beforeAll(async () => {
  let state = 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  await writeNpy(join(folder, 'X.npy'), { data, shape: [ROWS, COLS] });
});

/** An integer .npy file by its own description of itself. */
async function readIntegers(path: string) {
  const { descr, shape, fortranOrder, dataOffset } = await readNpyHeader(path);
  const bytes = readFileSync(path).subarray(dataOffset);
  const values =
    descr === '<i8'
      ? [...new BigInt64Array(Uint8Array.from(bytes).buffer)].map(Number)
      : [...new Int32Array(Uint8Array.from(bytes).buffer)];
  return { descr, shape, fortranOrder, values };
}

const basic = ['select', '--embeddings', 'X.npy', '--bins', '10', '--budget', '0.2', '--seed', '5'];

test.each(['sqeuclidean', 'cosine'] as const)('%s: the files say what the library selects', async (gain) => {
  const { status, stdout, stderr } = await coregain([...basic, '--gain', gain, '--out', gain, '--json'], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const expected = await select({ data, rows: ROWS, cols: COLS }, { bins: 10, budget: 0.2, seed: 5, gain });
  const out = join(folder, gain);
  expect(filesIn(out)).toEqual(['bins.npy', 'coreset.jsonl', 'order.npy', 'report.html', 'run.json']);
  expect(await readIntegers(join(out, 'bins.npy'))).toEqual({
    descr: '<i4',
    shape: [ROWS],
    fortranOrder: false,
    values: [...expected.partition.bins],
  });
  expect(await readIntegers(join(out, 'order.npy'))).toEqual({
    descr: '<i8',
    shape: [ROWS],
    fortranOrder: false,
    values: [...expected.partition.order],
  });
  const coreset = jsonLines(join(out, 'coreset.jsonl'));
  expect(coreset.map(({ row }) => row)).toEqual([...expected.rows]);
  expect(coreset.map(({ id }) => id)).toEqual([...expected.rows].map(String));
  for (const { row, bin, gain: value } of coreset) {
    expect(bin).toBe(expected.partition.bins[row as number]);
    expect(value).toBe(expected.partition.gains[expected.partition.order.indexOf(row as number)]);
  }
  const run = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
  expect(run).toMatchObject({
    config: { embeddings: join(folder, 'X.npy'), bins: 10, budget: 0.2, gain, seed: 5, remainder: 'spread' },
    counts: { rows: ROWS, chosen: 21, bins: 10 },
    inputs: [{ path: 'X.npy', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }],
  });
  expect(run.stages.map(({ name }: { name: string }) => name)).toEqual(['select', 'report']);
  expect(run.peakMemoryBytes).toBeGreaterThan(1e7);
  const result = JSON.parse(stdout);
  expect(result.counts).toEqual(run.counts);
  expect(result.bins.reduce((sum: number, { drawn }: { drawn: number }) => sum + drawn, 0)).toBe(21);
  expect(result.files.run).toBe(join(gain, 'run.json'));
});

test('for people: a bar for each bin and where to look; --quiet: nothing', async () => {
  const shown = await coregain([...basic, '--out', 'shown'], folder);
  expect(shown).toMatchObject({ status: 0, stderr: '' });
  expect(shown.stdout).toMatch(/^21 of 103 rows \(20\.4%\) from 10 bins\n/);
  expect(shown.stdout.match(/^ {2}bin \d+ +█+░+ +\d+ of 1[01]$/gm)).toHaveLength(10);
  expect(shown.stdout).toContain('shown/report.html');
  expect(await coregain([...basic, '--out', 'shown', '--quiet'], folder)).toMatchObject({
    status: 0,
    stdout: '',
    stderr: '',
  });
});

test('the result of other options is not replaced without --force; that of the same ones is', async () => {
  expect((await coregain([...basic, '--out', 'taken'], folder)).status).toBe(0);
  const before = readFileSync(join(folder, 'taken', 'coreset.jsonl'), 'utf8');
  const other = ['select', '--embeddings', 'X.npy', '--bins', '3', '--budget', '5', '--out', 'taken'];
  const refused = await coregain(other, folder);
  expect(refused).toMatchObject({ status: 2, stdout: '' });
  expect(refused.stderr).toMatch(/^coregain: taken holds the result of another configuration\..*--force/);
  expect(readFileSync(join(folder, 'taken', 'coreset.jsonl'), 'utf8')).toBe(before);
  expect((await coregain([...basic, '--out', 'taken', '--threads', '1'], folder)).status).toBe(0);
  expect(readFileSync(join(folder, 'taken', 'coreset.jsonl'), 'utf8')).toBe(before);
  expect((await coregain([...other, '--force', '--no-report'], folder)).status).toBe(0);
  expect(jsonLines(join(folder, 'taken', 'coreset.jsonl'))).toHaveLength(5);
});

test('ids name rows: include and exclude, as a list or a file', async () => {
  const samples = Array.from({ length: ROWS }, (_, row) => ({ id: `s-${row}`, paths: { rgb: `rgb/${row}.png` } }));
  writeFileSync(join(folder, 'samples.jsonl'), samples.map((sample) => `${JSON.stringify(sample)}\n`).join(''));
  writeFileSync(join(folder, 'bad.txt'), '# broken pictures\ns-1\n\ns-2\r\n');
  const args = [
    'select',
    '--embeddings',
    'X.npy',
    '--samples',
    'samples.jsonl',
    '--bins',
    '2',
    '--budget',
    '100',
    '--no-report',
  ];
  expect(
    await coregain([...args, '--include', 's-7,s-8', '--exclude', 'bad.txt', '--out', 'ids'], folder),
  ).toMatchObject({ status: 0, stderr: '' });
  const chosen = jsonLines(join(folder, 'ids', 'coreset.jsonl'));
  const ids = chosen.map(({ id }) => id);
  expect(chosen.find(({ id }) => id === 's-8')).toMatchObject({ row: 8, paths: { rgb: 'rgb/8.png' } });
  expect(ids).toEqual(expect.arrayContaining(['s-7', 's-8']));
  expect(ids).not.toContain('s-1');
  expect(ids).not.toContain('s-2');
  const unknown = await coregain([...args, '--include', 's-9999', '--out', 'ids2'], folder);
  expect(unknown).toMatchObject({ status: 2 });
  expect(unknown.stderr).toMatch(/`include` has the id "s-9999", which no row has/);
});

test.each([
  ['budget of more rows than there are', ['--budget', '104'], 2, /`budget` must be .* in 1\.\.103, but it is 104/],
  ['more bins than rows', ['--bins', '104'], 2, /`bins` must be an integer in 1\.\.103, but it is 104/],
  ['a row that does not exist', ['--include', '103'], 2, /`include` has the id "103", which no row has/],
  ['--data without --samples', ['--data', '.'], 2, /`--data` needs `--samples` or `--id-column`/],
])('%s: nothing is written', async (_, flags, code, message) => {
  const { status, stdout, stderr } = await coregain([...basic, ...flags, '--out', 'nothing'], folder);
  expect({ status, stdout }).toEqual({ status: code, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(existsSync(join(folder, 'nothing'))).toBe(false);
});

test.each([
  ['missing', () => {}, /missing\.npy does not exist/],
  [
    'truncated',
    async (path: string) => {
      await writeNpy(path, { data, shape: [ROWS, COLS] });
      truncateSync(path, 1000);
    },
    /truncated\.npy is truncated: its header promises \d+ bytes, but it has 1000/,
  ],
  [
    'nan',
    (path: string) => {
      const broken = data.slice();
      broken[11 * COLS + 3] = Number.NaN;
      return writeNpy(path, { data: broken, shape: [ROWS, COLS] });
    },
    /nan\.npy has NaN in row 11, column 3/,
  ],
  ['text', (path: string) => writeFileSync(path, 'a,b\n1,2\n'), /text\.npy is not an \.npy file/],
  ['folder', (path: string) => mkdirSync(path), /folder\.npy is not a file/],
])('%s embeddings: 1, one sentence that names them, nothing written', async (name, make, message) => {
  await make(join(folder, `${name}.npy`));
  const { status, stdout, stderr } = await coregain(['select', '--embeddings', `${name}.npy`, '--out', 'none'], folder);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr).toMatch(/^coregain: .*\n$/);
  expect(existsSync(join(folder, 'none'))).toBe(false);
});
