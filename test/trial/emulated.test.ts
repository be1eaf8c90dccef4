/** `auto` and `doctor` on a device that the processor emulates: the real checks, and all that can go wrong with them. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CHECKS } from '#lib/deviceTrial.js';
import { coregain } from '../cli/coregain.js';
import { type Emulated, emulated, emulatedDevice, type Fault, startProgram } from '../emulatedDevice.js';

const library = JSON.stringify(pathToFileURL('dist/index.js'));
/** The least partition that `auto` takes a device for: the processor is done in a moment. */
const PARTITION = `
  const run = async (options) => {
    const { partition } = await import(${library});
    const data = Float32Array.from({ length: 40000 }, (_, i) => Math.sin(i * i));
    return (await partition({ data, rows: 20000, cols: 2 }, { bins: 2, ...options })).engine;
  };`;
/** Kernels that \`auto\` takes one for, which the emulation opens in a moment. */
const KERNELS = `
  const run = async (options) => {
    const { openKernels } = await import(${library});
    const kernels = await openKernels({ data: new Float32Array(4e6), rows: 2000, cols: 2000 }, options);
    await kernels.close();
    return kernels.device;
  };`;
const PRINT = 'console.log(JSON.stringify(await run()));';

const run = (text: string, device: Emulated, fault?: Fault) => startProgram(text, device.env(fault)).ended;
const kept = ({ cache }: Emulated) =>
  existsSync(cache) ? readdirSync(cache).map((name) => JSON.parse(readFileSync(join(cache, name), 'utf8'))) : [];

describe.skipIf(!emulated)('a device that works', () => {
  const device = emulatedDevice();

  test('passes every check, and doctor says so', { timeout: 180_000 }, async () => {
    const { status, stdout } = await coregain(['doctor', '--json'], '.', device.env());
    expect(status).toBe(0);
    const { engines } = JSON.parse(stdout);
    expect(engines).toMatchObject({ works: true, devices: [{ name: 'emulated' }], trial: { outcome: 'passed' } });
    expect(engines.trial.checks).toEqual(CHECKS.map((name) => ({ name, ok: true, seconds: expect.any(Number) })));
    expect(kept(device)).toMatchObject([{ subject: { device: { name: 'emulated' } }, trial: { outcome: 'passed' } }]);
  });

  // Another trial would crash.
  test('is taken from then on without another trial, in threads too', async () => {
    const thread = `${KERNELS}
      run().then(async (found) => (await import('node:worker_threads')).parentPort.postMessage(found));`;
    const text = `${KERNELS}
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(${JSON.stringify(thread)}, { eval: true });
      const there = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
      console.log(JSON.stringify([await run(), there, await run({ device: 'cpu' })]));`;
    expect(await run(text, device, 'crash')).toEqual({ result: ['cuda:0', 'cuda:0', 'cpu'], stderr: '' });
  });

  test('is tried again where what was kept is damaged', async () => {
    const [name] = readdirSync(device.cache);
    writeFileSync(join(device.cache, name!), '{"subject":');
    const { result, stderr } = await run(KERNELS + PRINT, device, 'crash');
    expect(result).toBe('cpu');
    expect(stderr).toContain('cuda:0 did not pass its trial: it crashed in the check');
  });
});

