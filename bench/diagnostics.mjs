/**
 * Redundancy of the built-in scenes of both regimes, as docs/diagnostics.md quotes it: embeddings of the package's tiny encoder
 * (mean token of each modality), five draws of 960 training scenes at 128 px.
 *
 *   node bench/diagnostics.mjs [--out bench/results/diagnostics-<date>.json]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { embed, generateScenes, openDataset, openEncoder, readEmbeddings, redundancy } from 'coregain';
import { optionsOf, save } from './script.mjs';

const { out } = optionsOf('diagnostics', {});
const results = [];
for (const regime of ['uniform', 'logs']) {
  for (let seed = 0; seed < 5; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'coregain-diagnostics-'));
    await generateScenes(folder, { scenes: 1200, size: 128, regime, seed, valFraction: 0.2 });
    const dataset = await openDataset(folder, { split: 'train' });
    const encoder = await openEncoder({ device: 'cpu' });
    const { path } = await embed(dataset, encoder, {
      aggregation: 'concat-modalities',
      layer: encoder.config.depth - 1,
      batch: 16,
      cache: join(folder, 'cache'),
      out: join(folder, 'embedded'),
    });
    results.push({ regime, seed, ...(await redundancy(await readEmbeddings(path))) });
    console.log(JSON.stringify(results.at(-1)));
    await encoder.close();
    await dataset.close();
    rmSync(folder, { recursive: true });
  }
}
save(out, { what: 'Redundancy of rendered scenes', results });
