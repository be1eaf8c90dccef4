/**
 * The side of a thread that ONNX Runtime lives in: its `run` blocks the thread that calls it for as long as the model
 * computes, so it must not be the main one.
 */
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { Flag, type Reply, type Request, type SessionTensor, type ThreadOptions } from './messages.js';
import { createProfile, type Provider } from './placement.js';

export type Device = 'auto' | 'cpu' | 'cuda';

/** What a call gives back; buffers in `transfer` move to the other side without a copy. */
export interface Answer {
  readonly value: unknown;
  readonly transfer?: ArrayBuffer[];
}

export interface Service {
  /** What the other side learns when the thread is ready. */
  readonly opened: unknown;
  readonly calls: Readonly<Record<string, (argument: never) => Promise<Answer>>>;
  close(): Promise<void>;
}

/** An error with a code of its own for the other side. */
export class ThreadError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const options = workerData as ThreadOptions<{ device: Device }>;

/** Does something inside ONNX Runtime, where the thread must not be ended from outside: that aborts the process. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  Atomics.store(options.flags, Flag.busy, 1);
  try {
    if (Atomics.load(options.flags, Flag.stop)) throw new Error('the process is ending');
    return await work();
  } finally {
    Atomics.store(options.flags, Flag.busy, 0);
    Atomics.notify(options.flags, Flag.busy);
  }
}

/** A model that is loaded. */
export interface Model {
  readonly provider: Provider;
  readonly outputs: readonly InferenceSession.ValueMetadata[];
  run(feeds: InferenceSession.FeedsType, outputs: InferenceSession.FetchesType): Promise<InferenceSession.ReturnType>;
  release(): Promise<void>;
}

/**
 * Loads a model on the first provider of `device` that works. On CUDA, and everywhere if `placement` asks for it, the
 * other side is told after the first run where the operators were.
 */
export async function loadModel(modelPath: string, threads: number, device: Device, placement = false): Promise<Model> {
  if (device !== 'cpu' && cudaInstalled()) {
    try {
      return await loadOn('cuda', modelPath, threads, true);
    } catch (error) {
      if (device === 'cuda') throw error;
    }
  } else if (device === 'cuda') {
    throw new Error('its libraries are not installed beside onnxruntime-node');
  }
  return loadOn('cpu', modelPath, threads, placement);
}

async function loadOn(provider: Provider, modelPath: string, threads: number, placement: boolean): Promise<Model> {
  let profile = placement ? await createProfile() : undefined;
  const forget = async () => {
    await profile?.remove();
    profile = undefined;
  };
  try {
    const session = await guarded(() =>
      InferenceSession.create(modelPath, {
        executionProviders: [provider],
        intraOpNumThreads: threads,
        logSeverityLevel: 3,
        // Threads that spin between operators take the cores that decode the next images.
        extra: { session: { intra_op: { allow_spinning: '0' } } },
        ...profile?.options,
      }),
    );
    return {
      provider,
      outputs: session.outputMetadata,
      async run(feeds, outputs) {
        const results = await guarded(async () => {
          const values = await session.run(feeds, outputs);
          if (profile) session.endProfiling();
          return values;
        });
        if (profile) {
          reply({ type: 'placed', placement: await profile.read(provider) });
          await forget();
        }
        return results;
      },
      async release() {
        await session.release();
        await forget();
      },
    };
  } catch (error) {
    await forget();
    throw error;
  }
}

/** Whether the CUDA libraries are there. Asking ONNX Runtime itself prints an error to the terminal where they are not. */
function cudaInstalled(): boolean {
  const packageFolder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
  return readdirSync(join(packageFolder, 'bin'), { recursive: true }).some((file) =>
    String(file).includes('onnxruntime_providers_cuda'),
  );
}

/** ONNX Runtime's tensor on the same memory. */
export function toTensor({ data, dims }: SessionTensor): Tensor {
  const dtype = data instanceof Float32Array ? 'float32' : data instanceof Int32Array ? 'int32' : 'int64';
  return new Tensor(dtype, data, dims);
}

function reply(message: Reply, transfer: ArrayBuffer[] = []): void {
  parentPort!.postMessage(message, transfer);
}

/** Opens the service and answers calls, one after the other, until it is closed. */
export async function serve<Setup>(open: (setup: Setup) => Promise<Service>): Promise<void> {
  const port = parentPort!;
  try {
    const service = await open(options.setup as Setup);
    // A session's threads are busy with one run at a time anyway.
    let queue = Promise.resolve();
    port.on('message', (request: Request) => {
      queue = queue.then(async () => {
        if (request.type === 'close') {
          await guarded(() => service.close());
          port.close();
          return;
        }
        const { id, name, argument } = request;
        try {
          const { value, transfer } = await service.calls[name]!(argument as never);
          reply({ type: 'result', id, value }, transfer);
        } catch (error) {
          reply({ type: 'failed', id, ...described(error, 'ERR_ONNX_RUN', 'ONNX Runtime could not run the model: ') });
        }
      });
    });
    reply({ type: 'opened', value: service.opened });
  } catch (error) {
    const cuda = options.setup.device === 'cuda';
    reply({ type: 'refused', ...described(error, cuda ? 'ERR_CUDA_UNAVAILABLE' : 'ERR_ONNX_LOAD', '') });
    port.close();
  }
}

function described(error: unknown, code: string, before: string) {
  if (error instanceof ThreadError) return { code: error.code, message: error.message };
  return { code, message: `${before}${(error as Error).message}` };
}
