/**
 * coregain's part of bench/pca.mjs, in a process of its own:
 *
 *   node bench/pca_coregain.mjs X.npy DIMS SCORES.npy THREADS MEMORY MODEL
 *
 * reads, fits and transforms, writes the scores and prints one line of JSON. MEMORY in bytes, 0 = the default; MODEL 1: the
 * components too.
 */
import { readFileSync } from 'node:fs';
import { pca, writeNpy } from 'coregain';
import { native } from '#lib/native.js';

const [path, dims, out, threads, memory, model] = process.argv.slice(2);
native();
// `maxRSS` would count the parent's memory before exec.
const peak = () => 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
const loaded = peak();
const before = process.cpuUsage();
const start = performance.now();
const options = { dims: Number(dims), threads: Number(threads), model: model === '1' };
const { matrix, summary } = await pca.fitTransform(path, {
  ...options,
  ...(memory !== '0' && { memory: Number(memory) }),
});
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(before);
const peakBytes = peak();
await writeNpy(out, { data: matrix.data, shape: [matrix.rows, matrix.cols] });
const { method, passes, totalVariance } = summary;
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes,
    // to what `memory` bounds
    addedBytes: peakBytes - loaded,
    method,
    passes,
    totalVariance,
  }),
);
