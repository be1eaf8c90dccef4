/** The thread in which diagnostics compute, so that the event loop stays free. */
import { parentPort, workerData } from 'node:worker_threads';
import type { EmbeddingMatrix } from '../matrix.js';
import type { LinearModel } from '../reduce/linearModel.js';
import { candidates, predictionErrors } from './biCrossValidation.js';
import { canonicalCorrelations } from './cca.js';
import { linearCka } from './cka.js';
import { coverageCost } from './coverage.js';
import { centred } from './dense.js';
import { distanceCorrelation } from './distances.js';
import { inconsistency } from './inconsistency.js';
import { procrustesCosines } from './procrustes.js';
import { nearestOverMedian } from './redundancy.js';

const tasks = {
  /** `scores` are principal component scores of the rows of x and y. */
  agreement: ({ x, y, scoresX, scoresY }: Record<'x' | 'y' | 'scoresX' | 'scoresY', EmbeddingMatrix>) => ({
    cka: linearCka(x, y),
    cca: canonicalCorrelations(centred(scoresX), centred(scoresY)),
    procrustes: procrustesCosines(centred(scoresX), centred(scoresY)),
    distanceCorrelation: distanceCorrelation(x, y),
  }),
  inconsistency: ({ x, y, queries }: { x: EmbeddingMatrix; y: EmbeddingMatrix; queries: Int32Array }) =>
    inconsistency(x, y, queries),
  nearest: ({ x, queries }: { x: EmbeddingMatrix; queries: Int32Array }) => nearestOverMedian(x, queries),
  coverage: ({ x, subsets }: { x: EmbeddingMatrix; subsets: readonly Int32Array[] }) =>
    subsets.map((chosen) => coverageCost(x, chosen)),
  dimensions: ({ model, held, seed }: { model: LinearModel; held: EmbeddingMatrix; seed: number }) => {
    const ks = candidates(model.outputs);
    return { ks, errors: predictionErrors(model, held.data, held.rows, ks, seed) };
  },
};

export type Tasks = typeof tasks;

const { name, input } = workerData as { name: keyof Tasks; input: never };
parentPort!.postMessage(tasks[name](input));
