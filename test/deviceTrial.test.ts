/** What a child process may do to the one that has a device tried. The trial itself: test/trial. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { CHECKS, tryDevice } from '#lib/deviceTrial.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-trial-'));
afterAll(() => rmSync(folder, { recursive: true }));

const CHECK = CHECKS[3];
const BEGIN = `process.send(${JSON.stringify(CHECK)});`;
const ALL = CHECKS.map((name) => ({ name, ok: true, seconds: 0.1 }));
const say = (checks: object[], ok = true) => `process.send(${JSON.stringify({ ok, checks })}, () => process.exit(0));`;

let children = 0;
/** The trial where the child runs this. */
function withChild(text: string, options: { signal?: AbortSignal; limitMs?: number } = {}) {
  const script = join(folder, `child${++children}.mjs`);
  writeFileSync(script, text);
  return tryDevice(0, { script, ...options });
}

test('a device that passes every check, by its name', async () => {
  expect(await withChild(say(ALL))).toMatchObject({ outcome: 'passed', why: '', checks: ALL });
});

test('the child is told which device', async () => {
  const other = ALL.map((check) => ({ ...check, ok: false, error: 'device ' }));
  const text = `const checks = ${JSON.stringify(other)}; checks[0].error += process.argv[2];
    process.send({ ok: false, checks }, () => process.exit(0));`;
  expect((await withChild(text)).why).toBe(`the check "${CHECKS[0]}" failed: device 0, and ${CHECKS.length - 1} more`);
});

test('a check that fails is named, with its reason', async () => {
  const checks = ALL.map((check) => (check.name === CHECK ? { ...check, ok: false, error: 'It differs.' } : check));
  const trial = await withChild(say(checks, false));
  expect(trial).toMatchObject({ outcome: 'failed', why: `the check "${CHECK}" failed: It differs`, checks });
});

test('where others have the device or its memory nothing is decided', async () => {
  const failing = (error: object) => say([{ ...ALL[0], ok: false, ...error }, ...ALL.slice(1)], false);
  const full = await withChild(failing({ error: 'Full.', code: 'ERR_MEMORY' }));
  expect(full).toMatchObject({ outcome: 'undecided', why: `the check "${CHECKS[0]}" failed: Full` });
  const busy = 'cudaMalloc failed: busy (cudaErrorDevicesUnavailable)';
  expect(await withChild(failing({ error: busy, code: 'ERR_DEVICE' }))).toMatchObject({ outcome: 'undecided' });
  expect(await withChild(failing({ error: 'Other.', code: 'ERR_DEVICE' }))).toMatchObject({ outcome: 'failed' });
});

test.each([
  ['one too few', ALL.slice(1)],
  ['none', []],
  ['another name', ALL.map((check, i) => (i === 2 ? { ...check, name: 'other' } : check))],
])('a list of checks that is not whole proves nothing: %s', async (_, checks) => {
  expect(await withChild(say(checks))).toMatchObject({ outcome: 'undecided', why: 'its trial left checks out' });
});

test('a child that crashes: the device failed, in that check', async () => {
  const trial = await withChild(`${BEGIN} console.error('broken'); setTimeout(() => process.abort(), 50);`);
  expect(trial.outcome).toBe('failed');
  expect(trial.why).toMatch(new RegExp(`^it crashed in the check "${CHECK}" \\(SIGABRT`));
});

test('a child that crashes after its last word failed too', async () => {
  const text = `process.send(${JSON.stringify({ ok: true, checks: ALL })}, () => process.kill(process.pid, 'SIGSEGV'));`;
  expect(await withChild(text)).toMatchObject({ outcome: 'failed', why: expect.stringContaining('(SIGSEGV') });
});

test('a child that hangs is killed when its time is over, even if it does not listen', async () => {
  const trial = await withChild(`${BEGIN} setTimeout(() => { for (;;); }, 50);`, { limitMs: 1500 });
  expect(trial).toMatchObject({ outcome: 'failed', why: `it did not end within 1.5 s, in the check "${CHECK}"` });
  expect(trial.seconds).toBeGreaterThan(1.4);
});

test('a child that somebody kills, or that cannot run, decides nothing', async () => {
  expect(await withChild(`${BEGIN} setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50);`)).toMatchObject({
    outcome: 'undecided',
    why: `its trial was ended by SIGKILL in the check "${CHECK}"`,
  });
  const trial = await withChild('throw new Error("no such thing");');
  expect(trial.outcome).toBe('undecided');
  expect(trial.why).toMatch(/^its trial ended before the first check, with status 1/);
});

test('an abort kills the child and rejects with its reason', async () => {
  const controller = new AbortController();
  const marker = join(folder, 'alive');
  const text = `import { writeFileSync } from 'node:fs';
    writeFileSync(${JSON.stringify(marker)}, String(process.pid)); setInterval(() => {}, 1000);`;
  const running = withChild(text, { signal: controller.signal });
  while (!existsSync(marker) || readFileSync(marker, 'utf8') === '') await new Promise((r) => setTimeout(r, 10));
  const reason = new Error('enough');
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  expect(() => process.kill(Number(readFileSync(marker, 'utf8')), 0)).toThrow('ESRCH');
  await expect(withChild(text, { signal: controller.signal })).rejects.toBe(reason);
});
