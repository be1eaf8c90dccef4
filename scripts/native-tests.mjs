// Builds and runs the tests of the C++ core, which need no Node: the same CMake target works on any GPU machine.
import { availableParallelism } from 'node:os';
import { run } from './run.mjs';

const jobs = String(availableParallelism());
// The CUDA library has its own step (scripts/cuda.mjs): compiling it twice would take longer than these tests.
run('cmake', ['-S', '.', '-B', 'build-native', '-DCOREGAIN_TESTS=ON', '-DCOREGAIN_CUDA=OFF']);
run('cmake', ['--build', 'build-native', '-j', jobs]);
run('ctest', ['--test-dir', 'build-native', '--output-on-failure']);
