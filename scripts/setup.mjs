// Brings a checkout from nothing to runnable: packages, native addon, TypeScript. Quick when all is up to date.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { has, root, run } from './run.mjs';

for (const [command, packages] of [
  ['cmake', 'cmake'],
  ['c++', 'g++'],
]) {
  if (!has(command)) {
    console.error(`coregain: ${command} is not on this machine. Install it (Debian: apt-get install ${packages}).`);
    process.exit(1);
  }
}

const installed = join(root, 'node_modules', '.package-lock.json');
const wanted = join(root, 'package-lock.json');
if (!existsSync(installed) || statSync(installed).mtimeMs < statSync(wanted).mtimeMs) run('npm', ['ci']);
run('npm', ['run', '--silent', 'build']);
