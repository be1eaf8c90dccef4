/** Bad arguments and interruptions: one sentence that names the option, and nothing half done. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type MaximizeOptions, maximize } from '#lib/select/maximize.js';
import { naiveMaximize } from '#lib/select/objectives/naive.js';
import { cloud } from './data.js';
import { sparse } from './objectives.js';

const matrix = cloud('isotropic', 1, 20, 3);
const rows = sparse(1, 20, 6);
const wide = cloud('isotropic', 1, 4, 5);
const costs = new Float64Array(20).fill(2);
const facility = { name: 'facility-location' } as const;

/** Options that plain JavaScript may pass, and what the message says. */
const cases: [string, unknown, RegExp][] = [
  ['no budget', { objective: facility }, /`budget` must be given, or else `maxCost`/],
  ['budget 0', { objective: facility, budget: 0 }, /`budget` must be .*1\.\.20, but it is 0/],
  ['budget beyond N', { objective: facility, budget: 21 }, /`budget`/],
  ['budget beyond what is left', { objective: facility, budget: 20, exclude: [3] }, /`budget` must be at most 19/],
  ['unknown objective', { objective: { name: 'facility' }, budget: 3 }, /`objective\.name` must be one of graph-cut/],
  ['no objective', { budget: 3 }, /`objective` must be an object with a name/],
  [
    'unknown parameter',
    { objective: { ...facility, lamda: 1 }, budget: 3 },
    /`objective\.lamda`.*similarity, gamma, nei/,
  ],
  [
    'bad parameter',
    { objective: { name: 'graph-cut', lambda: -1 }, budget: 3 },
    /`objective\.lambda` must be a number >= 0/,
  ],
  ['bad ridge', { objective: { name: 'log-determinant', ridge: 0 }, budget: 3 }, /`objective\.ridge`/],
  ['bad alpha', { objective: { name: 'saturated-coverage', alpha: 1.5 }, budget: 3 }, /`objective\.alpha`/],
  ['bad gamma', { objective: { ...facility, similarity: 'rbf', gamma: Number.NaN }, budget: 3 }, /`objective\.gamma`/],
  ['bad similarity', { objective: { ...facility, similarity: 'dot' }, budget: 3 }, /one of cosine, rbf/],
  ['no query', { objective: { name: 'graph-cut-mi' }, budget: 3 }, /`objective\.query` must be an EmbeddingMatrix or/],
  ['empty query', { objective: { name: 'graph-cut-mi', query: [] }, budget: 3 }, /at least one row/],
  ['query of another width', { objective: { name: 'graph-cut-mi', query: wide }, budget: 3 }, /query\.cols` must be 3/],
  [
    'query with fewer values than its shape',
    { objective: { name: 'graph-cut-mi', query: { ...wide, rows: 5 } }, budget: 3 },
    /objective\.query\.data\.length/,
  ],
  [
    'unknown private row',
    { objective: { name: 'graph-cut-cg', private: [20] }, budget: 3 },
    /private\[0\]` must be .*0\.\.19/,
  ],
  [
    'nu beyond 1',
    { objective: { name: 'log-determinant-cg', private: [1], nu: 2 }, budget: 3 },
    /nu` must be .*\[0, 1\]/,
  ],
  [
    'private row to include',
    { objective: { name: 'graph-cut-cg', private: [1] }, budget: 3, include: [1] },
    /`include\[0\]` must be a row that is neither in `exclude` nor in `private`/,
  ],
  ['excluded and included', { objective: facility, budget: 3, include: [1], exclude: [1] }, /include\[0\]/],
  ['unknown row', { objective: facility, budget: 3, include: [20] }, /`include\[0\]`/],
  ['row listed twice', { objective: facility, budget: 3, exclude: [2, 2] }, /`exclude\[1\]`/],
  [
    'initialSelection larger than the budget',
    { objective: facility, budget: 2, initialSelection: [1, 2, 3] },
    /`initialSelection` must be at most as many rows as the budget \(2\).*3 rows/,
  ],
  [
    'lazy where it would be wrong',
    { objective: { name: 'disparity-sum' }, budget: 3, optimizer: 'lazy' },
    /not submodular/,
  ],
  ['bidirectional elsewhere', { objective: facility, optimizer: 'bidirectional' }, /needs graph-cut or graph-cut-cg/],
  [
    'bidirectional with a budget',
    { objective: { name: 'graph-cut' }, optimizer: 'bidirectional', budget: 3 },
    /`budget` must be left out/,
  ],
  [
    'cost 0',
    { objective: facility, maxCost: 9, costs: costs.with(3, 0) },
    /`costs\[3\]` must be a number > 0, but it is 0/,
  ],
  ['NaN cost', { objective: facility, maxCost: 9, costs: costs.with(3, Number.NaN) }, /`costs\[3\]`.*NaN/],
  ['too few costs', { objective: facility, maxCost: 9, costs: [1] }, /`costs\.length` must be 20/],
  ['costs without a limit', { objective: facility, budget: 3, costs }, /`maxCost` must be given/],
  ['a limit without costs', { objective: facility, maxCost: 3 }, /`costs` must be a list of 20 numbers/],
  ['both limits', { objective: facility, budget: 3, maxCost: 3, costs }, /`budget` must be left out/],
  ['nothing fits', { objective: facility, maxCost: 1, costs }, /`maxCost` must be at least 2/],
  [
    'the start does not fit',
    { objective: facility, maxCost: 3, costs, include: [1, 2] },
    /`maxCost` must be at least 4/,
  ],
  ['costs where greedy means nothing', { objective: { name: 'disparity-sum' }, maxCost: 9, costs }, /submodular/],
  ['empty mixture', { objective: [], budget: 3 }, /at least one/],
  ['bad weight', { objective: [{ weight: 0, objective: facility }], budget: 3 }, /`objective\[0\]\.weight`/],
  [
    'k-center in a mixture',
    { objective: [{ weight: 1, objective: { name: 'k-center' } }], budget: 3 },
    /only counts alone/,
  ],
  ['no concepts', { objective: { name: 'set-cover' }, budget: 3 }, /`objective\.concepts` must be/],
  [
    'concepts of other rows',
    { objective: { name: 'set-cover', concepts: sparse(1, 19, 6) }, budget: 3 },
    /`objective\.concepts\.rows` must be 20/,
  ],
  [
    'probability beyond 1',
    {
      objective: { name: 'probabilistic-set-cover', concepts: { ...rows, values: rows.values!.with(2, 1.5) } },
      budget: 3,
    },
    /concepts\.values\[2\]` must be a probability in \[0, 1\]/,
  ],
  [
    'negative feature',
    { objective: { name: 'feature-based', features: { ...rows, values: rows.values!.with(2, -1) } }, budget: 3 },
    /features\.values\[2\]` must be .*>= 0/,
  ],
  [
    'column out of range',
    { objective: { name: 'set-cover', concepts: { ...rows, indices: rows.indices.with(0, 6) } }, budget: 3 },
    /indices\[0\]` must be in 0\.\.5/,
  ],
  [
    'column twice',
    { objective: { name: 'set-cover', concepts: { ...rows, indices: rows.indices.map(() => 1) } }, budget: 3 },
    /a column once in a row/,
  ],
  [
    'offsets that fall',
    { objective: { name: 'set-cover', concepts: { ...rows, offsets: rows.offsets.with(1, 100) } }, budget: 3 },
    /offsets\[2\]` must be at least 100/,
  ],
  [
    'groups of too few columns',
    { objective: facility, budget: 3, modalities: [{ cols: 2, weight: 1 }] },
    /3 columns in all/,
  ],
  ['negative weight of a group', { objective: facility, budget: 3, modalities: [{ cols: 3, weight: -1 }] }, /weight`/],
  ['bad seed', { objective: facility, budget: 3, seed: -1 }, /`seed`/],
  ['bad epsilon', { objective: facility, budget: 3, epsilon: 1 }, /`epsilon`/],
];

