/** What this machine has, and whether coregain can work on it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { DeviceTrial } from './deviceTrial.js';
import { newVerdict } from './deviceVerdict.js';
import { encoderGraph } from './models/multimae.js';
import { presets } from './models/presets.js';
import { type CudaDevice, native } from './native.js';
import { addInput, addOutput, createGraph } from './onnx/graph.js';
import { createModelFolder } from './onnx/modelFolder.js';
import { matmul } from './onnx/ops/linear.js';
import { operatorsOnCpu, type Placement } from './onnx/placement.js';
import { rehearse } from './onnx/rehearse.js';
import { openSession } from './onnx/session.js';
import { type Optimizer, weightOptions } from './train/optimizer.js';
import { scanGraph } from './train/scanGraph.js';
import { type ModelConfig, trainingGraph } from './train/trainingGraph.js';
import { version } from './version.js';

/** A part that works, or why it does not and what to do. */
export type Finding<T> = ({ readonly works: true } & T) | { readonly works: false; readonly why: string };

/** What a provider of ONNX Runtime does with our models. */
export interface ProviderFacts {
  /** Whether a product came out rounded to TF32, see `allowsTf32`. */
  readonly tf32: boolean;
  /** Where the operators of an encoder and of training it are, both small. */
  readonly placements: { readonly encoder: Placement; readonly training: Placement };
  /** Operators that are on the CPU although the provider is CUDA. */
  readonly onCpu: readonly string[];
}

export interface DoctorReport {
  /** Whether all that is needed works. CUDA is not needed. */
  readonly healthy: boolean;
  readonly versions: { readonly coregain: string; readonly node: string; readonly onnxruntime: string };
  readonly machine: {
    /** `linux x64`, ... */
    readonly platform: string;
    readonly processor: string;
    /** Hardware threads that this process may use. */
    readonly threads: number;
    readonly memoryBytes: number;
    readonly freeMemoryBytes: number;
  };
  /** The C++ addon: its file, the SIMD level in use and all that it could use, best first. */
  readonly addon: Finding<{ readonly path: string; readonly simd: string; readonly available: readonly string[] }>;
  readonly images: Finding<{ readonly sharp: string; readonly libvips: string }>;
  /** Execution providers of ONNX Runtime, found by running models on them. */
  readonly providers: { readonly cpu: Finding<ProviderFacts>; readonly cuda: Finding<ProviderFacts> };
  /** The NVIDIA driver and the devices that it shows to this process. */
  readonly cuda: Finding<{ readonly driver: string; readonly devices: readonly { name: string; memory: string }[] }>;
  /** The addon's own CUDA library: where it is, the devices that it can work on, and the trial of the first, which `auto` goes by. */
  readonly engines: Finding<{
    readonly path: string;
    readonly devices: readonly CudaDevice[];
    readonly trial: DeviceTrial;
  }>;
}

const require = createRequire(import.meta.url);

/**
 * Looks at everything that coregain uses on this machine. Never rejects for what it finds; rejects with `signal.reason` when
 * aborted during the trial of a device.
 */
