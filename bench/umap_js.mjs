// One layout by umap-js, in a thread that bench/umap.mjs ends when it takes too long.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';

const { folder, data, rows, cols, dims, neighbours, epochs } = workerData;
const { UMAP } = createRequire(join(folder, 'package.json'))('umap-js');
const points = Array.from({ length: rows }, (_, i) => Array.from(data.subarray(i * cols, (i + 1) * cols)));
const start = performance.now();
const umap = new UMAP({ nComponents: dims, nNeighbors: neighbours, nEpochs: epochs });
const layout = umap.fit(points);
const seconds = (performance.now() - start) / 1000;
parentPort.postMessage({ layout: Float32Array.from(layout.flat()), near: umap.knnIndices, seconds });
