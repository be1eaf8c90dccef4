// Builds and runs the tests of the C++ core, which need no Node: the same CMake target works on any GPU machine.
import { availableParallelism } from 'node:os';
import { run } from './run.mjs';

const jobs = String(availableParallelism());
run('cmake', ['-S', '.', '-B', 'build-native', '-DCOREGAIN_TESTS=ON']);
run('cmake', ['--build', 'build-native', '-j', jobs]);
run('ctest', ['--test-dir', 'build-native', '--output-on-failure']);
