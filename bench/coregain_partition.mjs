/**
 * coregain's part of bench/partition.mjs, in a process of its own:
 *
 *   node bench/coregain_partition.mjs X.npy BINS ORDER.npy THREADS
 *
 * writes the order (int64) and prints one line of JSON: seconds, cpuSeconds, peakBytes and what the engine reports.
 */
import { readEmbeddings, writeNpy } from 'coregain';
import { native } from '#lib/native.js';
import { partition } from '#lib/select/bins.js';
import { peakBytes } from './script.mjs';

const [path, bins, out, threads] = process.argv.slice(2);
const matrix = await readEmbeddings(path);
native();

const cpuBefore = process.cpuUsage();
const start = performance.now();
const options = { bins: Number(bins), gain: 'cosine', remainder: 'drop', threads: Number(threads) };
const { order, engine } = await partition(matrix, options);
const seconds = (performance.now() - start) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);

const peak = peakBytes();
await writeNpy(out, { data: BigInt64Array.from(order, BigInt), shape: [order.length] });
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes: peak,
    version: `Node ${process.version}`,
    engine,
  }),
);
