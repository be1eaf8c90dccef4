/** Retention of everything that is measured beside the primary metric: no verdicts, so no correction for their number. */
import { conditionsOf, groupBy, pairsOfDraws } from './pairs.js';
import { interval, mean } from './statistics.js';
import { type CurvePoint, type MeasureRow, PRIMARY, type RunResult } from './types.js';

/** How one number is read from a run; `best` only of what the whole curve has. */
interface Reader {
  readonly name: string;
  readonly last: (run: RunResult) => number;
  readonly best?: (run: RunResult) => number;
}

/**
 * One row for every arm, budget, protocol and measure: the validation metrics but the primary one, `valLoss`, `trainLoss`
 * (mean since the validation before), and after the last step `subsetLoss` and `poolLoss`. Best is the best value that the
 * measure itself takes on the curve, last that of the last point. Pairs as in `compareArms`. Of delta1..delta3 higher is
 * better, so their retention is metric(subset) / metric(full).
 */
export function compareMeasures(runs: readonly RunResult[], { seed = 0 }: { seed?: number } = {}): MeasureRow[] {
  return conditionsOf(runs).flatMap((group) => {
    const { task, budget, protocol } = group[0]!;
    const full = runs.filter((run) => run.arm === 'full' && run.task === task);
    const random = group.filter(({ arm }) => arm === 'random');
    const readers = readersOf([...group, ...full]);
    return [...groupBy(group, ({ arm }) => arm)].flatMap(([arm, own]) =>
      readers.flatMap(({ name, ...reader }) =>
        (['best', 'last'] as const).flatMap((at): MeasureRow[] => {
          const read = reader[at];
          if (!read) return [];
          const draws = pairsOfDraws(own, random, full, read);
          const higher = isHigherBetter(name);
          const over = (of: (pair: (typeof draws)[number][number]) => number) =>
            interval(
              draws.map((pairs) => mean(pairs.map(of))),
              seed,
            );
          return [
            {
              ...{ task, arm, budget, protocol, measure: name, at, draws: draws.length, runs: own.length },
              value: mean(draws.map((pairs) => mean(pairs.map((pair) => pair.arm)))),
              retention: over((pair) => (higher ? pair.arm / pair.full : pair.full / pair.arm)),
              change: over((pair) => pair.arm / pair.random - 1),
            },
          ];
        }),
      ),
    );
  });
}

/** Whether more is better. */
export function isHigherBetter(measure: string): boolean {
  return measure.startsWith('delta');
}

/** What all these runs have. */
function readersOf(runs: readonly RunResult[]): Reader[] {
  const [first] = runs;
  const metrics = Object.keys(first!.curve[0]!.metrics).filter((name) => name !== PRIMARY[first!.task]);
  const ofCurve = (name: string, at: (point: CurvePoint) => number): Reader => ({
    name,
    last: (run) => at(run.curve.at(-1)!),
    best: ({ curve }) => {
      const values = curve.map(at);
      return isHigherBetter(name) ? Math.max(...values) : Math.min(...values);
    },
  });
  const atTheEnd = (name: 'subsetLoss' | 'poolLoss'): Reader[] =>
    runs.every((run) => run[name] !== undefined) ? [{ name, last: (run) => run[name]! }] : [];
  return [
    ...metrics.map((name) => ofCurve(name, (point) => point.metrics[name]!)),
    ofCurve('valLoss', (point) => point.valLoss),
    ofCurve('trainLoss', (point) => point.trainLoss),
    ...atTheEnd('subsetLoss'),
    ...atTheEnd('poolLoss'),
  ];
}
