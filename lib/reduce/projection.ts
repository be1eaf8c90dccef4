/** A picture of embeddings: their two principal components, good enough to look at, for any N and d. */
import type { EmbeddingMatrix } from '../matrix.js';

/** Rows and values that the directions are found from; all rows are projected. */
const MAX_SAMPLE_ROWS = 4096;
const MAX_SAMPLE_VALUES = 1 << 26;
const ROUNDS = 30;
/** Values touched between two chances for the event loop: under a millisecond. */
const SLICE_VALUES = 1 << 17;

/**
 * Projects every row onto the two leading principal components of an evenly spaced sample of rows, found by orthogonal
 * iteration from a fixed start: the same matrix gives the same picture. Not blocking. For numbers to compute with use
 * `reduce`; where the second and third variance are nearly equal the directions have not fully converged.
 * @returns float32 [N, 2], centred, row-major. A column is zero where there is no variance left.
 */
export async function project2d(
  matrix: EmbeddingMatrix,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Float32Array> {
  const { data, rows, cols } = matrix;
  const out = new Float32Array(rows * 2);
  if (rows < 2) return out;
  const sampled = Math.max(2, Math.min(rows, MAX_SAMPLE_ROWS, Math.floor(MAX_SAMPLE_VALUES / cols)));
  const sample = Array.from({ length: sampled }, (_, i) => Math.floor((i * rows) / sampled));

  let touched = 0;
  const pause = async () => {
    touched += cols;
    if (touched < SLICE_VALUES) return;
    touched = 0;
    options.signal?.throwIfAborted();
    await new Promise(setImmediate);
  };

  const mean = new Float64Array(cols);
  for (const row of sample) {
    for (let j = 0, o = row * cols; j < cols; j++, o++) mean[j]! += data[o]! / sampled;
    await pause();
  }
  // A fixed start that no data set is likely to be orthogonal to.
  let u = Float64Array.from({ length: cols }, (_, j) => Math.sin(12.9898 * (j + 1)));
  let v = Float64Array.from({ length: cols }, (_, j) => Math.cos(78.233 * (j + 1)));
  orthonormalise(u, v);
  for (let round = 0; round < ROUNDS; round++) {
    const nextU = new Float64Array(cols);
    const nextV = new Float64Array(cols);
    for (const row of sample) {
      const [a, b] = coordinates(data, row * cols, mean, u, v);
      for (let j = 0, o = row * cols; j < cols; j++, o++) {
        const x = data[o]! - mean[j]!;
        nextU[j]! += a * x;
        nextV[j]! += b * x;
      }
      await pause();
    }
    orthonormalise(nextU, nextV);
    u = nextU;
    v = nextV;
  }
  fixSign(u);
  fixSign(v);
  for (let row = 0; row < rows; row++) {
    out.set(coordinates(data, row * cols, mean, u, v), row * 2);
    await pause();
  }
  return out;
}

function coordinates(
  data: Float32Array | Float64Array,
  offset: number,
  mean: Float64Array,
  u: Float64Array,
  v: Float64Array,
): [number, number] {
  let a = 0;
  let b = 0;
  for (let j = 0; j < mean.length; j++) {
    const x = data[offset + j]! - mean[j]!;
    a += x * u[j]!;
    b += x * v[j]!;
  }
  return [a, b];
}

/** Gram-Schmidt, in place. What is only rounding after the first direction is taken out becomes zero. */
function orthonormalise(u: Float64Array, v: Float64Array): void {
  normalise(u, 0);
  const before = Math.sqrt(dot(v, v));
  // Twice is enough for orthogonality to the last bit.
  for (let pass = 0; pass < 2; pass++) {
    const along = dot(u, v);
    for (let j = 0; j < v.length; j++) v[j]! -= along * u[j]!;
  }
  normalise(v, before * 1e-12);
}

function normalise(x: Float64Array, threshold: number): void {
  const length = Math.sqrt(dot(x, x));
  const scale = length > threshold ? 1 / length : 0;
  for (let j = 0; j < x.length; j++) x[j]! *= scale;
}

function dot(x: Float64Array, y: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < x.length; j++) sum += x[j]! * y[j]!;
  return sum;
}

/** The entry of largest magnitude is made positive. */
function fixSign(x: Float64Array): void {
  let largest = 0;
  for (const value of x) if (Math.abs(value) > Math.abs(largest)) largest = value;
  if (largest < 0) for (let j = 0; j < x.length; j++) x[j] = -x[j]!;
}
