/** How the tokens of one sample become one vector. Section 3 of the paper tries these and finds that it matters little. */
import type { EmbeddingMatrix } from '../matrix.js';
import type { TokenBatch } from '../models/encoder.js';

/**
 * - `concat`: all T tokens, flattened token by token: T * dim features (393 * 768 = 301,824 at base).
 * - `concat-modalities`: the mean token of each modality, one after the other, without global tokens.
 * - `mean`, `sum`: over all T tokens, global tokens included.
 * - `last`: the last token of the sequence (the global token where there is one), as the paper's linear adapter takes it.
 */
export const AGGREGATIONS = ['concat', 'concat-modalities', 'mean', 'sum', 'last'] as const;
export type Aggregation = (typeof AGGREGATIONS)[number];

/** Token positions [start, end) of each modality, in the order of the sequence. */
export type ModalityRanges = readonly (readonly [start: number, end: number])[];

/** Number of features of one aggregated sample. */
export function aggregatedSize(how: Aggregation, tokens: number, dim: number, modalities: number): number {
  if (how === 'concat') return tokens * dim;
  return how === 'concat-modalities' ? modalities * dim : dim;
}

/**
 * Aggregates sample `index` of a batch into a new float32 vector of `aggregatedSize` features. Sums are float64, in
 * token order, rounded once: the result does not depend on the batch around the sample.
 */
export function aggregate(
  how: Aggregation,
  batch: TokenBatch,
  index: number,
  modalities: ModalityRanges,
): Float32Array {
  const { tokens, dim } = batch;
  const data = batch.data.subarray(index * tokens * dim, (index + 1) * tokens * dim);
  switch (how) {
    case 'concat':
      return data.slice();
    case 'last':
      return data.slice((tokens - 1) * dim);
    case 'sum':
      return Float32Array.from(sumTokens(data, dim, 0, tokens));
    case 'mean':
      return Float32Array.from(meanToken(data, dim, 0, tokens));
    case 'concat-modalities': {
      const vector = new Float32Array(modalities.length * dim);
      for (const [m, [start, end]] of modalities.entries()) vector.set(meanToken(data, dim, start, end), m * dim);
      return vector;
    }
  }
}

/**
 * Every aggregation but `concat` as a matrix [R, T]: its product with the tokens of a sample [T, D] is the vector, row by
 * row. For a device that sums in float32; `aggregate` is what it must agree with.
 */
export function aggregationMatrix(
  how: Exclude<Aggregation, 'concat'>,
  tokens: number,
  modalities: ModalityRanges,
): Float32Array {
  if (how === 'last') return new Float32Array(tokens).fill(1, tokens - 1);
  if (how !== 'concat-modalities') return new Float32Array(tokens).fill(how === 'mean' ? 1 / tokens : 1);
  const matrix = new Float32Array(modalities.length * tokens);
  for (const [m, [start, end]] of modalities.entries()) {
    matrix.fill(1 / (end - start), m * tokens + start, m * tokens + end);
  }
  return matrix;
}

/** Takes `concat-modalities` apart: [N, count D] -> the [N, D] of each modality, in their order. */
export function splitModalities({ data, rows, cols }: EmbeddingMatrix, count: number): EmbeddingMatrix[] {
  const width = cols / count;
  return Array.from({ length: count }, (_, modality) => {
    const out = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const first = row * cols + modality * width;
      out.set(data.subarray(first, first + width), row * width);
    }
    return { data: out, rows, cols: width };
  });
}

function sumTokens(data: Float32Array, dim: number, start: number, end: number): Float64Array {
  const sum = new Float64Array(dim);
  for (let t = start; t < end; t++) {
    for (let c = 0; c < dim; c++) sum[c]! += data[t * dim + c]!;
  }
  return sum;
}

function meanToken(data: Float32Array, dim: number, start: number, end: number): Float64Array {
  return sumTokens(data, dim, start, end).map((value) => value / (end - start));
}
