/** PCA and UMAP on a device: as near the processor as docs/gpu.md says. */

import type { TriedDevice } from '../deviceTrial.js';
import { fitInPasses } from '../reduce/pcaPasses.js';
import type { PcaMethod, PcaPlan } from '../reduce/pcaPlan.js';
import * as umap from '../reduce/umap.js';
import { embeddings, spectrum } from './clouds.js';

const DIMS = 8;
const SHAPES = { covariance: [1100, 200], gram: [200, 1100], krylov: [700, 500] } as const;
/** Sines of angles between the spaces: Krylov's is not yet what it tends to. */
const MOST_SINE = { covariance: 1e-5, gram: 1e-5, krylov: 1e-4 } as const;
/** Of the largest variance. */
const MOST_VARIANCE = 1e-6;
const MOST_SCORE = 1e-4;

export async function checkPca(device: TriedDevice, method: Exclude<PcaMethod, 'small'>): Promise<void> {
  const [rows, cols] = SHAPES[method];
  const input = { ...spectrum(rows, cols, 4), dtype: 'float32' as const, source: 'The rows of the trial' };
  const plan: PcaPlan = {
    ...{ method, whole: true, blockRows: rows, residentRows: rows, scores: true, bytes: 0 },
    // of gram more than one slice of columns
    blockColumns: method === 'gram' ? 576 : DIMS,
  };
  const fitOn = async (index: number) => {
    const wanted = { components: true, scores: true, overwrite: false, whiten: false };
    const passes = { ...wanted, dims: DIMS, seed: 0, threads: 0, device: index };
    const { summary, model, scores } = await fitInPasses(input, plan, passes, undefined);
    return { variance: summary.variance, components: model!.components, scores };
  };
  const [want, got] = [await fitOn(-1), await fitOn(Number(device.split(':')[1]))];
  near('variances', got.variance, want.variance, MOST_VARIANCE * want.variance[0]!);
  for (let q = 0; q < DIMS; q++) {
    const outside = lengthOutside(want.components, got.components.subarray(q * cols, (q + 1) * cols));
    if (outside <= MOST_SINE[method]) continue;
    throw new Error(`Component ${q} is outside the processor's space by a sine of ${outside}.`);
  }
  if (want.scores) near('scores', got.scores ?? [], want.scores, MOST_SCORE);
}

/** What a row has outside the space of others, which are orthonormal. */
function lengthOutside(space: Float32Array | Float64Array, row: Float32Array | Float64Array): number {
  const rest = Float64Array.from(row);
  for (let o = 0; o < space.length; o += row.length) {
    let along = 0;
    for (let j = 0; j < row.length; j++) along += space[o + j]! * row[j]!;
    for (let j = 0; j < row.length; j++) rest[j]! -= along * space[o + j]!;
  }
  return Math.hypot(...rest);
}

function near(what: string, got: ArrayLike<number>, want: ArrayLike<number>, most: number): void {
  if (got.length !== want.length) throw new Error(`There are ${got.length} ${what} instead of ${want.length}.`);
  for (let i = 0; i < want.length; i++) {
    const off = Math.abs(got[i]! - want[i]!);
    if (!(off <= most)) throw new Error(`The ${what} differ from the processor's by ${off} at ${i}; ${most} may be.`);
  }
}

/** The same neighbours give the same layout, to the last bit. */
export async function checkNeighbours(device: TriedDevice): Promise<void> {
  const matrix = embeddings(1000, 30, 'float32', 5);
  const task = { dims: 2, epochs: 1, neighbourSearch: 'exact' } as const;
  const want = await umap.fit(matrix, { ...task, device: 'cpu' });
  const got = await umap.fit(matrix, { ...task, device });
  if (got.model.device !== device) throw new Error(`The neighbours were found on ${got.model.device}.`);
  near('coordinates', got.matrix.data, want.matrix.data, 0);
}
