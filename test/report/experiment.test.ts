import { describe, expect, it } from 'vitest';
import { experimentPage } from '#lib/report/experiment/page.js';
import { experimentTable } from '#lib/report/experiment/table.js';

const comparison = (arm: string, more = {}) => ({
  ...{ task: 'depth', arm, budget: 0.2, protocol: 'equal-steps', metric: 'rmse', at: 'last', draws: 5, runs: 5 },
  ...{ value: { mean: 0.5, low: 0.4, high: 0.6 }, retention: { mean: 0.9, low: 0.8, high: 1 } },
  ...{ change: { mean: -0.012, low: -0.03, high: 0.006 }, p: 0.25, pHolm: 0.5, detectable: 0.031 },
  ...{ verdict: 'no difference seen', ...more },
});
const table = (comparisons: unknown[], notes: string[] = []) =>
  experimentTable({ title: 'T', comparisons, notes } as never).join('\n');

describe('experimentTable', () => {
  it('says what was seen and what could not be', () => {
    const text = table([comparison('bins')], ['clipped']);
    expect(text).toContain(
      'With 5 draws, at depth, 20.0 % of the data, equal steps, last: no arm beats random; a difference under 3.1 % could have been missed.',
    );
    expect(text).toMatch(/bins +rmse 0\.5 +90\.0 % +−1\.2 % \(−3\.0 % to 0\.6 %\) +0\.500 +3\.1 % +no difference seen/);
    expect(text).toContain('note: clipped');
  });

  it('names the better and the worse, and claims no power that is unknown', () => {
    const text = table([
      comparison('a', { verdict: 'beats random', detectable: Number.NaN, draws: 1 }),
      comparison('b', { verdict: 'worse than random', draws: 1 }),
    ]);
    expect(text).toContain('With 1 draw, ');
    expect(text).toContain(
      'better than random: a; worse than random: b; how small a difference could have been seen cannot be said.',
    );
  });

  it('says how far the best of several arms is ahead by chance', () => {
    const random = comparison('random', { bestOfChance: 0.0244 });
    expect(table([random, comparison('a'), comparison('b')])).toContain(
      'If none of the 2 arms chose better than random, the best of them would still be expected 2.4 % ahead.',
    );
    expect(table([comparison('random'), comparison('a')])).not.toContain('If none');
  });

  it('puts equal steps first and small budgets first', () => {
    const text = table([
      comparison('x', { protocol: 'equal-epochs' }),
      comparison('y', { budget: 0.5 }),
      comparison('z'),
    ]);
    expect(['  z', '  y', '  x'].map((arm) => text.indexOf(arm)).every((at, i, all) => at > (all[i - 1] ?? 0))).toBe(
      true,
    );
  });

  it('without comparisons says so', () => expect(table([])).toContain('Nothing was compared.'));
});

describe('experimentPage', () => {
  const evil = '<script>x</script>';
  const curve = [1, 2, 3].map((step) => ({
    step: step * 10,
    epoch: step,
    trainLoss: 1 / step,
    valLoss: 1.5 / step,
    metrics: {},
  }));
  const run = (arm: string, budget: number) => ({
    key: arm,
    task: 'depth',
    arm,
    budget,
    protocol: 'equal-steps',
    draw: 0,
    selectSeed: 1,
    trainSeed: 2,
    samples: 10,
    steps: 30,
    seconds: 1,
    curve,
    best: 2,
    perImage: [],
  });
  const summary = {
    title: evil,
    config: {},
    arms: [{ name: 'full' }, { name: evil }],
    runs: [run('full', 1), run(evil, 0.2)],
    comparisons: [comparison(evil)],
    measures: [
      {
        ...{
          task: 'depth',
          arm: evil,
          budget: 0.2,
          protocol: 'equal-steps',
          measure: 'absrel',
          at: 'best',
          value: 0.375,
        },
        ...{ retention: { mean: 0.9, low: 0.8, high: 1 }, change: { mean: 0, low: 0, high: 0 }, draws: 5, runs: 5 },
      },
    ],
    notes: [evil],
    diagnostics: [{ [evil]: evil }],
    dimsChoices: [
      {
        ...{ task: 'depth', budget: 0.2, protocol: 'equal-steps', metric: 'rmse', family: evil },
        ...{ arms: [`${evil}-8`, `${evil}-16`], chosen: [`${evil}-16`, `${evil}-8`] },
        ...{ change: -0.021, retention: 0.93, changeOfBest: -0.043 },
      },
    ],
    versions: {},
    machine: evil,
    started: 'a',
    finished: 'b',
    seconds: 3,
  };
  const map = Float32Array.of(1, 2, 3, 4);
  const examples = [
    {
      id: evil,
      arm: evil,
      budget: 0.2,
      protocol: 'equal-steps',
      rmse: 0.25,
      rank: 'worst',
      side: 2,
      rgb: new Uint8Array(12),
      truth: map,
      prediction: map,
      valid: Uint8Array.of(1, 1, 1, 0),
    },
  ];
  const thumbnail = { id: evil, rgb: new Uint8Array(12), width: 2, height: 2 };
  const coresets = [{ arm: evil, budget: 0.2, draw: 0, onlyHere: [thumbnail], onlyRandom: [] }];

  it('has every section and the numbers given, and no markup of the data', () => {
    const page = experimentPage({ summary, examples, coresets } as never);
    for (const id of ['retention', 'measures', 'curves', 'examples', 'coresets', 'diagnostics', 'runs'])
      expect(page).toContain(`<section id="${id}">`);
    expect(page).toContain('−1.2 % (−3.0 % to 0.6 %)');
    expect(page).toContain('<summary>rmse, change over images, gap closure</summary>');
    expect(page).toContain('<td>0.5 (0.4 to 0.6)</td>');
    expect(page).toContain('0.375<br>90.0 % (80.0 % to 100.0 %)');
    expect(page).toContain('<td>16 and 8</td><td>93.0 %</td><td>−2.1 %</td><td>−4.3 %</td>');
    expect(page.match(/data:image\/png/g)).toHaveLength(5);
    expect(page).not.toContain('<script');
    expect(page).not.toMatch(/NaN|undefined/);
  });

  it('adds the median over draws to the diagnostics', () => {
    const diagnostics = [0.2, 0.9, 0.4].map((value, draw) => ({ draw, CKA: value, expectation: 'none' }));
    const page = experimentPage({ summary: { ...summary, diagnostics }, examples: [], coresets: [] } as never);
    expect(page).toContain('<tfoot><tr><td>median</td><td>0.4</td><td></td></tr></tfoot>');
  });

  it('says what is missing', () => {
    const page = experimentPage({
      summary: { ...summary, runs: [], comparisons: [], measures: [], diagnostics: [], dimsChoices: [] },
      examples: [],
      coresets: [],
    } as never);
    for (const text of [
      'Nothing was compared.',
      'Nothing else was measured.',
      'There are no runs.',
      'No depth predictions',
      'Nothing was diagnosed.',
    ])
      expect(page).toContain(text);
  });
});
