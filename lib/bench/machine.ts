/** Where and with what a bench ran. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { native } from '../native.js';
import { runChild } from './child.js';
import type { Machine } from './types.js';

/** The machine, its load, and its memory bandwidth for each number of threads, measured now. */
export async function describeMachine(threads: readonly number[], signal?: AbortSignal): Promise<Machine> {
  const load = os.loadavg();
  const script = fileURLToPath(new URL('readBandwidth.js', import.meta.url));
  const bandwidth: { threads: number; bytesPerSecond: number }[] = [];
  for (const count of threads) {
    const args = [script, String(count)];
    const { bytesPerSecond } = await runChild<{ bytesPerSecond: number }>(process.execPath, args, { signal });
    bandwidth.push({ threads: count, bytesPerSecond });
  }
  return {
    platform: `${process.platform} ${process.arch}`,
    processor: os.cpus()[0]?.model.trim() ?? 'unknown',
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    simd: native().cpu().simd,
    node: process.versions.node,
    load,
    bandwidth,
  };
}

/** The commit of coregain's own working tree; empty for an installed package and where there is no git. */
export async function describeCommit(): Promise<{ commit?: string; changed?: boolean }> {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  // In node_modules the next repository upwards would be the user's.
  if (!existsSync(`${root}/.git`)) return {};
  const git = async (...args: string[]) => (await promisify(execFile)('git', args, { cwd: root })).stdout.trim();
  try {
    const commit = await git('rev-parse', 'HEAD');
    return {
      commit,
      changed: (await git('status', '--porcelain', '-uno', 'lib', 'native', ':(glob)bench/*.py')) !== '',
    };
  } catch {
    return {};
  }
}
