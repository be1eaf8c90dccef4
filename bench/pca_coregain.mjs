/**
 * coregain's part of bench/pca.mjs, in a process of its own:
 *
 *   node bench/pca_coregain.mjs X.npy DIMS SCORES.npy THREADS MEMORY MODEL
 *
 * reads, fits and transforms, writes the scores and prints one line of JSON. MEMORY in bytes, 0 = the default; MODEL 1: the
 * components too.
 */
import { pca, writeNpy } from 'coregain';
import { native } from '#lib/native.js';
import { peakBytes } from './script.mjs';

const [path, dims, out, threads, memory, model] = process.argv.slice(2);
native();
const loaded = peakBytes();
const before = process.cpuUsage();
const start = performance.now();
const options = { dims: Number(dims), threads: Number(threads), model: model === '1' };
const { matrix, summary } = await pca.fitTransform(path, {
  ...options,
  ...(memory !== '0' && { memory: Number(memory) }),
});
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const peak = peakBytes();
await writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
const { method, passes, totalVariance } = summary;
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes: peak,
    // to what `memory` bounds
    addedBytes: peak - loaded,
    method,
    passes,
    totalVariance,
  }),
);
