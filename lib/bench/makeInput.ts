/**
 * The process that writes the input of a cell, so that the memory and the time are not the bench's own:
 *
 *     node makeInput.js '<InputTask as JSON>'
 */
import { checkFinite } from '../formats/finite.js';
import { openNpy, writeNpy, writeNpyRows } from '../formats/npy.js';
import { answer } from './child.js';
import { rowMaker } from './kinds.js';
import type { Kind } from './types.js';

/** `from` a file (evenly spaced rows of it, in their order) or of a kind. */
export type InputTask = { readonly path: string; readonly rows: number } & (
  | { readonly from: string }
  | { readonly kind: Kind; readonly cols: number; readonly seed: number }
);

const task = JSON.parse(process.argv[2]!) as InputTask;
await answer(async () => {
  if ('from' in task) await sample(task.from, task.path, task.rows);
  else await generate(task.kind, task.cols, task.seed, task.path, task.rows);
  return {};
});

async function generate(kind: Kind, cols: number, seed: number, path: string, rows: number): Promise<void> {
  const next = rowMaker(kind, cols, seed);
  const row = new Float32Array(cols);
  await writeNpyRows(path, cols, async (append) => {
    for (let i = 0; i < rows; i++) {
      next(row);
      await append(row);
    }
  });
}

/** Neighbouring rows of a recording are alike, so the first N would be another kind of data than the whole. */
async function sample(from: string, path: string, rows: number): Promise<void> {
  const npy = await openNpy({ path: from });
  try {
    const data = npy.dtype === 'float32' ? new Float32Array(rows * npy.cols) : new Float64Array(rows * npy.cols);
    for (let i = 0; i < rows; i++) {
      const row = Math.floor((i * npy.rows) / rows);
      const values = data.subarray(i * npy.cols, (i + 1) * npy.cols);
      await npy.read(row, 1, values);
      checkFinite(values, npy.cols, from, row);
    }
    await writeNpy(path, { data, shape: [rows, npy.cols] });
  } finally {
    await npy.close();
  }
}
