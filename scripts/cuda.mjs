// Builds the CUDA library where there is an nvcc, and puts it beside the addon. A step of its own that never fails a
// build: without the library, or with a CUDA toolkit that is odd, everything runs on the processor.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = 'libcoregain_cuda.so';
const runs = (command, args, stdio) => spawnSync(command, args, { cwd: root, stdio, encoding: 'utf8' });

const [into = join('build', 'Release')] = process.argv.slice(2);
const compilers = ['nvcc', '/usr/local/cuda/bin/nvcc', process.env.CUDACXX].filter((path) => path !== undefined);
const nvcc = compilers.find((path) => runs(path, ['--version'], 'ignore').status === 0);
if (process.platform !== 'linux' || nvcc === undefined) {
  console.log('coregain: no nvcc on this machine, so no CUDA library (only machines with an NVIDIA GPU need it)');
  process.exit(0);
}

for (const args of [
  ['-S', '.', '-B', 'build-cuda', '-DCOREGAIN_CUDA=ON', `-DCMAKE_CUDA_COMPILER=${nvcc}`],
  ['--build', 'build-cuda', '--target', 'coregain_cuda', '-j', '2'],
]) {
  const { status, stdout, stderr, error } = runs('cmake', args, 'pipe');
  if (status === 0) continue;
  console.warn(`${stdout ?? ''}${stderr ?? error?.message ?? ''}`);
  console.warn('coregain: the CUDA library could not be compiled, see above; all else works, on the processor');
  process.exit(0);
}
const built = join(root, 'build-cuda', file);
const target = join(root, into, file);
if (existsSync(built)) {
  mkdirSync(join(root, into), { recursive: true });
  // renamed into place: a process may have the old one open
  copyFileSync(built, `${target}.new`);
  renameSync(`${target}.new`, target);
}
