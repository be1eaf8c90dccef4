/** Mini-batches of images, decoded and augmented as they are needed: for training end to end. */
import type { AugmentedSource } from './images.js';
import type { TrainingData } from './tokenData.js';
import type { Batch } from './types.js';

/**
 * The samples `rows` of a source. Pass 0 sees them as they are where there is one view, else pass e sees view e + 1, so
 * that every pass is augmented anew. `labels` are the classes of all samples of the source.
 */
export function imageData(source: AugmentedSource, rows: Int32Array, labels?: Int32Array): TrainingData {
  return {
    samples: rows.length,
    async batch(places, epoch) {
      const view = source.views === 1 ? 0 : epoch + 1;
      const samples = await Promise.all(Array.from(places, (place) => source.read(rows[place]!, view)));
      const batch: Record<string, Batch[string]> = {};
      const first = samples[0]!;
      const image = first.rgb ? Math.sqrt(first.rgb.length / 3) : Math.sqrt(first.depth?.length ?? 0);
      if (first.rgb)
        batch.rgb = stack(
          samples.map(({ rgb }) => rgb!),
          [3, image, image],
        );
      if (first.semseg) {
        const side = Math.sqrt(first.semseg.length);
        batch.semseg = stack(
          samples.map(({ semseg }) => semseg!),
          [side, side],
        );
      }
      if (first.depth) {
        batch.depth = stack(
          samples.map(({ depth }) => depth!),
          [1, image, image],
        );
        batch.valid = stack(
          samples.map(({ valid }) => valid!),
          [1, image, image],
        );
      }
      if (labels) {
        batch.label = { data: Int32Array.from(places, (place) => labels[rows[place]!]!), dims: [places.length] };
      }
      return batch;
    },
  };
}

function stack<T extends Float32Array | Int32Array>(parts: readonly T[], dims: readonly number[]): Batch[string] {
  const size = parts[0]!.length;
  const data = new (parts[0]!.constructor as new (length: number) => T)(parts.length * size);
  parts.forEach((part, i) => {
    data.set(part, i * size);
  });
  return { data, dims: [parts.length, ...dims] };
}