test.each(cases)('%s', async (_, options, message) => {
  const error = await maximize(matrix, options as MaximizeOptions).then(
    () => expect.unreachable(),
    (e) => e,
  );
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/\.$/);
  expect(['ERR_OUT_OF_RANGE', 'ERR_INVALID_ARG_TYPE']).toContain(error.code);
  expect(() => naiveMaximize(matrix, options as MaximizeOptions)).toThrow(message);
});

test('threads out of range', async () => {
  await expect(maximize(matrix, { objective: facility, budget: 3, threads: 2000 })).rejects.toThrow(/`threads`/);
});

describe('bad data', () => {
  const poisoned = (value: number, type: 'float32' | 'float64' = 'float32') => {
    const bad = cloud('isotropic', 1, 20, 3, type);
    bad.data[7 * 3 + 2] = value;
    return bad;
  };
  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%s in a row', async (value) => {
    const call = maximize(poisoned(value), { objective: facility, budget: 3 }, 'embeddings.npy');
    await expect(call).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/^embeddings\.npy has .* in row 7, column 2/),
    });
  });
  test('values whose squares overflow', async () => {
    const call = maximize(poisoned(1e200, 'float64'), { objective: { name: 'k-center' }, budget: 3 });
    await expect(call).rejects.toMatchObject({
      name: 'DataError',
      message: expect.stringMatching(/row 7 .*1e150.*scale/),
    });
  });
  test('a query that is not finite', async () => {
    const query = { data: Float32Array.of(1, Number.NaN, 2), rows: 1, cols: 3 };
    const call = maximize(matrix, { objective: { name: 'graph-cut-mi', query }, budget: 3 });
    await expect(call).rejects.toMatchObject({
      code: 'ERR_NOT_FINITE',
      message: expect.stringMatching(/query.*row 0/),
    });
  });
  test('dense features below 0', async () => {
    const options = { objective: { name: 'feature-based' } as const, budget: 3 };
    const features = { ...matrix, data: matrix.data.map(Math.abs).with(10, -0.5) };
    await expect(maximize(features, options)).rejects.toMatchObject({
      name: 'DataError',
      code: 'ERR_NEGATIVE_FEATURE',
      message: expect.stringMatching(/row 3, column 1 .*shift, clip or square/),
    });
    expect(() => naiveMaximize(features, options)).toThrow(/row 3, column 1/);
  });
  test('an objective over embeddings, given sparse rows', async () => {
    await expect(maximize(rows, { objective: facility, budget: 3 })).rejects.toThrow(/objective over sparse rows/);
  });
});

