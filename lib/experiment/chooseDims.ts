/** Which number of dimensions kept most, chosen and measured on different validation images. */
import { shuffled } from '../select/random.js';
import type { ValidationImages } from './compare.js';
import { conditionsOf, groupBy, pairsOfDraws } from './pairs.js';
import { mean } from './statistics.js';
import { type Arm, type DimsChoice, PRIMARY, type RunResult } from './types.js';

export interface DimsOptions {
  /** Of the halves. */
  readonly seed?: number | undefined;
  /** By draw: clips stay whole. */
  readonly validation?: readonly ValidationImages[] | undefined;
}

/**
 * One row for arms that differ in their number of dimensions alone, at each budget and protocol. The validation images of
 * each draw are halved at random, clips as a whole; the arm with the least mean change against random on one half is
 * measured on the other half, and the reverse: the best of several numbers, reported on the images that it was found best
 * on, would look better than it is. Changes are those of the last step, paired as in `compareArms`.
 *
 * Nothing where no arms differ in dimensions alone, or where a draw has fewer than two images (clips).
 */
export function dimsByRetention(
  runs: readonly RunResult[],
  arms: readonly Arm[],
  { seed = 0, validation }: DimsOptions = {},
): DimsChoice[] {
  const families = [...groupBy(arms.filter(hasDims), familyOf)].filter(([, members]) => members.length > 1);
  const halves = new Map<number, Uint8Array | undefined>();
  for (const { draw, perImage } of runs) {
    if (!halves.has(draw)) halves.set(draw, halvesOf(perImage.length, validation?.[draw]?.clips, seed));
  }
  if ([...halves.values()].includes(undefined)) return [];
  return conditionsOf(runs).flatMap((group) => {
    const { task, budget, protocol } = group[0]!;
    const full = runs.filter((run) => run.arm === 'full' && run.task === task);
    const random = group.filter(({ arm }) => arm === 'random');
    const measured = (arm: string, half: 0 | 1 | undefined) => {
      const own = group.filter((run) => run.arm === arm);
      const draws = pairsOfDraws(own, random, full, (run) => metricOn(run, halves.get(run.draw)!, half));
      return {
        arm,
        change: mean(draws.map((pairs) => mean(pairs.map((pair) => pair.arm / pair.random - 1)))),
        retention: mean(draws.map((pairs) => mean(pairs.map((pair) => pair.full / pair.arm)))),
      };
    };
    return families.map(([family, members]): DimsChoice => {
      const bestOn = (half: 0 | 1 | undefined) =>
        members
          .map(({ name }) => measured(name, half))
          .reduce((best, found) => (found.change < best.change ? found : best));
      const chosen = [bestOn(0).arm, bestOn(1).arm] as const;
      const elsewhere = [measured(chosen[0], 1), measured(chosen[1], 0)];
      return {
        ...{ task, budget, protocol, metric: PRIMARY[task], family, arms: members.map(({ name }) => name), chosen },
        change: mean(elsewhere.map(({ change }) => change)),
        retention: mean(elsewhere.map(({ retention }) => retention)),
        changeOfBest: bestOn(undefined).change,
      };
    });
  });
}

/** What the choices come to, in a sentence; nothing where there are none. */
export function dimsNote(choices: readonly DimsChoice[]): string[] {
  if (choices.length === 0) return [];
  const agreed = choices.filter(({ chosen: [a, b] }) => a === b).length;
  const percent = (of: (choice: DimsChoice) => number) => `${(100 * mean(choices.map(of))).toFixed(1)} %`;
  return [
    `Numbers of dimensions chosen on one half of the validation images change the error by ${percent(({ change }) => change)} against random on the other half; chosen and measured on all images it would read ${percent(({ changeOfBest }) => changeOfBest)}. The halves chose the same number in ${agreed} of ${choices.length} cases.`,
  ];
}

function hasDims({ embedding }: Arm): boolean {
  return embedding?.dims !== undefined;
}

/** The name without its number of dimensions. */
function familyOf({ name, embedding }: Arm): string {
  return name.slice(0, name.length - `-${embedding!.dims}`.length);
}

/** For each image 0 or 1; undefined where there are not two clips. */
function halvesOf(
  images: number,
  clips: readonly (string | number)[] | undefined,
  seed: number,
): Uint8Array | undefined {
  const clipOf = clips ?? Array.from({ length: images }, (_, image) => image);
  const names = [...new Set(clipOf)];
  if (names.length < 2) return undefined;
  const halfOf = new Map(Array.from(shuffled(names.length, seed, 6), (clip, place) => [names[clip]!, place % 2]));
  return Uint8Array.from(clipOf, (clip) => halfOf.get(clip)!);
}

function metricOn({ task, perImage }: RunResult, halves: Uint8Array, half: 0 | 1 | undefined): number {
  const values = perImage.filter((value, i) => !Number.isNaN(value) && (half === undefined || halves[i] === half));
  return task === 'depth' ? Math.sqrt(mean(values)) : mean(values);
}
