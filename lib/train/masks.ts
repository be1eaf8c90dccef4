/** Which patches the encoder sees in masked pretraining: random, but a function of seed, sample and pass alone. */
import { setImmediate } from 'node:timers/promises';
import { type Random, random } from '../data/random.js';
import { type MaskedConfig, patchCount } from './maskedGraph.js';
import { standardiseDepth } from './standardDepth.js';
import type { Batch, TrainingData } from './types.js';

/** A key of its own among the streams of random numbers. */
const STREAM = 0x6d61736b;

/**
 * `visible` of the patches of some modalities with `count` patches each, ascending, numbered through the modalities:
 * int32 [visible]. As in MultiMAE, shares s of the modalities are drawn from a symmetric Dirichlet distribution with
 * alpha 1, round(s visible) patches of each, uniformly; what rounding or a modality's size leaves over or lacks is taken
 * from, or given to, patches of all modalities alike.
 */
export function drawVisible(modalities: number, count: number, visible: number, rng: Random): Int32Array {
  // Exponential variates over their sum are Dirichlet(1, ..., 1).
  const parts = Array.from({ length: modalities }, () => -Math.log(1 - rng.uniform(0, 1)));
  const whole = parts.reduce((sum, part) => sum + part, 0);
  const chosen: number[] = [];
  const rest: number[] = [];
  parts.forEach((part, modality) => {
    const share = whole > 0 ? part / whole : 1 / modalities;
    const wanted = Math.min(count, Math.round(share * visible));
    shuffle(
      Array.from({ length: count }, (_, i) => modality * count + i),
      rng,
    ).forEach((patch, i) => {
      (i < wanted ? chosen : rest).push(patch);
    });
  });
  const all = [...shuffle(chosen, rng), ...shuffle(rest, rng)];
  return Int32Array.from(all.slice(0, visible)).sort();
}

/**
 * The same samples with the patches that the model sees, `visible` int32 [B, V]: other ones for every sample and pass.
 * Validation, which always takes pass 0, sees the same at every step. Depth, where it is rebuilt, is standardised.
 */
export function maskedData(
  data: TrainingData,
  { encoder, visible, rebuilt }: MaskedConfig,
  seed: number,
): TrainingData {
  const modalities = encoder.modalities.length;
  const count = patchCount(encoder) / modalities;
  return {
    samples: data.samples,
    async batch(places, epoch) {
      const batch = await data.batch(places, epoch);
      const ids = new Int32Array(places.length * visible);
      places.forEach((place, i) => {
        ids.set(drawVisible(modalities, count, visible, random(STREAM, seed, place, epoch)), i * visible);
      });
      if (rebuilt.includes('depth')) await standardiseAll(batch, places.length);
      return { ...batch, visible: { data: ids, dims: [places.length, visible] } };
    },
  };
}

/** Sorting an image takes a millisecond or more, between which the event loop comes round. */
async function standardiseAll({ depth, valid }: Batch, count: number): Promise<void> {
  const part = ({ data }: Batch[string], i: number) =>
    data.subarray((i * data.length) / count, ((i + 1) * data.length) / count) as Float32Array;
  for (let i = 0; i < count; i++) {
    standardiseDepth(part(depth!, i), part(valid!, i));
    await setImmediate();
  }
}

/** Fisher-Yates, in place. */
function shuffle(list: number[], rng: Random): number[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = rng.integer(0, i);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
