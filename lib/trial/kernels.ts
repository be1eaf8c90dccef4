/** The pairwise kernels on a device: within their bounds of the processor's float32 ones, which have bounds too. */

import type { TriedDevice } from '../deviceTrial.js';
import { type Kernels, openKernels, type Precision } from '../kernels/kernels.js';
import { embeddings } from './clouds.js';

const ROWS = 500;
const COLS = 70;
const NEAREST = 10;

export async function checkKernels(device: TriedDevice, precision: Precision): Promise<void> {
  for (const normalize of [false, true]) {
    const matrix = embeddings(ROWS, COLS, 'float32', 3);
    await using want = await openKernels(matrix, { normalize, device: 'cpu' });
    await using got = await openKernels(matrix, { normalize, precision, device });
    if (got.device !== device) throw new Error(`The kernels ran on ${got.device} instead of ${device}.`);
    await compareDistances(want, got);
    await compareNearest(want, got);
    await compareGains(want, got, normalize);
  }
}

async function compareDistances(want: Kernels, got: Kernels): Promise<void> {
  const [there, here] = [await got.distances(), await want.distances()];
  for (let query = 0; query < ROWS; query++) {
    const of = (squares: Float32Array) => squares.subarray(query * ROWS, (query + 1) * ROWS);
    const bound = there.bound[query]! + here.bound[query]!;
    within('distances', of(there.squares), of(here.squares), () => bound);
  }
  const centres = [0, 17, ROWS - 1];
  const [reached, known] = [await got.kCenterUpdate({ centres }), await want.kCenterUpdate({ centres })];
  within('kCenterUpdate', reached.nearest, known.nearest, (i) => reached.bound[i]! + known.bound[i]!);
}

async function compareNearest(want: Kernels, got: Kernels): Promise<void> {
  const [there, here] = [await got.nearest({ k: NEAREST }), await want.nearest({ k: NEAREST })];
  within('nearest, its rows,', there.rows, here.rows, () => 0);
  within('nearest, its distances,', there.distances, here.distances, () => 0);
}

async function compareGains(want: Kernels, got: Kernels, normalize: boolean): Promise<void> {
  const members = Array.from({ length: ROWS }, (_, i) => i).filter((i) => i % 5 !== 0);
  const chosen = members.filter((i) => i % 3 === 0);
  for (const gain of normalize ? (['sqeuclidean', 'cosine'] as const) : (['sqeuclidean'] as const)) {
    const task = { chosen, members, gain };
    const [there, here] = [await got.gains(task), await want.gains(task)];
    within(`gains, ${gain},`, there.gains, here.gains, (i) => there.bound[i]! + here.bound[i]!);
  }
  if (!normalize) return;
  const reached = Float32Array.from({ length: ROWS }, (_, i) => (i % 10) / 10);
  const [there, here] = [await got.facilityLocationGains({ reached }), await want.facilityLocationGains({ reached })];
  within('facilityLocationGains', there.gains, here.gains, (i) => there.bound[i]! + here.bound[i]!);
}

function within(what: string, got: ArrayLike<number>, want: ArrayLike<number>, bound: (index: number) => number): void {
  if (got.length !== want.length) throw new Error(`${what} gave ${got.length} numbers instead of ${want.length}.`);
  for (let i = 0; i < want.length; i++) {
    const [off, most] = [Math.abs(got[i]! - want[i]!), bound(i)];
    if (off <= most && Number.isFinite(most)) continue;
    throw new Error(`${what} differs from the processor's by ${off} at ${i}, and ${most} is the bound.`);
  }
}
