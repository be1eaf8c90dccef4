/** The partition on a device: the order of the processor, to the last row, every time. */

import type { TriedDevice } from '../deviceTrial.js';
import { type Engine, partition } from '../select/bins.js';
import type { Gain } from '../select/types.js';
import { embeddings, type FloatType, grid } from './clouds.js';

/** A race shows now and then only: rounds until this time is over, which are many on a device that is worth its name. */
const ROUNDS_MS = 400;
const MOST_ROUNDS = 50;

/** More rows than the look-ahead's usual window has on any device, so that it is filled anew. */
const SHAPES = { gram: { rows: 2500, cols: 40, bins: 4 }, lazy: { rows: 4000, cols: 40, bins: 3 } } as const;

export async function checkPartition(
  device: TriedDevice,
  engine: 'gram' | 'lazy',
  dtype: FloatType,
  gain: Gain,
): Promise<void> {
  const { rows, cols, bins } = SHAPES[engine];
  await repeat(device, engine, embeddings(rows, cols, dtype, 1), { bins, gain });
  await repeat(device, engine, grid(600, 9, dtype, 2), { bins: 5, gain });
}

async function repeat(
  device: TriedDevice,
  engine: Engine,
  matrix: Parameters<typeof partition>[0],
  task: { bins: number; gain: Gain },
): Promise<void> {
  const want = await partition(matrix, { ...task, device: 'cpu' });
  const start = performance.now();
  for (let round = 0; round < MOST_ROUNDS && (round === 0 || performance.now() - start < ROUNDS_MS); round++) {
    const got = await partition(matrix, { ...task, engine, device });
    if (got.engine.name !== engine) throw new Error(`The engine ${got.engine.name} ran instead of ${engine}.`);
    for (const what of ['order', 'bins', 'gains'] as const) {
      const at = want[what].findIndex((value, i) => value !== got[what][i]);
      if (at < 0 && want[what].length === got[what].length) continue;
      throw new Error(`In round ${round + 1} \`${what}\` differs from the processor's, first at ${at}.`);
    }
  }
}
