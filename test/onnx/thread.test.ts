import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { startThread } from '#lib/onnx/thread.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-thread-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A thread that says what one with models on CUDA would say. */
function threadThatPlaces(operators: object): URL {
  const file = join(folder, 'thread.mjs');
  const placement = { type: 'placed', placement: { provider: 'cuda', operators } };
  writeFileSync(
    file,
    `import { parentPort } from 'node:worker_threads';
    parentPort.on('message', ({ type, id }) => {
      if (type === 'close') return parentPort.close();
      parentPort.postMessage(${JSON.stringify(placement)});
      parentPort.postMessage({ type: 'result', id, value: 1 });
    });
    parentPort.postMessage({ type: 'opened', value: 'cuda' });`,
  );
  return pathToFileURL(file);
}

test('who runs a model whose operators fall back to the CPU is warned, once', async () => {
  const warnings: (Error & { code?: string })[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on('warning', listen);
  try {
    for (let round = 0; round < 2; round++) {
      const operators = { cuda: { MatMul: 3 }, cpu: { Where: 1, Pad: 2 } };
      const thread = await startThread<string>(threadThatPlaces(operators), { device: 'cpu' });
      expect(thread.placements).toEqual([]);
      for (let run = 1; run <= 2; run++) {
        expect(await thread.call('run', undefined)).toBe(1);
        expect(thread.placements).toEqual(Array(run).fill({ provider: 'cuda', operators }));
      }
      await thread.close();
    }
    const whole = await startThread<string>(threadThatPlaces({ cuda: { MatMul: 3 } }), { device: 'cpu' });
    await whole.call('run', undefined);
    await whole.close();
  } finally {
    process.off('warning', listen);
  }
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toMatchObject({ name: 'CoregainWarning', code: 'COREGAIN_CPU_FALLBACK' });
  expect(warnings[0]!.message).toContain('ran on the CPU, which costs time but changes nothing else: Pad, Where.');
});

const node = (body: string, env: NodeJS.ProcessEnv = {}) => {
  const { NVIDIA_TF32_OVERRIDE: _, ...others } = process.env;
  const program = `import { allowsTf32 } from '#lib/onnx/tf32.js'; ${body}`;
  const options = { encoding: 'utf8', env: { ...others, ...env } } as const;
  return execFileSync(process.execPath, ['--input-type=module', '-e', program], options).trim();
};

test('TF32 is off unless the user says otherwise', () => {
  const both = `console.log(allowsTf32(), process.env.NVIDIA_TF32_OVERRIDE)`;
  expect(node(both)).toBe('false 0');
  expect(node(both, { NVIDIA_TF32_OVERRIDE: '0' })).toBe('false 0');
  expect(node(both, { NVIDIA_TF32_OVERRIDE: '1' })).toBe('true 1');
});

test('a thread of the caller cannot turn TF32 off, and does not claim it', () => {
  const inThread = `
    import { isMainThread, Worker } from 'node:worker_threads';
    const program = "import('#lib/onnx/tf32.js').then(({ allowsTf32 }) => console.log(allowsTf32(), process.env.NVIDIA_TF32_OVERRIDE))";
    new Worker(program, { eval: true, execArgv: [] });`;
  expect(node(inThread)).toBe('true undefined');
  expect(node(inThread, { NVIDIA_TF32_OVERRIDE: '0' })).toBe('false 0');
});
