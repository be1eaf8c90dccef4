import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { native } from '#lib/native.js';
import { version } from '#lib/version.js';
import { coregain } from './coregain.js';

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
    providers: { cpu: { works: true } },
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
