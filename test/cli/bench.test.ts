import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { coregain, filesIn, scratchFolder, start, until } from './coregain.js';

const folder = scratchFolder();
const quick = ['--threads', '1', '--repeats', '1', '--baselines', 'none'];

test('every flag: a table, bench.json and bench.html', async () => {
  const flags = ['--kinds', 'real,sph', '--rows', '120,300', '--dims', '8,16', '--bins', '3', '--gain', 'sqeuclidean'];
  const more = ['--engines', 'auto,sweep', '--limit', '30', '--seed', '4', '--python', 'python3', '--out', 'all'];
  const { status, stdout, stderr } = await coregain(['bench', ...quick, ...flags, ...more], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(filesIn(join(folder, 'all'))).toEqual(['bench.html', 'bench.json']);
  const json = JSON.parse(readFileSync(join(folder, 'all/bench.json'), 'utf8'));
  expect(json.results).toHaveLength(2 * 2 * 2 * 2);
  expect(json.settings).toEqual({ bins: 3, gain: 'sqeuclidean', repeats: 1, limitSeconds: 30, seed: 4 });
  expect(stdout).toContain('real, d = 8');
  expect(stdout).toMatch(/contestant +N +wall +min\.\.max +CPU +vs sweep +dots\/step +peak RSS/);
  expect(stdout).toMatch(/sweep, 1 thread: time N\^/);
  expect(stdout).toContain('all/bench.html');
});

test('the same seed: the same data, hence the same orders', async () => {
  const args = ['bench', ...quick, '--kinds', 'mix', '--rows', '300', '--dims', '8', '--engines', 'sweep', '--json'];
  const [a, b] = [await coregain([...args, '--out', 'a'], folder), await coregain([...args, '--out', 'b'], folder)];
  const hashOf = (text: string) => JSON.parse(text).results[0].runs[0].orderHash;
  expect(hashOf(a.stdout)).toBe(hashOf(b.stdout));
});

test.each([
  [['--rows', '1000,x'], /It must be a list of integers >= 1 like 1000,2000\.\n$/],
  [['--dims', ''], /It must be a list of integers >= 1/],
  [['--threads', '0'], /It must be a list of integers >= 1/],
  [['--kinds', 'real,unreal'], /It must be a list of real, iso, mix, sph\.\n$/],
  [['--engines', 'fast'], /It must be a list of auto, lazy, gram, sweep\.\n$/],
  [['--baselines', 'apricot'], /It must be a list of numpy, paper, none\.\n$/],
  [['--limit', '0'], /It must be a number of seconds > 0\.\n$/],
  [['--repeats', '0'], /It must be an integer >= 1\.\n$/],
  [['--gain', 'l2'], /Allowed choices are sqeuclidean, cosine\.\n$/],
  [['--rows', '5'], /^coregain: `bins` must be an integer in 1\.\.5, but it is 10\.\n$/],
  [
    ['--embeddings', '../X.npy', '--dims', '4'],
    /`--kinds` and `--dims` are for synthetic embeddings.*Leave one of them out\.\n$/,
  ],
  [['--embeddings', '../X.npy', '--rows', '100'], /`rows` must be at most 20, what .*X\.npy has, but it is 100\.\n$/],
])('%j is wrong usage: 2, and nothing is written', async (args, message) => {
  const inner = join(folder, 'empty');
  mkdirSync(inner, { recursive: true });
  await writeNpy(join(folder, 'X.npy'), { data: new Float32Array(60).fill(1), shape: [20, 3] });
  const { status, stdout, stderr } = await coregain(['bench', ...args], inner);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(filesIn(inner)).toEqual([]);
});

test('a file that is not there: 1', async () => {
  const { status, stderr } = await coregain(['bench', '--embeddings', 'none.npy'], folder);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^coregain: .*none\.npy/);
});

test('a value that is not finite is named with file and row before anything is measured: 1', async () => {
  const data = new Float32Array(60).fill(1);
  data[31] = Number.NaN;
  await writeNpy(join(folder, 'nan.npy'), { data, shape: [20, 3] });
  const args = ['bench', ...quick, '--embeddings', 'nan.npy', '--rows', '20', '--engines', 'sweep', '--bins', '2'];
  const { status, stdout, stderr } = await coregain([...args, '--out', 'nan'], folder);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toMatch(/^coregain: .*nan\.npy.*row 10.*\n$/);
  expect(filesIn(folder).some((name) => name.startsWith('nan/'))).toBe(false);
});

/** Running processes with `text` among their arguments; empty where there is no /proc. */
function processesNaming(text: string): string[] {
  if (!existsSync('/proc/self/cmdline')) return [];
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text);
    } catch {
      return false; // it ended meanwhile
    }
  });
}

test.each(['SIGINT', 'SIGTERM'] as const)('%s: nothing is written, and no process is left', async (signal) => {
  const inner = join(folder, signal);
  const scratch = join(folder, `${signal}-tmp`);
  for (const path of [inner, scratch]) mkdirSync(path);
  const args = ['bench', ...quick, '--kinds', 'iso', '--rows', '100000', '--dims', '256', '--engines', 'sweep'];
  const { child, ended } = start(args, inner, { TMPDIR: scratch });
  await until(() => filesIn(scratch).length > 0);
  if (existsSync('/proc/self/cmdline')) await until(() => processesNaming(scratch).length > 0);
  child.kill(signal);
  const { status, stderr } = await ended;
  expect(status).toBe(1);
  expect(stderr).toBe('coregain: interrupted. Nothing was written; run the same command again.\n');
  expect([...filesIn(inner), ...filesIn(scratch)]).toEqual([]);
  expect(processesNaming(scratch)).toEqual([]);
});
