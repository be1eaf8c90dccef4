import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { embed, openDataset, openEncoder, readEmbeddings, writeNpy } from 'coregain';
import { beforeAll, expect, test } from 'vitest';
import { consistency, redundancy } from '#lib/diagnose/diagnose.js';
import { stream } from '#lib/select/random.js';
import { coregain, filesIn, scratchFolder } from './coregain.js';

const folder = scratchFolder();

/** 30 clips of 4 frames in 5 features, seen by two modalities that turn the features round. */
beforeAll(async () => {
  const words = stream(1, 0);
  const uniform = () => words() / 2 ** 32;
  const clips = Array.from({ length: 30 * 5 }, uniform);
  const rows = Array.from({ length: 120 * 5 }, (_, i) => clips[Math.floor(i / 20) * 5 + (i % 5)]! + 0.001 * uniform());
  await writeNpy(join(folder, 'rgb.npy'), { data: Float32Array.from(rows), shape: [120, 5] });
  const other = rows.map((_, i) => rows[i - (i % 5) + ((i + 1) % 5)]!);
  await writeNpy(join(folder, 'semseg.npy'), { data: Float32Array.from(other), shape: [120, 5] });
  await writeNpy(join(folder, 'short.npy'), { data: Float32Array.from(other.slice(0, 500)), shape: [100, 5] });
});

test('says what to expect, and how far the modalities agree', async () => {
  const { status, stdout, stderr } = await coregain(
    ['diagnose', '--embeddings', 'rgb.npy', '--other', 'semseg.npy', '--out', 'diagnose.json', '--threads', '1'],
    folder,
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  // Some of the 30 clips are neighbours.
  expect(stdout).toMatch(/^120 rows, 2\d effective: selection can help \(an expectation, not a verdict\)\n/);
  expect(stdout).toMatch(/linear CKA 1 \(by chance 0\.0\d+\)/);
  const written = JSON.parse(readFileSync(join(folder, 'diagnose.json'), 'utf8'));
  expect(written.redundancy).toMatchObject({ rows: 120, expectation: 'selection can help' });
  expect(written.consistency.distanceCorrelation).toBeCloseTo(1, 4);
  expect(written.consistency.procrustes.median).toBeGreaterThan(0.99);
});

test('--json is the whole result; without --other nothing is said of agreement', async () => {
  const { status, stdout } = await coregain(['diagnose', '--embeddings', 'rgb.npy', '--json'], folder);
  expect(status).toBe(0);
  const found = JSON.parse(stdout);
  expect(Object.keys(found)).toEqual(['redundancy', 'notes']);
  expect(found.redundancy.coverageOverRandom).toBeLessThan(1);
});

test('modalities of other samples are refused, and nothing is written', async () => {
  const before = filesIn(folder);
  const args = ['diagnose', '--embeddings', 'rgb.npy', '--other', 'short.npy', '--out', 'none.json'];
  const { status, stdout, stderr } = await coregain(args, folder);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toBe(
    'coregain: The modalities have 120 and 100 rows. Give both the same samples in the same order.\n',
  );
  expect(filesIn(folder)).toEqual(before);
});

test('--data: a data set is embedded, its redundancy and the agreement of its modalities come at once, and again from the cache', async () => {
  const made = await coregain(['generate', '--out', 'scenes', '--scenes', '40', '--size', '64'], folder);
  expect(made.status).toBe(0);
  const args = ['diagnose', '--data', 'scenes', '--split', 'all', '--cache', 'cache', '--device', 'cpu'];
  const first = await coregain([...args, '--json', '--out', 'set.json'], folder);
  expect({ status: first.status, stderr: first.stderr }).toEqual({ status: 0, stderr: '' });
  const found = JSON.parse(first.stdout);
  expect(found).toMatchObject({ split: 'all', provider: 'cpu', redundancy: { rows: 40 }, consistency: { rows: 40 } });
  expect(JSON.parse(readFileSync(join(folder, 'set.json'), 'utf8'))).toEqual(found);
  expect(found.encoded).toBeGreaterThan(30);

  // By hand: the mean tokens of both, cut in two.
  const [dataset, encoder] = [await openDataset(join(folder, 'scenes')), await openEncoder({ device: 'cpu' })];
  const aggregation = 'concat-modalities';
  const { path } = await embed(dataset, encoder, { aggregation, out: join(folder, 'by-hand') });
  await encoder.close();
  const both = await readEmbeddings(path);
  const half = both.cols / 2;
  const [rgb, semseg] = [0, half].map((from) => ({
    data: Float32Array.from(
      { length: 40 * half },
      (_, i) => both.data[Math.floor(i / half) * 2 * half + from + (i % half)]!,
    ),
    rows: 40,
    cols: half,
  }));
  expect(found.redundancy).toEqual(await redundancy(both));
  expect(found.consistency).toEqual(await consistency(rgb!, semseg!));

  const again = await coregain([...args, '--aggregation', 'mean'], folder);
  expect({ status: again.status, stderr: again.stderr }).toEqual({ status: 0, stderr: '' });
  const once = await coregain([...args, '--json'], folder);
  expect(JSON.parse(once.stdout)).toEqual({ ...found, encoded: 0 });
  expect(filesIn(join(folder, 'cache')).filter((name) => name.startsWith('diagnose-'))).toEqual([]);
  // Agreement is that of the same tokens, whatever is looked at for redundancy.
  const agreement = (text: string) => text.slice(text.indexOf('agreement of the modalities'));
  expect(agreement(again.stdout).split('\n').slice(0, 3)).toEqual(
    agreement((await coregain(args, folder)).stdout)
      .split('\n')
      .slice(0, 3),
  );

  const alone = await coregain([...args, '--modalities', 'rgb', '--json'], folder);
  expect(JSON.parse(alone.stdout)).not.toHaveProperty('consistency');
});

test.each([
  [[], /`diagnose` needs `--data` or `--embeddings`/],
  [['--data', 'scenes', '--embeddings', 'rgb.npy'], /`--data` and `--embeddings` exclude each other/],
  [['--data', 'scenes', '--other', 'rgb.npy'], /`--other` goes with `--embeddings`/],
  [['--embeddings', 'rgb.npy', '--preset', 'tiny'], /`--preset` goes with `--data`/],
  [['--other', 'rgb.npy'], /`diagnose` needs `--data` or `--embeddings`/],
])('flags %j: a usage error', async (flags, message) => {
  const { status, stdout, stderr } = await coregain(['diagnose', ...flags], folder);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
