import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { coregain, filesIn, scratchFolder } from './coregain.js';

const folder = scratchFolder();

test('flags that `bench` has too belong to `bench kernels`: a table and kernels.json', async () => {
  const flags = ['--rows', '60', '--dims', '8', '--queries', '10', '--k', '3', '--repeats', '2', '--threads', '1'];
  const more = ['--seed', '4', '--precisions', 'fp32,int8', '--devices', 'cpu', '--no-baselines', '--out', 'all'];
  const { status, stdout, stderr } = await coregain(['bench', 'kernels', ...flags, ...more], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(filesIn(join(folder, 'all'))).toEqual(['kernels.json']);
  const json = JSON.parse(readFileSync(join(folder, 'all/kernels.json'), 'utf8'));
  expect(json.settings).toEqual({ rows: 60, dims: 8, queries: 10, k: 3, repeats: 2, threads: 1, seed: 4 });
  expect(json.results).toHaveLength(2 * 5);
  expect(stdout).toMatch(/kernel +who +precision +device +median/);
  expect(stdout).toContain('all/kernels.json');
}, 60_000);

test('a precision that is not there', async () => {
  const { status, stderr } = await coregain(['bench', 'kernels', '--precisions', 'fp8'], folder);
  expect(status).toBe(2);
  expect(stderr).toContain('It must be a list of fp32, tf32, bf16, int8.');
});
