/**
 * The process that measures how fast this machine reads memory:
 *
 *     node readBandwidth.js THREADS
 *
 * Each thread scans memory of its own with `memchr` (Node's `Buffer.indexOf` of one byte), which the C library has as
 * vector code that streams; together much more than the caches hold. Prints {"bytesPerSecond"}, the best of several
 * rounds in which all threads read at once.
 */
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { answer } from './child.js';

const ROUNDS = 5;

/** At least 512 MiB and four times the last cache, but no more than a quarter of what is free. */
function bytesToRead(): number {
  let cache = 0;
  try {
    const size = readFileSync('/sys/devices/system/cpu/cpu0/cache/index3/size', 'utf8');
    cache = Number.parseInt(size, 10) * 1024;
  } catch {
    // no such file outside Linux
  }
  return Math.min(Math.max(512 * 2 ** 20, 4 * cache), freemem() / 4);
}

if (isMainThread) await answer(measure);
else scan();

async function measure(): Promise<{ bytesPerSecond: number }> {
  const threads = Number(process.argv[2]);
  const each = Math.min(Math.floor(bytesToRead() / threads), 2 ** 30);
  const workers = Array.from(
    { length: threads },
    () => new Worker(fileURLToPath(import.meta.url), { workerData: each }),
  );
  const all = <T>(send?: string) =>
    Promise.all(
      workers.map(
        (worker) =>
          new Promise<T>((resolve, reject) => {
            worker.once('message', resolve);
            worker.once('error', reject);
            if (send) worker.postMessage(send);
          }),
      ),
    );
  await all();
  let best = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const spans = await all<[from: number, to: number]>('read');
    const from = Math.min(...spans.map((span) => span[0]));
    const to = Math.max(...spans.map((span) => span[1]));
    best = Math.max(best, (threads * each) / ((to - from) / 1000));
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { bytesPerSecond: best };
}

function scan(): void {
  const memory = Buffer.alloc(workerData as number, 1);
  const now = () => performance.timeOrigin + performance.now();
  parentPort!.on('message', () => {
    const from = now();
    memory.indexOf(2);
    parentPort!.postMessage([from, now()]);
  });
  parentPort!.postMessage('ready');
}