describe.skipIf(!emulated)('a device whose results are wrong', () => {
  const device = emulatedDevice();
  const leftOut = `cuda:0 did not pass its trial: the check "${CHECKS[0]}" failed: In round 1 \`order\` differs from the processor's, first at 0, and ${CHECKS.length - 1} more`;

  test('is left out, by two processes at once: each warns once, and the reason is in the result', async () => {
    const text = `${PARTITION}
      const codes = [];
      process.on('warning', ({ code }) => codes.push(code));
      const engines = await Promise.all([run(), run()]);
      console.log(JSON.stringify({ engines, codes }));`;
    for (const { result, stderr } of await Promise.all([run(text, device, 'wrong'), run(text, device, 'wrong')])) {
      const engine = { device: 'cpu', why: expect.stringMatching(/^.+; cuda:0 did not pass its trial: /) };
      expect(result).toMatchObject({ engines: [engine, engine], codes: ['COREGAIN_DEVICE_LEFT_OUT'] });
      expect((result as { engines: { why: string }[] }).engines[0]!.why).toContain(`; ${leftOut}`);
      expect(stderr).toContain(
        `[COREGAIN_DEVICE_LEFT_OUT] CoregainWarning: The processor does the work, because ${leftOut}.`,
      );
      expect(stderr).toContain('`coregain doctor` tries it again and tells more; --device cuda uses it all the same.');
    }
  });

  test('fails every check, each by itself', () => {
    const [{ trial }, ...others] = kept(device);
    expect(others).toEqual([]);
    expect(trial.outcome).toBe('failed');
    expect(trial.checks.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok])).toEqual(
      CHECKS.map((name) => [name, false]),
    );
  });

  // The device works now, but nobody has looked.
  test('stays left out for later processes, and may still be asked for', async () => {
    const text = `${KERNELS} console.log(JSON.stringify([await run(), await run({ device: 'cuda' })]));`;
    const { result, stderr } = await run(text, device);
    expect(result).toEqual(['cpu', 'cuda:0']);
    expect(stderr).toContain(leftOut);
  });

  test('doctor tries it again and lists what failed; all else is well', async () => {
    const { status, stdout } = await coregain(['doctor'], '.', device.env('wrong'));
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^ {2}trial {7}cuda:0 failed, \d+\.\d s; auto stays on the processor: the check "partition/m,
    );
    for (const name of CHECKS) expect(stdout).toMatch(new RegExp(`^ {14}${name}: \\S`, 'm'));
    expect(stdout).toContain('All that coregain needs is here.');
  });
});

describe.skipIf(!emulated)('a device that ends its process', () => {
  const device = emulatedDevice();

  test('harms the trial only, and is left out', async () => {
    const { result, stderr } = await run(PARTITION + PRINT, device, 'crash');
    expect(result).toMatchObject({
      device: 'cpu',
      why: expect.stringContaining(`it crashed in the check "${CHECKS[0]}" (SIGABRT`),
    });
    expect(stderr).toContain('COREGAIN_DEVICE_LEFT_OUT');
    expect(kept(device)).toMatchObject([{ trial: { outcome: 'failed' } }]);
  });
});

describe.skipIf(!emulated)('a device that has no memory left', () => {
  const device = emulatedDevice();

  test('is left out for now: nothing is kept', async () => {
    const { result, stderr } = await run(KERNELS + PRINT, device, 'full');
    expect(result).toBe('cpu');
    expect(stderr).toContain(`cuda:0 could not be tried: the check "${CHECKS[0]}" failed: `);
    expect(kept(device)).toEqual([]);
  });
});

describe.skipIf(!emulated)('a device that hangs', () => {
  const device = emulatedDevice();
  /** Processes that `pid` has started. */
  const children = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();

  test('one of two callers that aborts does not take the trial from the other; the last one ends it', async () => {
    const text = `${PARTITION}
      import { readFileSync } from 'node:fs';
      const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      const children = () => readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim();
      const [first, second] = [new AbortController(), new AbortController()];
      const calls = [first, second].map(({ signal }) => run({ signal }).catch((error) => error));
      while (children() === '') await pause(10);
      await pause(300);
      const found = [];
      for (const [i, controller] of [first, second].entries()) {
        controller.abort('enough ' + i);
        found.push(await calls[i]);
        await pause(200);
        found.push(children() === '' ? 'gone' : 'there');
      }
      console.log(JSON.stringify(found));
      process.exit();`;
    const { result, stderr } = await run(text, device, 'hang');
    expect([result, stderr]).toEqual([['enough 0', 'there', 'enough 1', 'gone'], '']);
    expect(kept(device)).toEqual([]);
  });

  test('ends with the process that has it tried, however that ends', async () => {
    const { child, ended } = startProgram(PARTITION + PRINT, device.env('hang'));
    const until = async (ready: () => boolean) => {
      while (!ready()) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await until(() => children(child.pid!) !== '');
    const trial = Number(children(child.pid!));
    await new Promise((resolve) => setTimeout(resolve, 500)); // until it hangs
    child.kill('SIGKILL');
    await ended;
    await until(() => !existsSync(`/proc/${trial}`));
  });
});
