import { chooseDimensions, consistency, type EmbeddingMatrix, redundancy } from 'coregain';
import { describe, expect, test } from 'vitest';
import { inconsistency } from '#lib/diagnose/inconsistency.js';
import { stream } from '#lib/select/random.js';

/** Standard normal numbers. */
function normal(seed: number): () => number {
  const words = stream(seed, 0);
  const uniform = () => (words() + 0.5) * 2 ** -32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

function matrix(rows: number, cols: number, value: (row: number, col: number) => number): EmbeddingMatrix {
  return {
    rows,
    cols,
    data: Float32Array.from({ length: rows * cols }, (_, i) => value(Math.floor(i / cols), i % cols)),
  };
}

function noise(rows: number, cols: number, seed: number): EmbeddingMatrix {
  const next = normal(seed);
  return matrix(rows, cols, () => next());
}

/** Each pair of columns turned by its own angle, everything doubled: a rotation and a scale. */
function turned({ data, rows, cols }: EmbeddingMatrix): EmbeddingMatrix {
  return matrix(rows, cols, (row, col) => {
    const [a, b] = [data[row * cols + (col & ~1)]!, data[row * cols + (col | 1)]!];
    const angle = 0.3 + (col >> 1);
    return 2 * (col % 2 === 0 ? Math.cos(angle) * a - Math.sin(angle) * b : Math.sin(angle) * a + Math.cos(angle) * b);
  });
}

describe('consistency', () => {
  test('a rotated and scaled copy agrees in everything', async () => {
    const x = noise(200, 6, 1);
    const found = await consistency(x, turned(x));
    expect(found.cka.value).toBeCloseTo(1, 5);
    expect(found.cca.mean).toBeCloseTo(1, 5);
    expect(found.procrustes.q05).toBeGreaterThan(0.999);
    expect(found.distanceCorrelation).toBeCloseTo(1, 5);
  });

  test('independent noise agrees as much as chance says', async () => {
    const found = await consistency(noise(500, 8, 2), noise(500, 5, 3));
    expect(found.cka.value / found.cka.chance).toBeGreaterThan(0.5);
    expect(found.cka.value / found.cka.chance).toBeLessThan(1.6);
    const rms = Math.sqrt(found.cca.correlations.reduce((sum, r) => sum + r * r, 0) / found.cca.correlations.length);
    expect(rms / found.cca.chance).toBeGreaterThan(0.6);
    expect(rms / found.cca.chance).toBeLessThan(1.4);
    expect(Math.abs(found.procrustes.mean)).toBeLessThan(0.1);
    expect(Math.abs(found.distanceCorrelation)).toBeLessThan(0.05);
  });

  test('swapped partners are the most inconsistent rows', async () => {
    // 40 clips of 10 frames.
    const [centres, a, b] = [noise(40, 6, 4), noise(400, 6, 5), noise(400, 6, 6)];
    const of = (jitter: EmbeddingMatrix, clip: (row: number) => number) =>
      matrix(400, 6, (row, col) => centres.data[clip(row) * 6 + col]! + 0.05 * jitter.data[row * 6 + col]!);
    const swapped = (row: number) => (row % 50 === 0 ? (Math.floor(row / 10) + 17) % 40 : Math.floor(row / 10));
    const { mostInconsistent } = await consistency(
      of(a, (row) => Math.floor(row / 10)),
      of(b, swapped),
    );
    expect(mostInconsistent.slice(0, 8).sort((i, j) => i - j)).toEqual([0, 50, 100, 150, 200, 250, 300, 350]);
  });

  test('swapped partners stand out among more rows than are compared in pairs', async () => {
    // 500 clips of 5 frames, 10 neighbours: half of them are of other clips.
    const [rows, centres] = [2500, noise(500, 6, 30)];
    const [a, b] = [noise(rows, 6, 31), noise(rows, 6, 32)];
    const isSwapped = (row: number) => row % 25 === 0;
    const clip = (row: number) => Math.floor(row / 5);
    const x = matrix(rows, 6, (r, c) => centres.data[clip(r) * 6 + c]! + 0.05 * a.data[r * 6 + c]!);
    const y = matrix(rows, 6, (r, c) => {
      const own = isSwapped(r) ? (clip(r) + 171) % 500 : clip(r);
      return centres.data[own * 6 + c]! + 0.05 * b.data[r * 6 + c]!;
    });
    const every = Int32Array.from({ length: rows }, (_, i) => i);
    const scores = inconsistency(x, y, every);
    const [bad, good] = [every.filter(isSwapped), every.filter((row) => !isSwapped(row))];
    let wins = 0;
    for (const i of bad) for (const j of good) wins += scores[i]! > scores[j]! ? 1 : 0;
    expect(wins / (bad.length * good.length)).toBeGreaterThan(0.9);
    const found = await consistency(x, y);
    expect(found.inconsistencyRows).toBe(rows);
    expect(found.mostInconsistent.filter(isSwapped).length).toBeGreaterThan(15);
  });

  test('other numbers of rows are refused', async () => {
    await expect(consistency(noise(10, 2, 1), noise(11, 2, 1))).rejects.toMatchObject({
      code: 'ERR_ROWS_DIFFER',
      message: expect.stringMatching(/10 and 11 rows/),
    });
    await expect(redundancy(noise(2, 2, 1))).rejects.toMatchObject({ code: 'ERR_TOO_FEW_ROWS' });
  });
});

describe('redundancy', () => {
  test('clips of near-duplicates against rows that are each for themselves', async () => {
    const [centres, jitter] = [noise(20, 8, 7), noise(400, 8, 8)];
    const clips = matrix(400, 8, (r, c) => centres.data[(r % 20) * 8 + c]! + 0.01 * jitter.data[r * 8 + c]!);
    const redundant = await redundancy(clips);
    expect(redundant.nearestOverMedian).toBeLessThan(0.05);
    // Some of the 20 clips are neighbours.
    expect(redundant.effectiveRows).toBeGreaterThan(15);
    expect(redundant.effectiveRows).toBeLessThan(20.5);
    expect(redundant.expectation).toBe('selection can help');
    const alone = await redundancy(noise(400, 24, 9));
    expect(alone.nearestOverMedian).toBeGreaterThan(0.4);
    expect(alone.effectiveRows).toBeCloseTo(400, 0);
    expect(alone.expectation).toBe('nothing to gain expected');
  });

  test('near-duplicates are found also where only a sample of the rows is asked', async () => {
    // Of 3,000 clips of two frames a sample of 2,000 rows has hardly a pair.
    const [centres, jitter] = [noise(3000, 8, 20), noise(6000, 8, 21)];
    const pairs = matrix(6000, 8, (r, c) => centres.data[(r >> 1) * 8 + c]! + 0.001 * jitter.data[r * 8 + c]!);
    expect((await redundancy(pairs)).nearestOverMedian).toBeLessThan(0.01);
  });

  test('what covering gains over random: much in clips of unequal length, little where there are none', async () => {
    const [centres, jitter] = [noise(20, 8, 22), noise(400, 8, 23)];
    const clipOf = (row: number) => (row < 381 ? 0 : row - 380);
    const clips = matrix(400, 8, (r, c) => centres.data[clipOf(r) * 8 + c]! + 0.01 * jitter.data[r * 8 + c]!);
    expect((await redundancy(clips)).coverageOverRandom).toBeLessThan(0.4);
    const alone = await redundancy(noise(400, 24, 24));
    expect(alone.coverageOverRandom).toBeGreaterThan(0.8);
    expect(alone.coverageOverRandom).toBeLessThan(1.05);
  });

  test('an abort is honoured', async () => {
    await expect(redundancy(noise(50, 4, 1), { signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow('no');
  });
});

describe('chooseDimensions', () => {
  test('finds the planted number of directions, the same each time', async () => {
    const [planted, rows, cols] = [5, 300, 60];
    const [scores, directions, rest] = [noise(rows, planted, 10), noise(planted, cols, 11), noise(rows, cols, 12)];
    const x = matrix(rows, cols, (r, c) => {
      let sum = 0.5 * rest.data[r * cols + c]!;
      for (let k = 0; k < planted; k++) sum += scores.data[r * planted + k]! * directions.data[k * cols + c]!;
      return sum;
    });
    const found = await chooseDimensions(x, { seed: 3 });
    expect(found.chosen).toBe(planted);
    expect(found.rank).toBe(60);
    // More than there are make the prediction worse.
    expect(found.curve.at(-1)!.error).toBeGreaterThan(1.2 * Math.min(...found.curve.map(({ error }) => error)));
    expect(await chooseDimensions(x, { seed: 3 })).toEqual(found);
  });

  test('too little data is refused with the cure', async () => {
    await expect(chooseDimensions(noise(5, 4, 1))).rejects.toMatchObject({
      code: 'ERR_TOO_FEW_ROWS',
      message: expect.stringMatching(/Give a number of dimensions/),
    });
  });
});
