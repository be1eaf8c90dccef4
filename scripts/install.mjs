// npm's install script: uses the prebuilt addon of this platform, else compiles one. Never touches the network. Imports
// nothing of its siblings; of these only cuda.mjs is published.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('..', import.meta.url));

/** Whether a command can be started at all. */
const has = (command) => !spawnSync(command, ['--version'], { stdio: 'ignore' }).error;

/** Runs a script with this Node; whether it went well. */
const runs = (script, args) =>
  spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: 'inherit' }).status === 0;

// A development checkout compiles what it has; an installed package takes the prebuilt addon if that loads.
const development = existsSync(join(root, '.git'));
const fromSource = ['true', 'coregain'].includes(process.env.npm_config_build_from_source);
if (!development && !fromSource) {
  try {
    require('node-gyp-build')(root);
    process.exit(0);
  } catch {
    console.log('coregain: no prebuilt addon loads on this platform, compiling one');
  }
}

const compile = ['compile', '--out', 'build', '--CDCOREGAIN_CUDA=OFF'];
if (has('cmake') && has('c++') && runs(require.resolve('cmake-js/bin/cmake-js'), compile)) {
  // after the addon and apart from it: nothing may fail because CUDA is there but odd
  runs('scripts/cuda.mjs', []);
  process.exit(0);
}
// npm tells install scripts where its own node-gyp is.
const nodeGyp = process.env.npm_config_node_gyp;
if (nodeGyp && existsSync(nodeGyp) && runs(nodeGyp, ['rebuild'])) process.exit(0);

console.error(
  'coregain: the addon could not be compiled. Install a C++20 compiler and cmake (Debian: apt-get install g++ cmake), ' +
    'then run `npm rebuild coregain`.',
);
process.exit(1);
