import type { Comparison, Interval } from '../../experiment/types.js';
import { plural } from '../numbers.js';

/** A fraction as a percentage of one decimal with a true minus sign, `–` where there is no number. */
export function percent(fraction: number | undefined): string {
  if (fraction === undefined || !Number.isFinite(fraction)) return '–';
  const digits = (100 * fraction).toFixed(1);
  return `${digits === '-0.0' ? '0.0' : digits} %`.replace('-', '\u2212');
}

/** `2.0 % (1.0 % to 3.0 %)`: the mean and its 95 % interval. */
export function interval(value: Interval | undefined, format: (value: number) => string = percent): string {
  return value ? `${format(value.mean)} (${format(value.low)} to ${format(value.high)})` : '–';
}

type Condition = Pick<Comparison, 'task' | 'budget' | 'protocol' | 'at'>;

/** `depth, 20.0 % of the data, equal steps, last`: what the arms of one group have in common. */
export function conditions({ task, budget, protocol, at }: Condition): string {
  return `${task}, ${percent(budget)} of the data, ${protocol.replace('-', ' ')}, ${at}`;
}

/** Comparisons, or other rows, by task, protocol (equal steps first), budget, then `best` before `last`; arms keep their order. */
export function groups<Row extends Condition>(rows: readonly Row[]): Row[][] {
  const byCondition = new Map<string, Row[]>();
  for (const row of rows) {
    const key = JSON.stringify([row.task, row.protocol, row.budget, row.at]);
    byCondition.set(key, [...(byCondition.get(key) ?? []), row]);
  }
  return [...byCondition.values()].sort(([a], [b]) => {
    const order = (x: string, y: string) => (x < y ? -1 : x > y ? 1 : 0);
    return order(a!.task, b!.task) || order(b!.protocol, a!.protocol) || a!.budget - b!.budget || order(a!.at, b!.at);
  });
}

/** The verdict on one group in a sentence, with what the experiment was too small to see. */
export function verdictSentence(group: readonly Comparison[]): string {
  const arms = group.filter(({ arm }) => arm !== 'random' && arm !== 'full');
  const where = conditions(group[0]!);
  if (arms.length === 0) return `Nothing was compared with random at ${where}.`;
  const named = (verdict: Comparison['verdict']) =>
    arms.filter((comparison) => comparison.verdict === verdict).map(({ arm }) => arm);
  const better = named('beats random');
  const worse = named('worse than random');
  const counts = arms.map(({ draws }) => draws);
  const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
  const draws = fewest === most ? plural(most, 'draw') : `${fewest} to ${plural(most, 'draw')}`;
  const beats = better.length > 0 ? `better than random: ${better.join(', ')}` : 'no arm beats random';
  const loses = worse.length > 0 ? `; worse than random: ${worse.join(', ')}` : '';
  const limits = arms.map(({ detectable }) => detectable).filter(Number.isFinite);
  const power =
    limits.length < arms.length
      ? 'how small a difference could have been seen cannot be said'
      : `a difference under ${percent(Math.max(...limits))} could have been missed`;
  const chance = group.find(({ arm }) => arm === 'random')?.bestOfChance;
  const luck =
    chance === undefined
      ? ''
      : ` If none of the ${arms.length} arms chose better than random, the best of them would still be expected ${percent(chance)} ahead.`;
  return `With ${draws}, at ${where}: ${beats}${loses}; ${power}.${luck}`;
}
