import { expect, test } from 'vitest';
import { checkExperiment, type ExperimentConfigInput } from '#lib/experiment/config.js';
import { cellSteps, embeddingChoices, experimentArms, experimentCells, stepsOf } from '#lib/experiment/grid.js';

const config = (change: Partial<ExperimentConfigInput> = {}) => checkExperiment({ data: { generate: {} }, ...change });
const names = (change: Partial<ExperimentConfigInput>) => experimentArms(config(change)).map(({ name }) => name);

test('every strategy on every embedding, beside full and random; names say what differs', () => {
  expect(
    names({
      strategies: ['bins', 'dbal'],
      embeddings: { aggregation: ['concat', 'mean'], reduce: ['pca', 'none'], dims: [8, 16] },
    }),
  ).toEqual([
    'full',
    'random',
    ...['bins', 'dbal'].flatMap((strategy) =>
      ['concat', 'mean'].flatMap((aggregation) =>
        ['pca-8', 'pca-16', 'whole'].map((reduction) => `${strategy} ${aggregation} ${reduction}`),
      ),
    ),
  ]);
  expect(
    names({
      strategies: ['bins'],
      embeddings: { modalities: [['rgb'], ['rgb', 'semseg']], layer: [1, 3], reduce: ['none'] },
    }),
  ).toEqual([
    'full',
    'random',
    'bins concat-modalities rgb layer.1 whole',
    'bins concat-modalities rgb layer.3 whole',
    'bins concat-modalities rgb+semseg layer.1 whole',
    'bins concat-modalities rgb+semseg layer.3 whole',
  ]);
});

test('arms that look at another encoder are named by its weights', () => {
  const arms = [{}, { weights: 'random' }, { weights: 'weights/masked-64.safetensors' }];
  const listed = experimentArms(config({ arms: arms.map((arm) => ({ strategy: 'dbal' as const, ...arm })) })).slice(2);
  expect(listed.map(({ name }) => name)).toEqual([
    'dbal concat-modalities pca-64',
    'dbal concat-modalities random pca-64',
    'dbal concat-modalities masked-64 pca-64',
  ]);
  expect(listed[0]!.embedding).not.toHaveProperty('weights');
  expect(listed[1]!.embedding!.weights).toBe('random');
});

test('arms that are listed take the place of the grid; what one leaves out is the first value of `embeddings`', () => {
  const arms = experimentArms(
    config({
      embeddings: { aggregation: ['mean', 'sum'], dims: [12, 24], layer: [2, 3] },
      arms: [
        { strategy: 'bins' },
        { strategy: 'dbal', aggregation: 'concat', reduce: 'none', layer: 0, modalities: ['rgb'] },
      ],
    }),
  ).slice(2);
  expect(arms).toEqual([
    {
      name: 'bins mean rgb+semseg layer.2 pca-12',
      strategy: 'bins',
      embedding: { aggregation: 'mean', modalities: ['rgb', 'semseg'], layer: 'layer.2', reduction: 'pca', dims: 12 },
    },
    {
      name: 'dbal concat rgb layer.0 whole',
      strategy: 'dbal',
      embedding: { aggregation: 'concat', modalities: ['rgb'], layer: 'layer.0', reduction: 'none', dims: undefined },
    },
  ]);
});

test('layers of a trained adapter keep their names; no layer is the last', () => {
  const embeddings = { aggregation: ['concat' as const], layer: ['head_out' as const, 'path_2' as const, 0] };
  expect(embeddingChoices(config({ embeddings })).map(({ layer }) => layer)).toEqual(['head_out', 'path_2', 'layer.0']);
  expect(embeddingChoices(config())[0]!.layer).toBe('last');
});

test('one cell for each draw, training seed, arm, protocol, budget; only random has several subsets, full data no budget', () => {
  const whole = config({
    strategies: ['bins'],
    budgets: [0.1, 0.5],
    protocols: ['equal-steps', 'equal-epochs'],
    seeds: { draws: 3, random: 4, training: 2 },
  });
  const cells = experimentCells(whole);
  // Full once; 2 budgets x 2 protocols x (4 random + 1 of bins).
  expect(cells).toHaveLength(3 * 2 * (1 + 4 * 5));
  expect(new Set(cells.map((cell) => JSON.stringify(cell))).size).toBe(cells.length);
  expect(cells.filter(({ arm }) => arm.name === 'full').every(({ budget }) => budget === 1)).toBe(true);
  expect(cells.map(({ draw }) => draw)).toEqual(cells.map(({ draw }) => draw).sort());
});

test('steps: as many as the full data, or in proportion to the samples', () => {
  expect(stepsOf('equal-steps', 400, 20, 100)).toBe(400);
  expect(stepsOf('equal-epochs', 400, 20, 100)).toBe(80);
  expect(stepsOf('equal-epochs', 10, 1, 1000)).toBe(1);
  const whole = config({ training: { steps: 50 }, budgets: [0.2], protocols: ['equal-epochs'], strategies: ['bins'] });
  const cells = experimentCells(whole);
  expect([cellSteps(whole, cells[0]!), cellSteps(whole, cells[1]!)]).toEqual([50, 10]);
});
