/** Embeddings from the feature maps of a trained DPT adapter, as the paper's "head_out". */
import type { EmbeddingMatrix } from '../matrix.js';
import { createModelFolder } from '../onnx/modelFolder.js';
import { openSession, type SessionTensor } from '../onnx/session.js';
import type { JobOptions } from '../progress.js';
import { featureGraph } from '../train/trainingGraph.js';
import { ADAPTER_LAYERS, type ExperimentConfig } from './config.js';
import type { Draw } from './openDraw.js';

/** Reads a weight by its name in a checkpoint. */
export type WeightReader = (name: string) => Promise<Float32Array>;

export type AdapterLayer = (typeof ADAPTER_LAYERS)[number];

/** Whether a layer's name is of the adapter rather than a block of the encoder. */
export function isAdapterLayer(layer: string): layer is AdapterLayer {
  return (ADAPTER_LAYERS as readonly string[]).includes(layer);
}

function pathOf(layer: AdapterLayer): 1 | 2 | 3 | 4 {
  return layer === 'head_out' ? 1 : (Number(layer.slice('path_'.length)) as 1 | 2 | 3 | 4);
}

/** Length of the rows of `adapterFeatures`: path 4 has the `side` of the tokens, each finer one twice that of the one before. */
export function adapterFeatureCount(
  layer: AdapterLayer,
  aggregation: string,
  featureDim: number,
  side: number,
): number {
  return aggregation === 'concat' ? featureDim * (side * 2 ** (4 - pathOf(layer))) ** 2 : featureDim;
}

/**
 * One row for every sample of the pool: the map [featureDim, side, side] as it is (`concat`, channels first), or its mean
 * or sum over places, summed in float64. On a SharedArrayBuffer.
 */
export async function adapterFeatures(
  { training, encoder, threads }: ExperimentConfig,
  draw: Draw,
  weights: WeightReader,
  layer: AdapterLayer,
  aggregation: 'concat' | 'mean' | 'sum',
  { signal, onProgress }: JobOptions,
): Promise<EmbeddingMatrix> {
  const { adapter } = draw.model;
  if (adapter.kind !== 'dpt') throw new TypeError(`Layer ${layer} is of a DPT adapter, not of ${adapter.kind}.`);
  const { batch } = training;
  const path = pathOf(layer);
  const graph = featureGraph(draw.model, adapter, path, batch);
  const folder = await createModelFolder(graph);
  const rows = draw.pool.samples.length;
  const data = draw.trainOn(Int32Array.from({ length: rows }, (_, i) => i));
  let matrix: EmbeddingMatrix | undefined;
  try {
    for (const tensor of new Set(graph.parameters.map((parameter) => parameter.tensor))) {
      await folder.put(tensor, await weights(tensor));
    }
    const session = await openSession(await folder.finish(), { threads, device: encoder.device });
    try {
      for (let first = 0; first < rows; first += batch) {
        signal?.throwIfAborted();
        const count = Math.min(batch, rows - first);
        const places = Int32Array.from({ length: batch }, (_, i) => Math.min(first + i, rows - 1));
        const all = await data.batch(places, 0);
        const feeds = Object.fromEntries(graph.inputs.map(({ name }) => [name, all[name]! as SessionTensor]));
        const { features } = await session.run(feeds, ['features']);
        const { data: maps, dims } = features!;
        const [, channels, height, width] = dims as [number, number, number, number];
        const cols = aggregation === 'concat' ? channels * height * width : channels;
        matrix ??= { data: new Float32Array(new SharedArrayBuffer(rows * cols * 4)), rows, cols };
        const target = matrix.data.subarray(first * cols, (first + count) * cols);
        putFeatures(target as Float32Array, maps as Float32Array, height * width, aggregation);
        onProgress?.({ stage: 'embed', done: first + count, total: rows, unit: 'samples' });
      }
    } finally {
      await session.close();
    }
  } finally {
    await folder.remove();
  }
  return matrix!;
}

function putFeatures(target: Float32Array, maps: Float32Array, places: number, aggregation: 'concat' | 'mean' | 'sum') {
  if (aggregation === 'concat') {
    target.set(maps.subarray(0, target.length));
    return;
  }
  for (let i = 0; i < target.length; i++) {
    let sum = 0;
    for (let k = i * places; k < (i + 1) * places; k++) sum += maps[k]!;
    target[i] = aggregation === 'sum' ? sum : sum / places;
  }
}
