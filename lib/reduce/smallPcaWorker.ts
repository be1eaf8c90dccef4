/** The thread of smallPca.ts, which says what goes in and out. */
import { parentPort, workerData } from 'node:worker_threads';
import { PCA } from 'ml-pca';
import { DataError } from '../errors.js';
import { checkFinite } from '../formats/finite.js';
import { sharedFloats } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { LinearModel } from './linearModel.js';
import type { PcaMessage, PcaTask } from './smallPca.js';

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

function fitModel(input: EmbeddingMatrix, dims: number): LinearModel {
  const mean = meanOf(input);
  return input.rows > input.cols ? fitByCovariance(input, mean, dims) : fitByGram(input, mean, dims);
}

/** Eigenvectors of the covariance C = Xc^T Xc / (N - 1) are the components. */
function fitByCovariance(input: EmbeddingMatrix, mean: Float64Array, dims: number): LinearModel {
  const { rows, cols } = input;
  const scatter = new Float64Array(cols * cols);
  eachBlock(input, PANEL, (block, first, count) => {
    const transposed = new Float64Array(cols * count);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < cols; j++) transposed[j * count + i] = block[i * cols + j]! - mean[j]!;
    }
    addOuter(scatter, transposed, cols, count);
    report(((first + count) / rows) * 0.9);
  });
  const { variance, vectors, rank, totalVariance } = eigen(scatter, cols, rows);
  const outputs = Math.min(dims, rank);
  const components = sharedFloats('float64', outputs * cols, 'The components') as Float64Array;
  for (let k = 0; k < outputs; k++) {
    for (let j = 0; j < cols; j++) components[k * cols + j] = vectors.get(j, k);
  }
  return model(rows, mean, components, outputs, variance, totalVariance, rank);
}

/** For N <= d: if v is an eigenvector of the Gram matrix Xc Xc^T, then Xc^T v, normalised, is the component. */
function fitByGram(input: EmbeddingMatrix, mean: Float64Array, dims: number): LinearModel {
  const { data, rows, cols } = input;
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
  const { variance, vectors, rank, totalVariance } = eigen(gram, rows, rows);
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
  return model(rows, mean, components, outputs, variance, totalVariance, rank);
}

/** Normalises each component and gives it the sign that makes its largest entry positive (the first of equals). */
function model(
  rows: number,
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
  return { inputs, outputs, rows, mean, components, variance, totalVariance, rank, whiten: false };
}

/** Eigenvalues, descending, as variances; `scatter` is symmetric and has its lower triangle filled in. */
function eigen(scatter: Float64Array, side: number, rows: number) {
  let trace = 0;
  for (let i = 0; i < side; i++) trace += scatter[i * side + i]!;
  if (!Number.isFinite(trace)) {
    throw new DataError('ERR_PCA_OVERFLOW', `${task.source} has values whose squares overflow. Scale it down first.`);
  }
  if (trace === 0) {
    throw new DataError('ERR_PCA_NO_VARIANCE', `All rows of ${task.source} are equal: there is nothing to reduce.`);
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

function meanOf(input: EmbeddingMatrix): Float64Array {
  const { rows, cols } = input;
  const mean = sharedFloats('float64', cols, 'The mean') as Float64Array;
  eachBlock(input, rows, (block, first, count) => {
    checkFinite(block, cols, task.source, first);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < cols; j++) mean[j]! += block[i * cols + j]!;
    }
  });
  for (let j = 0; j < cols; j++) mean[j]! /= rows;
  return mean;
}

function transform(input: EmbeddingMatrix, model: LinearModel, out: Floats): void {
  const { mean, components, variance, inputs, outputs, whiten } = model;
  const centred = new Float64Array(inputs);
  eachBlock(input, input.rows, (block, first, count) => {
    checkFinite(block, inputs, task.source, first);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < inputs; j++) centred[j] = block[i * inputs + j]! - mean[j]!;
      for (let k = 0; k < outputs; k++) {
        let sum = 0;
        for (let j = 0, c = k * inputs; j < inputs; j++, c++) sum += centred[j]! * components[c]!;
        out[(first + i) * outputs + k] = whiten ? sum / Math.sqrt(variance[k]!) : sum;
      }
      report((((first + i) * outputs) / out.length) * 0.99);
    }
  });
}

/** Calls `visit` with consecutive blocks of at most `maxRows` rows and about `BLOCK_VALUES` values. */
function eachBlock(
  { data, rows, cols }: EmbeddingMatrix,
  maxRows: number,
  visit: (block: Floats, first: number, count: number) => void,
): void {
  const step = Math.max(1, Math.min(maxRows, Math.floor(BLOCK_VALUES / cols)));
  for (let first = 0; first < rows; first += step) {
    const count = Math.min(step, rows - first);
    visit(data.subarray(first * cols, (first + count) * cols), first, count);
  }
}

const task = workerData as PcaTask;
try {
  if (task.kind === 'fit') {
    send({ kind: 'done', model: fitModel(task.input, task.dims) });
  } else {
    transform(task.input, task.model, task.out);
    send({ kind: 'done' });
  }
} catch (error) {
  const { name, message, code } = error as Error & { code?: string };
  send({ kind: 'failed', name, message, code: code ?? 'ERR_PCA_FAILED' });
}
