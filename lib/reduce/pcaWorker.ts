/** The thread in which `pca` computes. See pca.ts for what goes in and out. */
import { parentPort, workerData } from 'node:worker_threads';
import { PCA } from 'ml-pca';
import { DataError } from '../errors.js';
import { checkFinite } from '../formats/finite.js';
import { sharedFloats } from '../formats/npy.js';
import { openEmbeddings, readEmbeddings } from '../formats/open.js';
import { type Embeddings, onDisk, sourceOf } from '../formats/source.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { LinearModel, PcaMessage, PcaTask } from './pca.js';

type Floats = Float32Array | Float64Array;

/** Values per block: 8 MB as float64, so that a block and its transpose stay near the processor. */
const BLOCK_VALUES = 1 << 20;
/** Points (or features) per accumulation of the symmetric matrix. */
const PANEL = 256;

function send(message: PcaMessage): void {
  parentPort!.postMessage(message);
}

let lastReport = 0;
function report(done: number): void {
  if (performance.now() - lastReport < 100) return;
  lastReport = performance.now();
  send({ kind: 'progress', done });
}

async function fitModel(input: Embeddings, dims: number): Promise<LinearModel> {
  const { mean, rows, cols } = await meanOf(input);
  return rows > cols ? fitByCovariance(input, mean, rows, dims) : fitByGram(input, mean, dims);
}

/** Eigenvectors of the covariance C = Xc^T Xc / (N - 1) are the components. */
async function fitByCovariance(
  input: Embeddings,
  mean: Float64Array,
  rows: number,
  dims: number,
): Promise<LinearModel> {
  const cols = mean.length;
  const scatter = new Float64Array(cols * cols);
  await eachBlock(input, PANEL, (block, first, count) => {
    const transposed = new Float64Array(cols * count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < cols; j++) transposed[j * count + i] = block[i * cols + j]! - mean[j]!;
    }
    addOuter(scatter, transposed, cols, count);
    report(((first + count) / rows) * 0.9);
  });
  const { variance, vectors, rank, totalVariance } = eigen(scatter, cols, rows, input);
  const outputs = Math.min(dims, rank);
  const components = sharedFloats('float64', outputs * cols, 'The components') as Float64Array;
  for (let k = 0; k < outputs; k++) {
    for (let j = 0; j < cols; j++) components[k * cols + j] = vectors.get(j, k);
  }
  return model(mean, components, outputs, variance, totalVariance, rank);
}

/** For N <= d: if v is an eigenvector of the Gram matrix Xc Xc^T, then Xc^T v, normalised, is the component. */
async function fitByGram(input: Embeddings, mean: Float64Array, dims: number): Promise<LinearModel> {
  const { data, rows, cols } = onDisk(input) ? await readEmbeddings(input) : input;
  const gram = new Float64Array(rows * rows);
  for (let from = 0; from < cols; from += PANEL) {
    const width = Math.min(PANEL, cols - from);
    const panel = new Float64Array(rows * width);
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < width; j++) panel[i * width + j] = data[i * cols + from + j]! - mean[from + j]!;
    }
    addOuter(gram, panel, rows, width);
    report(((from + width) / cols) * 0.8);
  }
  const { variance, vectors, rank, totalVariance } = eigen(gram, rows, rows, input);
  const outputs = Math.min(dims, rank);
  const components = sharedFloats('float64', outputs * cols, 'The components') as Float64Array;
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < outputs; k++) {
      const weight = vectors.get(i, k);
      const component = components.subarray(k * cols, (k + 1) * cols);
      for (let j = 0; j < cols; j++) component[j]! += weight * (data[i * cols + j]! - mean[j]!);
    }
    report(0.8 + ((i + 1) / rows) * 0.2);
  }
  return model(mean, components, outputs, variance, totalVariance, rank);
}

/** Normalises each component and gives it the sign that makes its largest entry positive (the first of equals). */
function model(
  mean: Float64Array,
  components: Float64Array,
  outputs: number,
  variances: readonly number[],
  totalVariance: number,
  rank: number,
): LinearModel {
  const inputs = mean.length;
  for (let k = 0; k < outputs; k++) {
    const component = components.subarray(k * inputs, (k + 1) * inputs);
    let squares = 0;
    let largest = 0;
    for (const value of component) {
      squares += value * value;
      if (Math.abs(value) > Math.abs(largest)) largest = value;
    }
    const scale = Math.sign(largest) / Math.sqrt(squares);
    for (let j = 0; j < inputs; j++) component[j]! *= scale;
  }
  const variance = sharedFloats('float64', outputs, 'The variances') as Float64Array;
  variance.set(variances.slice(0, outputs));
  return { inputs, outputs, mean, components, variance, totalVariance, rank };
}

