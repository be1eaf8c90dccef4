/** What this machine has, and whether coregain can work on it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type CudaDevice, native } from './native.js';
import { addInput, addOutput, createGraph } from './onnx/graph.js';
import { createModelFolder } from './onnx/modelFolder.js';
import { openSession } from './onnx/session.js';
import { version } from './version.js';

/** A part that works, or why it does not and what to do. */
export type Finding<T> = ({ readonly works: true } & T) | { readonly works: false; readonly why: string };

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
  /** Execution providers of ONNX Runtime, found by running a model on them. */
  readonly providers: { readonly cpu: Finding<object>; readonly cuda: Finding<object> };
  /** The NVIDIA driver and the devices that it shows to this process. */
  readonly cuda: Finding<{ readonly driver: string; readonly devices: readonly { name: string; memory: string }[] }>;
  /** The addon's own CUDA library: where it is, and the devices that it can work on. */
  readonly engines: Finding<{ readonly path: string; readonly devices: readonly CudaDevice[] }>;
}

const require = createRequire(import.meta.url);

/** Looks at everything that coregain uses on this machine. Never rejects for what it finds. */
export async function doctor(): Promise<DoctorReport> {
  const [images, cuda, onCpu, onCuda] = await Promise.all([
    finding(findImages),
    finding(findCuda),
    finding(() => runOn('cpu')),
    finding(() => runOn('cuda')),
  ]);
  const addon = await finding(findAddon);
  const engines = await finding(findEngines);
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

async function findEngines() {
  const { available, reason, path, devices } = native().cuda();
  if (!available) throw new Error(reason);
  return { path, devices };
}

async function findImages() {
  const { default: sharp } = await import('sharp');
  return { sharp: sharp.versions.sharp ?? 'unknown', libvips: sharp.versions.vips };
}

/** Runs y = x there: a provider that is listed need not load, and one that loads need not run. */
async function runOn(device: 'cpu' | 'cuda') {
  const graph = createGraph();
  addOutput(graph, 'y', addInput(graph, 'x', 'float32', [1]));
  const folder = await createModelFolder(graph);
  try {
    const session = await openSession(await folder.finish(), { device, threads: 1 });
    try {
      await session.run({ x: { data: Float32Array.of(1), dims: [1] } }, ['y']);
      return {};
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
