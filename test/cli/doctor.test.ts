import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { native } from '#lib/native.js';
import { version } from '#lib/version.js';
import { coregain, scratchFolder } from './coregain.js';

const folder = scratchFolder();

/** The report where `nvidia-smi` is this shell script. */
async function withDriver(name: string, script: string, env: NodeJS.ProcessEnv = {}) {
  const bin = join(folder, name);
  mkdirSync(bin);
  writeFileSync(join(bin, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const PATH = `${bin}${delimiter}${process.env.PATH}`;
  return JSON.parse((await coregain(['doctor', '--json'], folder, { PATH, ...env })).stdout);
}

test('doctor says what this machine has, for people and for machines', async () => {
  const [table, json] = await Promise.all([coregain(['doctor']), coregain(['doctor', '--json'])]);
  expect(json).toMatchObject({ status: 0, stderr: '' });
  const report = JSON.parse(json.stdout);
  expect(report).toMatchObject({
    healthy: true,
    versions: { coregain: version, node: process.versions.node, onnxruntime: expect.stringMatching(/^\d+\.\d+\.\d+/) },
    machine: { platform: `${process.platform} ${process.arch}` },
    addon: { works: true, simd: native().cpu().simd, available: native().cpu().available },
    images: { works: true },
    providers: {
      cpu: {
        works: true,
        tf32: false,
        placements: { encoder: { provider: 'cpu' }, training: { operators: { cpu: { Scan: 1 } } } },
        onCpu: [],
      },
    },
  });
  expect(existsSync(report.addon.path)).toBe(true);
  expect(report.machine.memoryBytes).toBeGreaterThan(2 ** 28);
  for (const part of [report.cuda, report.providers.cuda]) {
    expect(part.works || part.why.length > 10).toBe(true);
  }
  expect(table).toMatchObject({ status: 0, stderr: '' });
  expect(table.stdout).toContain(`SIMD          ${native().cpu().simd} (of `);
  expect(table.stdout.trimEnd()).toMatch(/All that coregain needs is here\.$/);
});

test('an NVIDIA driver: its devices, or why they cannot be used', async () => {
  const list = 'echo "570.86.10, NVIDIA H200, 143771 MiB"\necho "570.86.10, NVIDIA H200, 143771 MiB"';
  const device = { name: 'NVIDIA H200', memory: '143771 MiB' };
  expect((await withDriver('works', list, { CUDA_VISIBLE_DEVICES: undefined })).cuda).toEqual({
    works: true,
    driver: '570.86.10',
    devices: [device, device],
  });
  expect((await withDriver('hidden', list, { CUDA_VISIBLE_DEVICES: '' })).cuda).toEqual({
    works: false,
    why: 'CUDA_VISIBLE_DEVICES= hides all devices',
  });
  expect((await withDriver('broken', 'echo "NVIDIA-SMI has failed"; exit 9')).cuda).toEqual({
    works: false,
    why: 'nvidia-smi says: NVIDIA-SMI has failed',
  });
});

test.skipIf(existsSync(fileURLToPath(new URL('../../prebuilds', import.meta.url))))(
  'without the addon it still reports, and ends with 1',
  async () => {
    const { status, stdout } = await coregain(['doctor'], folder, { PREBUILDS_ONLY: '1' });
    expect(status).toBe(1);
    expect(stdout).toMatch(/addon +no: The native addon of coregain is not there .* Run `npm rebuild coregain`/);
    expect(stdout).toContain('Something that coregain needs is missing');
  },
);
