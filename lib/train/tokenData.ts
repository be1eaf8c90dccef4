/** Mini-batches of cached tokens, from disk. */
import type { TokenStore } from './tokenStore.js';
import type { Batch, TrainingData } from './types.js';

/**
 * The records `rows` of a store. Pass e takes view e mod views. `labels` are the classes of all rows of the store, where
 * the model is a classifier.
 */
export function tokenData(store: TokenStore, rows: Int32Array, labels?: Int32Array): TrainingData {
  return {
    samples: rows.length,
    async batch(places, epoch) {
      const { fields, views } = store;
      const records = await Promise.all(Array.from(places, (place) => store.read(rows[place]!, epoch % views)));
      const batch: Record<string, Batch[string]> = {};
      for (const { name, dims, offset, length } of fields) {
        const data = new Float32Array(places.length * length);
        for (const [i, record] of records.entries()) data.set(record.subarray(offset, offset + length), i * length);
        batch[name] = { data, dims: [places.length, ...dims] };
      }
      if (labels) {
        batch.label = { data: Int32Array.from(places, (place) => labels[rows[place]!]!), dims: [places.length] };
      }
      return batch;
    },
  };
}
