/** What a long call must be besides right: it leaves the event loop free, ends when told to, and survives its thread. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { partition } from '#lib/select/bins.js';
import { stream } from '#lib/select/random.js';
import { cloud } from './data.js';

const dist = (file: string) => new URL(`../../dist/${file}`, import.meta.url).href;

function fill(data: Float32Array): Float32Array {
  const words = stream(4, 0);
  for (let i = 0; i < data.length; i++) data[i] = words() / 2 ** 32;
  return data;
}

function plain(rows: number, cols: number): EmbeddingMatrix & { data: Float32Array } {
  return { data: fill(new Float32Array(rows * cols)), rows, cols };
}

/** Runs code, or a script with arguments, in a process of its own: a crash would take this one along. */
const node = (...args: string[]) => spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 50_000 });

describe('50,000 x 768 on all threads: no timer is later than 50 ms', () => {
  const watch = (kind: string) => {
    const { stdout, stderr } = node(fileURLToPath(new URL('lateTimers.mjs', import.meta.url)), kind);
    expect(stderr).toBe('');
    return JSON.parse(stdout) as { late: number; lateOfOwn: number; placed: number; abort: number };
  };

  test('the measure sees 80 ms of blocking', () => {
    expect(watch('blocked').lateOfOwn).toBeGreaterThan(50);
  });

  // Other processes that take all cores delay timers too, hence the retries; `lateOfOwn` leaves such waits out.
  test.each(['ArrayBuffer', 'SharedArrayBuffer'])('from %s, until aborted', { retry: 2 }, (kind) => {
    const { late, lateOfOwn, placed, abort } = watch(kind);
    expect(placed).toBeGreaterThan(0); // it was at work, not only preparing
    expect(lateOfOwn).toBeLessThan(250);
    expect(abort).toBeLessThan(500);
    expect(late).toBeLessThan(250);
  });
});

describe('AbortSignal', () => {
  test('aborted before: rejects with the reason, starts nothing', async () => {
    const reason = { any: 'value' };
    const seen: unknown[] = [];
    const options = { bins: 2, signal: AbortSignal.abort(reason), onProgress: (p: unknown) => seen.push(p) };
    await expect(partition(cloud('isotropic', 1, 10, 2), options)).rejects.toBe(reason);
    expect(seen).toEqual([]);
  });

  test('during the copy', async () => {
    const controller = new AbortController();
    const call = partition(plain(20_000, 768), { bins: 10, signal: controller.signal });
    controller.abort(new Error('stop'));
    await expect(call).rejects.toThrow('stop');
  });

  test('while the engine runs; a second call is not touched', async () => {
    const controller = new AbortController();
    const matrix = cloud('isotropic', 1, 20_000, 64);
    const small = cloud('isotropic', 1, 500, 8);
    const call = partition(matrix, { bins: 10, signal: controller.signal });
    const other = partition(small, { bins: 10 });
    setTimeout(() => controller.abort(), 100);
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect((await other).order).toHaveLength(500);
  });

  test('after the end it has no effect', async () => {
    const controller = new AbortController();
    const result = await partition(cloud('isotropic', 1, 50, 4), { bins: 5, signal: controller.signal });
    controller.abort();
    expect(result.order).toHaveLength(50);
  });
});

describe('memory that is taken away while it is copied: an error, no crash', () => {
  test('transferred', async () => {
    const matrix = plain(20_000, 768);
    const call = partition(matrix, { bins: 10 });
    structuredClone(matrix.data.buffer, { transfer: [matrix.data.buffer as ArrayBuffer] });
    await expect(call).rejects.toMatchObject({
      name: 'TypeError',
      code: 'ERR_DETACHED',
      message: expect.stringMatching(/was transferred or resized.*SharedArrayBuffer\.$/),
    });
  });

  test('shrunk', async () => {
    const memory = new (
      ArrayBuffer as unknown as new (
        bytes: number,
        options: object,
      ) => ArrayBuffer & {
        resize(bytes: number): void;
      }
    )(20_000 * 768 * 4, { maxByteLength: 20_000 * 768 * 4 });
    const call = partition({ data: new Float32Array(memory), rows: 20_000, cols: 768 }, { bins: 10 });
    memory.resize(4096);
    await expect(call).rejects.toMatchObject({ code: 'ERR_DETACHED' });
  });

  test('after the copy it no longer matters', async () => {
    const matrix = plain(300, 16);
    const expected = await partition(matrix, { bins: 3 });
    const call = partition(matrix, { bins: 3 });
    structuredClone(matrix.data.buffer, { transfer: [matrix.data.buffer as ArrayBuffer] });
    expect((await call).order).toEqual(expected.order);
  });
});

describe('worker threads', () => {
  const job = (rows: number) => `
    const { partition } = await import(${JSON.stringify(dist('select/bins.js'))});
    const data = new Float32Array(new SharedArrayBuffer(${rows} * 64 * 4));
    let x = 1;
    for (let i = 0; i < data.length; i++) data[i] = (x = (x * 48271) % 2147483647) / 2147483647;
    const matrix = { data, rows: ${rows}, cols: 64 };`;

  test('selection works in several at once, with the same result', async () => {
    const code = `(async () => {${job(800)}
      const { parentPort } = await import('node:worker_threads');
      parentPort.postMessage((await partition(matrix, { bins: 8 })).order);
    })()`;
    const orders = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise<Int32Array>((resolve, reject) => {
            const worker = new Worker(code, { eval: true });
            worker.on('message', resolve);
            worker.on('error', reject);
          }),
      ),
    );
    expect(orders[0]).toHaveLength(800);
    expect(orders[1]).toEqual(orders[0]);
    expect(orders[2]).toEqual(orders[0]);
  });

  const run = (code: string) => node('--input-type=module', '-e', code);

  test('terminate() with a job in flight ends the worker only', () => {
    const workerCode = `(async () => {${job(60_000)}
      const call = partition(matrix, { bins: 1, onProgress() {} });
      const { parentPort } = await import('node:worker_threads');
      parentPort.postMessage('started');
      await call;
    })()`;
    const { status, signal, stdout, stderr } = run(`
      import { Worker } from 'node:worker_threads';
      import { setTimeout as sleep } from 'node:timers/promises';
      for (const wait of [0, 1, 50, 300]) {
        const worker = new Worker(${JSON.stringify(workerCode)}, { eval: true });
        await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
        await sleep(wait);
        await worker.terminate();
      }
      ${job(500)}
      console.log('alive', (await partition(matrix, { bins: 5 })).order.length);`);
    expect([status, signal, stdout, stderr]).toEqual([0, null, 'alive 500\n', '']);
  });

  test('process.exit() with a job in flight exits with its code', () => {
    const started = performance.now();
    const { status, signal, stderr } = run(`${job(60_000)}
      partition(matrix, { bins: 1 });
      setTimeout(() => process.exit(7), 300);`);
    expect([status, signal, stderr]).toEqual([7, null, '']);
    expect(performance.now() - started).toBeLessThan(20_000);
  });

  test('a process waits for its selection, and for nothing else', () => {
    const { status, stdout } = run(`${job(3000)}
      partition(matrix, { bins: 5, onProgress() {}, signal: new AbortController().signal })
        .then(({ order }) => console.log(order.length));`);
    expect([status, stdout]).toEqual([0, '3000\n']);
  });
});