/** Eigenvalues, descending, as variances; `scatter` is symmetric and has its lower triangle filled in. */
function eigen(scatter: Float64Array, side: number, rows: number, input: Embeddings) {
  let trace = 0;
  for (let i = 0; i < side; i++) trace += scatter[i * side + i]!;
  if (!Number.isFinite(trace)) {
    throw new DataError(
      'ERR_PCA_OVERFLOW',
      `${sourceOf(input)} has values whose squares overflow. Scale it down first.`,
    );
  }
  if (trace === 0) {
    throw new DataError('ERR_PCA_NO_VARIANCE', `All rows of ${sourceOf(input)} are equal: there is nothing to reduce.`);
  }
  const matrix = Array.from({ length: side }, (_, i) =>
    Array.from({ length: side }, (_, j) => scatter[i >= j ? i * side + j : j * side + i]! / (rows - 1)),
  );
  const result = new PCA(matrix, { isCovarianceMatrix: true });
  const variance = result.getEigenvalues();
  // Below this an eigenvalue is rounding of the matrix, and its vector is noise.
  const noise = variance[0]! * Math.max(side, rows) * Number.EPSILON;
  const rank = Math.min(variance.filter((value) => value > noise).length, rows - 1);
  return { variance, vectors: result.getEigenvectors(), rank, totalVariance: trace / (rows - 1) };
}

/** S += P P^T for the lower triangle; P is [n, m] row-major. Two rows by four at a time keep the sums in registers. */
function addOuter(s: Float64Array, p: Float64Array, n: number, m: number): void {
  for (let i = 0; i < n; i += 2) {
    const a0 = i * m;
    const a1 = Math.min(i + 1, n - 1) * m;
    for (let j = 0; j <= Math.min(i + 1, n - 1); j += 4) {
      const b0 = j * m;
      const b1 = Math.min(j + 1, n - 1) * m;
      const b2 = Math.min(j + 2, n - 1) * m;
      const b3 = Math.min(j + 3, n - 1) * m;
      let s00 = 0;
      let s01 = 0;
      let s02 = 0;
      let s03 = 0;
      let s10 = 0;
      let s11 = 0;
      let s12 = 0;
      let s13 = 0;
      for (let k = 0; k < m; k++) {
        const x = p[a0 + k]!;
        const y = p[a1 + k]!;
        const u0 = p[b0 + k]!;
        const u1 = p[b1 + k]!;
        const u2 = p[b2 + k]!;
        const u3 = p[b3 + k]!;
        s00 += x * u0;
        s01 += x * u1;
        s02 += x * u2;
        s03 += x * u3;
        s10 += y * u0;
        s11 += y * u1;
        s12 += y * u2;
        s13 += y * u3;
      }
      const sums = [s00, s01, s02, s03, s10, s11, s12, s13];
      for (let q = 0; q < 8; q++) {
        const row = i + (q >> 2);
        const col = j + (q & 3);
        if (row < n && col <= row) s[row * n + col]! += sums[q]!;
      }
    }
  }
}

async function meanOf(input: Embeddings): Promise<{ mean: Float64Array; rows: number; cols: number }> {
  let mean: Float64Array | undefined;
  let rows = 0;
  await eachBlock(input, Number.POSITIVE_INFINITY, (block, first, count, cols) => {
    checkFinite(block, cols, sourceOf(input), first);
    mean ??= sharedFloats('float64', cols, 'The mean') as Float64Array;
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < cols; j++) mean[j]! += block[i * cols + j]!;
    }
    rows += count;
  });
  for (let j = 0; j < mean!.length; j++) mean![j]! /= rows;
  return { mean: mean!, rows, cols: mean!.length };
}

async function transform(input: Embeddings, { mean, components, inputs, outputs }: LinearModel, out: Floats) {
  const centred = new Float64Array(inputs);
  await eachBlock(input, Number.POSITIVE_INFINITY, (block, first, count) => {
    checkFinite(block, inputs, sourceOf(input), first);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < inputs; j++) centred[j] = block[i * inputs + j]! - mean[j]!;
      for (let k = 0; k < outputs; k++) {
        let sum = 0;
        for (let j = 0, c = k * inputs; j < inputs; j++, c++) sum += centred[j]! * components[c]!;
        out[(first + i) * outputs + k] = sum;
      }
      report((((first + i) * outputs) / out.length) * 0.99);
    }
  });
}

/** Calls `visit` with consecutive blocks of at most `maxRows` rows and about `BLOCK_VALUES` values. */
async function eachBlock(
  input: Embeddings,
  maxRows: number,
  visit: (block: Floats, first: number, count: number, cols: number) => void,
): Promise<void> {
  const source = onDisk(input) ? await openEmbeddings(input) : inMemory(input);
  try {
    const { rows, cols } = source;
    const step = Math.max(1, Math.min(maxRows, Math.floor(BLOCK_VALUES / cols)));
    for (let first = 0; first < rows; first += step) {
      const count = Math.min(step, rows - first);
      visit(await source.read(first, count), first, count, cols);
    }
  } finally {
    await source.close();
  }
}

function inMemory({ data, rows, cols }: EmbeddingMatrix) {
  return {
    rows,
    cols,
    read: async (first: number, count: number): Promise<Floats> => data.subarray(first * cols, (first + count) * cols),
    close: async () => {},
  };
}

const task = workerData as PcaTask;
try {
  if (task.kind === 'fit') {
    send({ kind: 'done', model: await fitModel(task.input, task.dims) });
  } else {
    await transform(task.input, task.model, task.out);
    send({ kind: 'done' });
  }
} catch (error) {
  const { name, message, code } = error as Error & { code?: string };
  send({ kind: 'failed', name, message, code: code ?? 'ERR_PCA_FAILED' });
}
