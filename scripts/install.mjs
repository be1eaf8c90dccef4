// npm's install script: uses the prebuilt addon of this platform, else compiles one. Never touches the network.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { has, root } from './run.mjs';

const require = createRequire(import.meta.url);

/** Runs a script of a package with this Node; whether it went well. */
function compiles(script, args) {
  return spawnSync(process.execPath, [require.resolve(script), ...args], { cwd: root, stdio: 'inherit' }).status === 0;
}

/** Where npm keeps its own node-gyp; it is not a dependency, npm hands its path to install scripts. */
function nodeGyp() {
  const path = process.env.npm_config_node_gyp;
  return path && existsSync(path) ? path : undefined;
}

// A development checkout compiles what it has; npm install of a package takes the prebuilt addon if it loads.
const development = existsSync(join(root, '.git'));
const fromSource = ['true', 'coregain'].includes(process.env.npm_config_build_from_source ?? '');
if (!development && !fromSource) {
  try {
    require('node-gyp-build')(root);
    process.exit(0);
  } catch {
    console.log('coregain: no prebuilt addon loads on this platform, compiling one');
  }
}

if (has('cmake') && has('c++') && compiles('cmake-js/bin/cmake-js', ['compile', '--out', 'build'])) process.exit(0);
if (nodeGyp() && compiles(nodeGyp(), ['rebuild'])) process.exit(0);
console.error(
  'coregain: the addon could not be compiled. Install a C++20 compiler and cmake (Debian: apt-get install g++ cmake), ' +
    'then run `npm rebuild coregain`.',
);
process.exit(1);
