import type { Dataset, Modality, Raster } from '#lib/data/dataset.js';
import type { ReportInput } from '#lib/report/types.js';
import type { Partition } from '#lib/select/types.js';

/** Rows 0..n-1 cut into bins in their own order, the rest in none; every bin's gains rise by one a step. */
export function partition(rowCount: number, binCount: number, dropped = 0): Partition {
  const kept = rowCount - dropped;
  const binOf = (row: number) => (row < kept ? Math.floor((row * binCount) / kept) : -1);
  return {
    bins: Int32Array.from({ length: rowCount }, (_, row) => binOf(row)),
    order: Int32Array.from({ length: kept }, (_, i) => i),
    gains: Float64Array.from({ length: kept }, (_, i) => -1000 - 50 * binOf(i) + i),
    binCount,
    engine: {
      name: 'lazy',
      why: 'asked for',
      device: 'cpu',
      simd: 'avx2',
      threads: 2,
      seconds: 0.5,
      dotProducts: 12_345,
      float64Decisions: 6,
      exactDecisions: 0,
    },
  };
}

/** A report of `rowCount` points on a circle, every `step`-th chosen. */
export function input(
  rowCount: number,
  binCount: number,
  { step = 5, dropped = 0 }: { step?: number; dropped?: number } = {},
): ReportInput {
  const rows = Array.from({ length: Math.ceil((rowCount - dropped) / step) }, (_, i) => i * step);
  return {
    title: 'a test',
    gain: 'sqeuclidean',
    selection: { partition: partition(rowCount, binCount, dropped), rows: Int32Array.from(rows), seed: 42 },
    projection: Float32Array.from({ length: 2 * rowCount }, (_, i) => (i % 2 ? Math.sin : Math.cos)(i >> 1)),
    run: { config: { bins: binCount }, stages: [{ name: 'select', seconds: 0.5 }] },
  };
}

/** Images in memory: sample i is one flat grey with label i % 10 on its right half. `reads` counts. */
export function dataset(
  count: number,
  {
    width = 200,
    height = 100,
    modalities = ['rgb', 'semseg'] as Modality[],
    idOf = (i: number): string => `s${i}`,
  } = {},
): Dataset & { reads: number; atOnce: number; mostAtOnce: number } {
  const decode = async (index: number, modality: Modality): Promise<Raster> => {
    const channels = modality === 'rgb' ? 3 : 1;
    const data = new Uint8Array(width * height * channels).fill(modality === 'rgb' ? 40 + (index % 200) : 0);
    if (modality === 'semseg') {
      data.forEach((_, i) => {
        if (i % width >= width / 2) data[i] = index % 10;
      });
    }
    return { width, height, channels, data };
  };
  return {
    root: 'memory',
    reads: 0,
    atOnce: 0,
    mostAtOnce: 0,
    samples: Array.from({ length: count }, (_, i) => ({
      id: idOf(i),
      split: 'train',
      paths: {},
      depthScale: Number.NaN,
      metadata: {},
    })),
    modalities,
    async read(index, modality) {
      this.reads++;
      this.mostAtOnce = Math.max(this.mostAtOnce, ++this.atOnce);
      await new Promise(setImmediate);
      this.atOnce--;
      return { bytes: new Uint8Array(), decode: () => decode(index, modality) };
    },
    close: async () => {},
  };
}
