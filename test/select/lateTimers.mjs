/**
 * Selects from 50,000 x 768 on all threads, in a process of its own, and watches its timers until it aborts:
 *
 *     node lateTimers.mjs ArrayBuffer|SharedArrayBuffer|blocked
 *
 * prints `late`, the milliseconds by which the latest of many timers was late; `lateOfOwn`, the same without the time
 * that the kernel let this thread wait for a core, because others had taken all of them (Linux; `late` elsewhere);
 * `placed`, points in bins at the end; `abort`, milliseconds from the abort to the rejection. With `blocked` the event
 * loop is held for 80 ms, to show that the measure sees it.
 */
import { readFileSync } from 'node:fs';
import { partition } from '#lib/select/bins.js';

const kind = process.argv[2];
const [rows, cols] = [50_000, 768];
const bytes = rows * cols * 4;
const data = new Float32Array(kind === 'SharedArrayBuffer' ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes));
let random = 1;
for (let i = 0; i < data.length; i++) {
  random = (random * 48271) % 2147483647;
  data[i] = random / 2147483647 - 0.5;
}
// On a sphere: what takes the engine longest.
for (let row = 0; row < rows; row++) {
  const values = data.subarray(row * cols, (row + 1) * cols);
  const length = Math.hypot(...values);
  for (let j = 0; j < cols; j++) values[j] /= length;
}

/** Milliseconds that the main thread has waited for a core so far. */
function waited() {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

const PERIOD = 5;
let late = 0;
let lateOfOwn = 0;
let due = performance.now() + PERIOD;
let before = waited();
setInterval(() => {
  const now = performance.now();
  const waits = waited();
  late = Math.max(late, now - due);
  lateOfOwn = Math.max(lateOfOwn, now - due - (waits - before));
  due = performance.now() + PERIOD;
  before = waits;
}, PERIOD);

const controller = new AbortController();
const reason = new Error('seen enough');
let abortedAt = 0;
setTimeout(() => {
  abortedAt = performance.now();
  controller.abort(reason);
}, 4000);
if (kind === 'blocked') setTimeout(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 80), 100);

let placed = 0;
const onProgress = ({ done }) => {
  placed = done;
};
try {
  await partition({ data, rows, cols }, { bins: 10, signal: controller.signal, onProgress });
  throw new Error('The selection ended before the abort: give it more rows.');
} catch (error) {
  if (error !== reason) throw error;
}
const abort = performance.now() - abortedAt;
setTimeout(() => {
  console.log(JSON.stringify({ late, lateOfOwn, placed, abort }));
  process.exit();
}, 50);
