/** What the scripts of this folder share: options, the machine and the commit, peak memory, and where the result goes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const date = new Date().toISOString();

/** The path of a file in this folder. */
export const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Where the result called `name` goes if nobody says otherwise. */
export const resultPath = (name) => here(`results/${name}-${date.slice(0, 10)}.json`);

/**
 * `--key value` for each key of `defaults`, as a number where the default is one; undefined is a default too. `--out` is the
 * file of the result called `name`.
 */
export function optionsOf(name, defaults) {
  const all = { ...defaults, out: resultPath(name) };
  const text = (value) => ({ type: 'string', ...(value !== undefined && { default: String(value) }) });
  const { values } = parseArgs({
    options: Object.fromEntries(Object.entries(all).map(([key, value]) => [key, text(value)])),
  });
  for (const [key, value] of Object.entries(all)) {
    if (typeof value !== 'number') continue;
    const number = Number(values[key]);
    if (Number.isNaN(number)) throw new RangeError(`--${key} is a number, not ${values[key]}.`);
    values[key] = number;
  }
  return values;
}

/** Writes a result with date, commit and machine; `indent` 0 for large ones. */
export function save(path, { what, ...result }, indent = 1) {
  const git = (...args) => execFileSync('git', args, { encoding: 'utf8', cwd: here('.') }).trim();
  const report = {
    what,
    date,
    commit: git('rev-parse', 'HEAD'),
    changed: git('status', '--porcelain', '--untracked-files=no', '../lib', '../native') !== '',
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    ...result,
  };
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, indent)}\n`);
  console.log(`written to ${path}`);
}

/** Of this process. Linux counts the parent's memory before exec into `maxRSS`, but not into VmHWM. */
export function peakBytes() {
  try {
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  } catch {
    return 1024 * process.resourceUsage().maxRSS;
  }
}