export async function doctor({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<DoctorReport> {
  const [images, cuda, onCpu, onCuda] = await Promise.all([
    finding(findImages),
    finding(findCuda),
    finding(() => runOn('cpu')),
    finding(() => runOn('cuda')),
  ]);
  const addon = await finding(findAddon);
  const engines = await finding(() => findEngines(signal));
  signal?.throwIfAborted();
  return {
    healthy: addon.works && images.works && onCpu.works,
    versions: {
      coregain: version,
      node: process.versions.node,
      onnxruntime: (require('onnxruntime-node/package.json') as { version: string }).version,
    },
    machine: {
      platform: `${process.platform} ${process.arch}`,
      processor: os.cpus()[0]?.model.trim() ?? 'unknown',
      threads: os.availableParallelism(),
      memoryBytes: os.totalmem(),
      freeMemoryBytes: os.freemem(),
    },
    addon,
    images,
    providers: { cpu: onCpu, cuda: onCuda },
    cuda,
    engines,
  };
}

async function finding<T extends object>(look: () => Promise<T>): Promise<Finding<T>> {
  try {
    return { works: true, ...(await look()) };
  } catch (error) {
    return { works: false, why: (error as Error).message.trim() };
  }
}

async function findAddon() {
  const { simd, available } = native().cpu();
  const { path } = require('node-gyp-build') as { path(folder: string): string };
  return { path: path(fileURLToPath(new URL('..', import.meta.url))), simd, available };
}

async function findEngines(signal: AbortSignal | undefined) {
  const report = native().cuda();
  const { available, reason, path, devices } = report;
  if (!available) throw new Error(reason);
  return { path, devices, trial: await newVerdict(report, signal) };
}

async function findImages() {
  const { default: sharp } = await import('sharp');
  return { sharp: sharp.versions.sharp ?? 'unknown', libvips: sharp.versions.vips };
}

/** Runs models there: a provider that is listed need not load, and one that loads need not have all operators. */
async function runOn(device: 'cpu' | 'cuda'): Promise<ProviderFacts> {
  const tf32 = await roundsProducts(device);
  const placements = {
    encoder: await rehearse(encoderGraph(SMALL.encoder, 1), device, {
      batch: 1,
      ...{ height: 32, width: 32, labelHeight: 8, labelWidth: 8 },
      ...{ tokens: 2 * 2 * 2 + 1, rows: 1 },
    }),
    training: await rehearse(trainingSteps(), device, { steps: 2 }),
  };
  return { tf32, placements, onCpu: operatorsOnCpu(Object.values(placements)) ?? [] };
}

const SMALL: ModelConfig = {
  encoder: { ...presets.tiny, dim: 32, depth: 1, heads: 2, image: 32 },
  adapter: { kind: 'dpt', variant: 'official', hooks: [0, 0, 0, 0], layerDims: [8, 8, 8, 8], featureDim: 8 },
  mainTasks: ['rgb', 'semseg'],
  training: 'end-to-end',
  loss: 'berhu',
};

/** The graph that trains on CUDA: several steps with their optimizer. */
function trainingSteps() {
  const optimizer: Optimizer = {
    kind: 'adamw',
    ...{ beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.05, layerDecay: 1 },
  };
  const training = trainingGraph(SMALL, 2, true);
  const each = training.trained.map(({ name, shape }) => weightOptions(optimizer, SMALL.encoder, name, shape));
  return scanGraph(training, optimizer, each);
}

/** Whether a matrix with more digits than TF32 has comes out of a product with the unit matrix as another one. */
async function roundsProducts(device: 'cpu' | 'cuda'): Promise<boolean> {
  const side = 256;
  const shape = [side, side];
  const graph = createGraph();
  addOutput(
    graph,
    'y',
    matmul(graph, addInput(graph, 'x', 'float32', shape), addInput(graph, 'unit', 'float32', shape)),
  );
  const folder = await createModelFolder(graph);
  try {
    const session = await openSession(await folder.finish(), { device, threads: 1 });
    try {
      const data = new Float32Array(side * side).fill(1 + 2 ** -20);
      const unit = Float32Array.from(data, (_, i) => Number(i % (side + 1) === 0));
      const { y } = await session.run({ x: { data, dims: shape }, unit: { data: unit, dims: shape } }, ['y']);
      return data.some((value, i) => value !== y!.data[i]);
    } finally {
      await session.close();
    }
  } finally {
    await folder.remove();
  }
}

async function findCuda() {
  const query = ['--query-gpu=driver_version,name,memory.total', '--format=csv,noheader'];
  let listed: string;
  try {
    listed = (await promisify(execFile)('nvidia-smi', query, { timeout: 10_000 })).stdout;
  } catch (error) {
    const { code, stdout = '', stderr = '' } = error as NodeJS.ErrnoException & { stdout?: string; stderr?: string };
    if (code !== 'ENOENT') throw new Error(`nvidia-smi says: ${(stdout || stderr || String(error)).trim()}`);
    throw new Error(
      existsSync('/proc/driver/nvidia/version')
        ? 'there is an NVIDIA driver, but no nvidia-smi to ask it with'
        : 'no NVIDIA driver is installed',
    );
  }
  const rows = listed.trim().split('\n').filter(Boolean);
  const devices = rows.map((row) => row.split(', ')).map(([, name = '', memory = '']) => ({ name, memory }));
  if (devices.length === 0) throw new Error('the NVIDIA driver shows no device');
  const hidden = process.env.CUDA_VISIBLE_DEVICES;
  if (hidden === '' || hidden === '-1') throw new Error(`CUDA_VISIBLE_DEVICES=${hidden} hides all devices`);
  return { driver: rows[0]!.split(', ')[0]!, devices };
}
