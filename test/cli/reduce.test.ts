import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { readEmbeddings } from '#lib/formats/open.js';
import { reduce } from '#lib/reduce/reduce.js';
import { coregain, scratchFolder } from './coregain.js';

const folder = scratchFolder();
const matrix = { data: Float32Array.from({ length: 40 * 6 }, (_, i) => Math.sin(i * i)), rows: 40, cols: 6 };

beforeAll(() => writeNpy(join(folder, 'X.npy'), { data: matrix.data, shape: [40, 6] }));

const common = ['reduce', '--embeddings', 'X.npy', '--dims', '3', '--out', 'Y.npy', '--json'];

test('--method umap writes what the library gives', async () => {
  const flags = ['--method', 'umap', '--neighbours', '9', '--min-dist', '0.3', '--epochs', '30', '--seed', '4'];
  const { status, stdout, stderr } = await coregain([...common, ...flags], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout)).toMatchObject({ method: 'umap', rows: 40, cols: 3, neighbours: 9, minDist: 0.3, seed: 4 });
  const options = { method: 'umap', dims: 3, neighbours: 9, minDist: 0.3, epochs: 30, seed: 4 } as const;
  expect((await readEmbeddings(join(folder, 'Y.npy'))).data).toEqual((await reduce(matrix, options)).matrix.data);
});

test('--neighbour-search nn-descent is printed with its recall', async () => {
  const flags = ['--method', 'umap', '--neighbour-search', 'nn-descent', '--epochs', '5'];
  expect(JSON.parse((await coregain([...common, ...flags], folder)).stdout)).toMatchObject({
    neighbourSearch: 'nn-descent',
    recall: 1,
  });
  const { stdout } = await coregain([...common.filter((flag) => flag !== '--json'), ...flags], folder);
  expect(stdout).toMatch(/UMAP of 15 neighbours \(NN-descent, recall 1\.000\), 5 epochs/);
});

test('without --method it is PCA', async () => {
  const { stdout } = await coregain(common, folder);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ method: 'pca', cols: 3, rank: 6, device: 'cpu' });
  expect(result.explained).toBeGreaterThan(0.4);
});

test.each([
  [['--epochs', '3'], /`--epochs` is of umap. Add `--method umap`/],
  [['--method', 'umap', '--whiten'], /`--whiten` is of pca/],
  [['--model', 'm.safetensors', '--dims', '3'], /`--dims` is of a fit/],
  [['--memory', 'much'], /500MB/],
  [['--neighbour-search', 'exact'], /`--neighbour-search` is of umap/],
  [['--method', 'umap', '--neighbour-search', 'annoy'], /Allowed choices are auto, exact, nn-descent/],
  [['--min-dist', '0.5'], /`--min-dist` is of umap/],
  [['--method', 'umap', '--min-dist', '2'], /number in 0\.\.1/],
  [['--device', 'gpu'], /It must be auto, cpu, cuda or cuda:N/],
  [['--method', 'tsne'], /Allowed choices are pca, umap/],
])('%j is a wrong usage', async (flags, message) => {
  const { status, stderr } = await coregain([...common, ...flags], folder);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
});

test('as many neighbours as rows: a sentence, not a crash', async () => {
  const { status, stderr } = await coregain([...common, '--method', 'umap', '--neighbours', '40'], folder);
  expect(status).toBeGreaterThan(0);
  expect(stderr).toMatch(/`neighbours` must be an integer in 2\.\.39, but it is 40/);
});
