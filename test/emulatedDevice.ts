import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const library = join(root, 'build-native', 'libcuda_emulated.so');

/** Whether the CUDA library that runs on the processor was built, which `npm test` does first (native/test/cuda_emulated.cc). */
export const emulated = existsSync(library);
if (!emulated)
  console.warn(`SKIPPED: tests on an emulated device, because ${library} is not there; npm test builds it`);

/** `wrong` results; a `crash` or a `hang` where the partition begins; `full`: no memory to be had. */
export type Fault = 'wrong' | 'crash' | 'hang' | 'full';

export interface Emulated {
  /** Where this device's users keep their verdicts. */
  readonly cache: string;
  /** For a process that is to find the device instead of what the machine has. */
  env(fault?: Fault): NodeJS.ProcessEnv;
}

/** A folder with the addon and the emulated library beside it, and an empty cache; removed after the tests of a file. */
export function emulatedDevice(): Emulated {
  const folder = mkdtempSync(join(tmpdir(), 'coregain-emulated-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const beside = join(folder, 'build', 'Release');
  mkdirSync(beside, { recursive: true });
  const { path } = createRequire(import.meta.url)('node-gyp-build') as { path(folder: string): string };
  copyFileSync(path(root), join(beside, 'coregain.node'));
  copyFileSync(library, join(beside, 'libcoregain_cuda.so'));
  const cache = join(folder, 'cache');
  const env = (fault?: Fault) => ({
    // node-gyp-build looks there first
    COREGAIN_PREBUILD: folder,
    XDG_CACHE_HOME: cache,
    COREGAIN_EMULATED: fault ?? '',
  });
  return { cache: join(cache, 'coregain'), env };
}

/** Starts a program that may import `coregain`; what it prints as JSON comes back, with what it said on stderr. */
export function startProgram(
  text: string,
  env: NodeJS.ProcessEnv,
): { child: ChildProcess; ended: Promise<{ result: unknown; stderr: string }> } {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], {
    cwd: root,
    env: { ...process.env, ...env },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (part) => {
    stdout += part;
  });
  child.stderr.on('data', (part) => {
    stderr += part;
  });
  const ended = new Promise<{ result: unknown; stderr: string }>((resolve) => {
    child.on('close', () => resolve({ result: stdout === '' ? undefined : JSON.parse(stdout), stderr }));
  });
  return { child, ended };
}
