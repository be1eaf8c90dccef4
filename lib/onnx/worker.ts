/**
 * The thread that an ONNX Runtime session lives in: its `run` blocks the thread that calls it for as long as the model
 * computes, so it must not be the main one.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Flag, type Reply, type Request, type SessionTensor, type WorkerOptions } from './messages.js';

const port = parentPort!;
const options = workerData as WorkerOptions;

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}

const dtypeOf = (data: SessionTensor['data']) =>
  data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'int64';

/** Whether the CUDA libraries are there. Asking ONNX Runtime itself prints an error to the terminal where they are not. */
function cudaInstalled(): boolean {
  const packageFolder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return readdirSync(join(packageFolder, 'bin'), { recursive: true }).some((file) =>
    String(file).includes('onnxruntime_providers_cuda'),
  );
}

/** Does something inside ONNX Runtime, where the thread must not be ended from outside: that aborts the process. */
async function guarded<T>(work: () => Promise<T>): Promise<T> {
  Atomics.store(options.flags, Flag.busy, 1);
  try {
    if (Atomics.load(options.flags, Flag.stop)) throw new Error('the process is ending');
    return await work();
  } finally {
    Atomics.store(options.flags, Flag.busy, 0);
    Atomics.notify(options.flags, Flag.busy);
  }
}

async function open({ modelPath, threads, device }: WorkerOptions) {
  const create = (provider: 'cpu' | 'cuda') =>
    InferenceSession.create(modelPath, {
      executionProviders: [provider],
      intraOpNumThreads: threads,
      logSeverityLevel: 3,
      // Threads that spin between operators take the cores that decode the next images.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  if (device !== 'cpu' && cudaInstalled()) {
    try {
      return { session: await create('cuda'), provider: 'cuda' as const };
    } catch (error) {
      if (device === 'cuda') throw error;
    }
  } else if (device === 'cuda') {
    throw new Error('its libraries are not installed beside onnxruntime-node');
  }
  return { session: await create('cpu'), provider: 'cpu' as const };
}

async function run(session: InferenceSession, { id, feeds, outputs }: Extract<Request, { type: 'run' }>) {
  try {
    const tensors = Object.fromEntries(
      Object.entries(feeds).map(([name, { data, dims }]) => [name, new Tensor(dtypeOf(data), data, dims)]),
    );
    const results = await guarded(() => session.run(tensors, outputs));
    const fetched: Record<string, SessionTensor> = {};
    for (const name of outputs) {
      const { data, dims } = results[name]!;
      fetched[name] = { data: data as SessionTensor['data'], dims };
    }
    reply(
      { type: 'result', id, outputs: fetched },
      Object.values(fetched).map(({ data }) => data.buffer as ArrayBuffer),
    );
  } catch (error) {
    reply({ type: 'failed', id, message: (error as Error).message });
  }
}

try {
  const { session, provider } = await guarded(() => open(options));
  // One request after the other: a session's threads are busy with one run at a time anyway.
  let queue = Promise.resolve();
  port.on('message', (request: Request) => {
    queue = queue.then(async () => {
      if (request.type === 'run') return run(session, request);
      await guarded(() => session.release());
      port.close();
    });
  });
  reply({ type: 'opened', provider });
} catch (error) {
  const code = options.device === 'cuda' ? 'ERR_CUDA_UNAVAILABLE' : 'ERR_ONNX_LOAD';
  reply({ type: 'refused', code, message: (error as Error).message });
  port.close();
}
