import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { AGGREGATIONS } from '#lib/embed/aggregate.js';
import { embed } from '#lib/embed/embed.js';
import { readEmbeddings } from '#lib/formats/open.js';
import { fakeDataset, fakeEncoder } from './fakes.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-on-cuda-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function embedded(provider: 'cpu' | 'cuda', aggregation: (typeof AGGREGATIONS)[number]) {
  const encoder = fakeEncoder({}, { provider });
  const out = join(folder, `${provider}-${aggregation}`);
  const { path } = await embed(fakeDataset(7), encoder, { aggregation, batch: 3, out });
  return { encoder, values: (await readEmbeddings(path)).data as Float32Array, record: join(out, 'embed.json') };
}

test.each(AGGREGATIONS)('an encoder on CUDA sums tokens itself, to the same embeddings: %s', async (aggregation) => {
  const onCpu = await embedded('cpu', aggregation);
  const onCuda = await embedded('cuda', aggregation);
  expect(onCpu.encoder.pooled).toBe(0);
  expect(onCuda.encoder.pooled).toBe(aggregation === 'concat' ? 0 : 3);
  expect(onCuda.values).toHaveLength(onCpu.values.length);
  onCuda.values.forEach((value, i) => {
    expect(Math.abs(value / onCpu.values[i]! - 1)).toBeLessThan(1e-6);
  });
});

test('the record says where the encoder ran and whether it rounds to TF32', async () => {
  const { encoder } = JSON.parse(readFileSync((await embedded('cuda', 'mean')).record, 'utf8'));
  expect(encoder).toMatchObject({ provider: 'cuda', tf32: false });
});