describe('AbortSignal and progress', () => {
  const large = cloud('isotropic', 2, 4000, 16);
  test('aborted before', async () => {
    const reason = { any: 'value' };
    const call = maximize(large, { objective: facility, budget: 5, signal: AbortSignal.abort(reason) });
    await expect(call).rejects.toBe(reason);
  });
  test.each([
    facility,
    { name: 'log-determinant' },
    { name: 'disparity-sum' },
    { ...facility, similarity: 'rbf', neighbours: 9 },
  ] as const)('while %j runs', async (objective) => {
    const controller = new AbortController();
    const started = performance.now();
    const call = maximize(large, { objective, budget: 3500, optimizer: 'naive', signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect(performance.now() - started).toBeLessThan(2000);
  });
  test('progress rises to the budget; what it throws ends the call', async () => {
    const seen: number[] = [];
    const options = { objective: { name: 'disparity-sum' } as const, budget: 3000 };
    await maximize(large, { ...options, onProgress: ({ done, total }) => seen.push(done / total) });
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
    const complain = () => {
      throw new Error('no more');
    };
    await expect(maximize(large, { ...options, onProgress: complain })).rejects.toThrow('no more');
  });
});

test('a worker that is terminated with selections under way takes nobody along', () => {
  const product = new URL('../../dist/index.js', import.meta.url).href;
  const worker = `
    Promise.all([import('${product}'), import('node:worker_threads')]).then(([coregain, { parentPort }]) => {
      const { maximize, sieveStream } = coregain;
      const data = Float32Array.from({ length: 20000 * 16 }, (_, i) => Math.sin(i * i));
      const matrix = { data, rows: 20000, cols: 16 };
      maximize(matrix, { objective: { name: 'facility-location' }, budget: 5000 });
      sieveStream({ objective: { name: 'log-determinant' }, budget: 300 }).partialFit(matrix);
      setTimeout(() => parentPort.postMessage('at work'), 50);
    });`;
  const script = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
      await once(worker, 'message');
      await worker.terminate();
    }
    console.log('alive');`;
  const options = { encoding: 'utf8', timeout: 50_000 } as const;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
  expect(stderr).toBe('');
  expect(stdout).toBe('alive\n');
});
