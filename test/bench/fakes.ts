import { createHash } from 'node:crypto';
import type { Bed, Measured, Prefix } from '#lib/bench/measure.js';
import type { Plan } from '#lib/bench/plan.js';
import type { Cell, Contestant, Machine } from '#lib/bench/types.js';

export const machine: Machine = {
  platform: 'linux x64',
  processor: '<script src="http://elsewhere/x.js"></script>',
  cores: 2,
  memoryBytes: 2 ** 33,
  simd: 'avx2',
  node: '20.0.0',
  load: [0, 0, 0],
  bandwidth: [
    { threads: 1, bytesPerSecond: 8e9 },
    { threads: 2, bytesPerSecond: 1e10 },
  ],
};

export function plan(overrides: Partial<Plan> = {}): Plan {
  return {
    cells: [100, 200, 400].map((rows) => ({ kind: 'iso', cols: 8, rows })),
    contestants: [
      { name: 'lazy', threads: 1 },
      { name: 'sweep', threads: 1 },
      { name: 'numpy', threads: 1 },
    ],
    bins: 10,
    gain: 'cosine',
    repeats: 3,
    limitSeconds: 60,
    seed: 0,
    embeddings: undefined,
    python: 'python3',
    ...overrides,
  };
}

/** A finished measurement: lazy takes N^1.5 microseconds and dot products, the others N^2. */
export function measured({ name, threads }: Contestant, { rows }: Cell, order = [2, 0, 1]): Measured {
  const work = name === 'lazy' ? rows ** 1.5 : rows ** 2;
  const values = BigInt64Array.from(order, BigInt);
  return {
    run: {
      seconds: work * 1e-6,
      cpuSeconds: work * 2e-6,
      peakBytes: 5e7,
      baselineBytes: 4e7,
      orderHash: createHash('sha256').update(values).digest('hex'),
      ...(name === 'numpy' || name === 'paper'
        ? { version: 'Python 3' }
        : {
            engine: {
              ...{ name, why: 'asked for', simd: 'avx2', threads, seconds: work * 1e-6, dotProducts: work },
              ...{ float64Decisions: 0, exactDecisions: 0 },
            },
          }),
    },
    order: values,
  };
}

export function extrapolated(contestant: Contestant, cell: Cell): Measured {
  const { orderHash: _, engine: __, ...run } = measured(contestant, cell).run;
  return { run: { ...run, extrapolated: { seconds: run.seconds / 10, steps: 7 } } };
}

/** A bed that notes what it was asked to do. */
export function fakeBed(measure: (contestant: Contestant, cell: Cell, prefix: Prefix) => Measured = measured0): Bed & {
  log: string[];
} {
  let cell: Cell;
  const log: string[] = [];
  return {
    log,
    async prepare(next) {
      cell = next;
      log.push(`prepare ${cell.rows}`);
    },
    async measure(contestant, prefix) {
      log.push(`${contestant.name} ${prefix}`);
      return measure(contestant, cell, prefix);
    },
  };
}

const measured0 = (contestant: Contestant, cell: Cell) => measured(contestant, cell);
