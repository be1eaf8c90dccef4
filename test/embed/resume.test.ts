import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateScenes } from 'coregain';
import { afterAll, beforeAll, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coregain-resume-'));
  await generateScenes(join(folder, 'data'), { scenes: 150, size: 64, regime: 'uniform', seed: 3, valFraction: 0.2 });
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs `coregain embed` into `out`; killed outright after `killMs`, if given. Returns what it printed, or null. */
async function embed(out: string, killMs?: number): Promise<{ encoded: number; cached: number } | null> {
  const child = spawn(
    process.execPath,
    [main, 'embed', '--data', join(folder, 'data'), '--out', join(folder, out), '--json'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let printed = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
  });
  const timer = killMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killMs);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  return code === 0 ? JSON.parse(printed) : null;
}

test('killed at several moments, the next run goes on and ends with the bytes of an uninterrupted one', async () => {
  expect(await embed('whole')).not.toBeNull();
  let killed = 0;
  for (const killMs of [500, 700, 900, 1100]) killed += (await embed('killed', killMs)) === null ? 1 : 0;
  expect(killed).toBeGreaterThan(0);
  const last = await embed('killed');
  expect(last).not.toBeNull();
  for (const name of ['embeddings.npy', 'samples.jsonl'])
    expect((await readFile(join(folder, 'killed', name))).equals(await readFile(join(folder, 'whole', name)))).toBe(
      true,
    );
  // everything is in the cache by now
  expect(JSON.stringify(await embed('killed'))).toMatch(/"encoded":0/);
});
