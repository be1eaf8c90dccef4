/** The random views of a sample that the training recipes draw. */
import { random } from '../data/random.js';
import { drawColour } from './colour.js';
import { type PixelMap, pixelMap } from './geometry.js';

/**
 * - `official` (MultiMAE on NYU): the image with its shorter side at S, flipped left-right with probability 0.5, colour
 *   jitter (0.5) and grey (0.3), random S x S crop.
 * - `paper` (on CLEVR): the image at S x S, each flip with probability 0.5, rotated by 0 to 90 degrees.
 * - `none`: every view is the sample as it is.
 */
export type Augmentation = 'official' | 'paper' | 'none';
export const AUGMENTATIONS = ['official', 'paper', 'none'] as const satisfies readonly Augmentation[];

/** What to do to a record. */
export interface View {
  readonly map: PixelMap;
  /** Changes interleaved RGB of the whole record, 0..255, in place. */
  readonly colour: ((rgb: Float32Array) => void) | undefined;
}

/** A key of its own among the streams of random numbers. */
const STREAM = 0x766965;

/**
 * View `view` of sample `row`: the same for equal (seed, row, view), whatever else is drawn. View 0, and every view of
 * `none`, is the middle `side` x `side` pixels, unchanged.
 */
export function drawView(
  augmentation: Augmentation,
  { width, height }: { width: number; height: number },
  side: number,
  key: { seed: number; row: number; view: number },
): View {
  const middle = { x: (width - side) >> 1, y: (height - side) >> 1, flipX: false, flipY: false, rotation: 0 };
  if (augmentation === 'none' || key.view === 0) return { map: pixelMap(width, side, middle), colour: undefined };
  const rng = random(STREAM, key.seed, key.row, key.view);
  const flipX = rng.uniform(0, 1) < 0.5;
  if (augmentation === 'paper') {
    const flipY = rng.uniform(0, 1) < 0.5;
    const rotation = rng.uniform(0, 90);
    return { map: pixelMap(width, side, { ...middle, flipX, flipY, rotation }), colour: undefined };
  }
  const colour = drawColour(rng);
  const [x, y] = [rng.integer(0, width - side), rng.integer(0, height - side)];
  return { map: pixelMap(width, side, { ...middle, flipX, x, y }), colour };
}
