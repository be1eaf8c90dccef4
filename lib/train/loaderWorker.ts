/** The thread behind a `Loader`. */
import { parentPort, workerData } from 'node:worker_threads';
import { labelSide } from '../embed/preprocess.js';
import { CoregainError } from '../errors.js';
import { type ImagePlan, openPlan } from './imageReader.js';
import type { Batch, TrainingSample } from './types.js';

export interface LoaderRequest {
  readonly id: number;
  readonly rows: Int32Array;
  readonly view: number;
}

export type LoaderReply =
  | { readonly id: number; readonly batch: Batch }
  | { readonly id: number; readonly batch?: undefined; readonly code: string; readonly message: string };

const plan = workerData as ImagePlan;
const side = plan.config.image;
const labels = labelSide(plan.config);
/** Shape of each part of a sample as the graph takes it. */
const SHAPES = {
  rgb: [3, side, side],
  semseg: [labels, labels],
  depth: [1, side, side],
  valid: [1, side, side],
} as const;

const port = parentPort!;
const reply = (message: LoaderReply, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
const opening = openPlan(plan);
// One mini-batch after the other: the first one asked for is the first one needed.
let queue = opening.then(
  () => {},
  () => {},
);
port.on('message', (request: LoaderRequest | undefined) => {
  queue = queue.then(async () => {
    if (!request) {
      await opening.then((reader) => reader.close()).catch(() => {});
      port.close();
      return;
    }
    const { id, rows, view } = request;
    try {
      const reader = await opening;
      const batch = assemble(await Promise.all(Array.from(rows, (row) => reader.read(row, view))));
      reply(
        { id, batch },
        Object.values(batch).map(({ data }) => data.buffer as ArrayBuffer),
      );
    } catch (error) {
      const code = error instanceof CoregainError ? error.code : 'ERR_LOADER';
      reply({ id, code, message: (error as Error).message });
    }
  });
});

function assemble(samples: readonly TrainingSample[]): Batch {
  const batch: Record<string, Batch[string]> = {};
  for (const name of ['rgb', 'semseg', 'depth', 'valid'] as const) {
    const first = samples[0]?.[name];
    if (!first) continue;
    const data =
      name === 'semseg'
        ? new Int32Array(samples.length * first.length)
        : new Float32Array(samples.length * first.length);
    for (const [i, sample] of samples.entries()) data.set(sample[name]!, i * first.length);
    batch[name] = { data, dims: [samples.length, ...SHAPES[name]] };
  }
  return batch;
}
