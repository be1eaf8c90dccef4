// Biome for TypeScript, clang-format and clang-tidy for C++. `--write` formats the C++ instead of checking it.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { has, root, run } from './run.mjs';

function files(folder, pattern) {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, name))
    .filter((name) => pattern.test(name));
}
const sources = ['native', 'bench/native'].filter((folder) => existsSync(join(root, folder)));
const cpp = sources.flatMap((folder) => files(folder, /\.(cc|h|inl|cu|cuh)$/));

if (process.argv.includes('--write')) {
  run('clang-format', ['-i', ...cpp]);
  process.exit(0);
}

run('npx', ['--no-install', 'biome', 'ci', '.']);
run('npx', ['--no-install', 'publint', '--strict']);

if (has('clang-format')) run('clang-format', ['--dry-run', '--Werror', ...cpp]);
else console.warn('SKIPPED: clang-format is not on this machine (Debian: apt-get install clang-format)');

if (has('clang-tidy')) {
  // The kernels of other instruction sets need flags that only their own compile command has: take what was compiled.
  const configure = ['-S', '.', '-B', 'build-native', '-DCOREGAIN_TESTS=ON', '-DCOREGAIN_CUDA=OFF'];
  run('cmake', configure, { stdio: ['ignore', 'ignore', 'inherit'] });
  const compiled = files(
    'native',
    /^native\/(core|greedy|linear|objectives|pairwise|strategies|reduce|render)\/.*\.cc$/,
  );
  run('clang-tidy', ['--quiet', '-p', 'build-native', ...compiled]);
} else console.warn('SKIPPED: clang-tidy is not on this machine (Debian: apt-get install clang-tidy)');
