/** Mini-batches of cached tokens: read from disk straight into the tensors that the graph gets. */
import type { TokenStore } from './tokenStore.js';
import type { Batch } from './types.js';

/** Samples that a model is trained or validated on. */
export interface TrainingData {
  readonly samples: number;
  /** The mini-batch of these places, 0..samples - 1, in pass `epoch` over the data. Its buffers belong to the caller. */
  batch(places: Int32Array, epoch: number): Promise<Batch>;
}

/**
 * The records `rows` of a store. Pass e takes view e mod views. `labels` are the classes of all rows of the store, where
 * the model is a classifier.
 */
export function tokenData(store: TokenStore, rows: Int32Array, labels?: Int32Array): TrainingData {
  return {
    samples: rows.length,
    async batch(places, epoch) {
      const view = epoch % store.views;
      const batch: Record<string, Batch[string]> = {};
      await Promise.all(
        store.fields.map(async (field) => {
          const data = new Float32Array(places.length * field.length);
          batch[field.name] = { data, dims: [places.length, ...field.dims] };
          await Promise.all(
            Array.from(places, (place, i) => store.read(rows[place]!, view, field, data, i * field.length)),
          );
        }),
      );
      if (labels) {
        batch.label = { data: Int32Array.from(places, (place) => labels[rows[place]!]!), dims: [places.length] };
      }
      return batch;
    },
  };
}
