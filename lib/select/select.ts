import { readNpy } from '../formats/npy.js';
import type { EmbeddingMatrix } from '../matrix.js';
import { checkMatrix, type PartitionOptions, partition } from './bins.js';
import { type DrawOptions, draw, planDraw } from './draw.js';
import type { Selection } from './types.js';

export interface SelectOptions extends PartitionOptions, DrawOptions {}

/**
 * Selects a coreset: `partition` into bins, then `draw` from them.
 * @param embeddings in memory, or the path of a float32 or float64 [N, d] .npy file.
 * @throws as `readNpy`, `partition` and `draw` do, naming the file; what can be checked is checked before the long part.
 */
export async function select(embeddings: EmbeddingMatrix | string, options: SelectOptions): Promise<Selection> {
  const fromFile = typeof embeddings === 'string';
  const matrix = fromFile ? await readNpy(embeddings, options) : embeddings;
  checkMatrix(matrix);
  planDraw(options, matrix.rows);
  return draw(await partition(matrix, options, fromFile ? embeddings : undefined), options);
}
