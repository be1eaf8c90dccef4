/** A fitted PCA on disk: a safetensors file, readable by every library of that format. */
import { DataError } from '../errors.js';
import { sharedFloats } from '../formats/npy.js';
import { openSafetensors, writeSafetensors } from '../weights/safetensors.js';
import type { Tensor, TensorFile } from '../weights/tensor.js';
import type { LinearModel } from './linearModel.js';

/**
 * Writes a model, atomically: `mean` F64 [d], `components` F32 or F64 [k, d], `variance` F64 [k], and F64 [4] `facts`: rows,
 * rank, total variance, whiten (0 or 1).
 */
export async function save(path: string, model: LinearModel): Promise<void> {
  const { inputs, outputs, rows, rank, totalVariance, whiten, mean, components, variance } = model;
  const tensor = (data: Float32Array | Float64Array, shape: number[]): Tensor => ({
    dtype: data instanceof Float32Array ? 'F32' : 'F64',
    shape,
    // of whatever buffer: it is only written
    data: data as Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>,
  });
  await writeSafetensors(path, {
    mean: tensor(mean, [inputs]),
    components: tensor(components, [outputs, inputs]),
    variance: tensor(variance, [outputs]),
    facts: tensor(Float64Array.of(rows, rank, totalVariance, whiten ? 1 : 0), [4]),
  });
}

/**
 * Reads what `save` wrote, onto SharedArrayBuffers.
 * @throws {DataError} `ERR_PCA_MODEL` naming the file, where it is another kind of file or its parts do not fit each other;
 * {ModelError} where it is no safetensors file.
 */
export async function load(path: string): Promise<LinearModel> {
  const file = await openSafetensors(path);
  try {
    const components = await floats(file, 'components', 2);
    const [outputs, inputs] = components.shape as [number, number];
    const mean = await floats(file, 'mean', 1, inputs);
    const variance = await floats(file, 'variance', 1, outputs);
    const facts = await floats(file, 'facts', 1, 4);
    const [rows, rank, totalVariance, whiten] = facts.data as unknown as [number, number, number, number];
    for (const [name, { data }] of Object.entries({ components, mean, variance, facts })) {
      for (const value of data) if (!Number.isFinite(value)) throw broken(path, `${name} has ${value}`);
    }
    if (!variance.data.every((value) => value > 0)) throw broken(path, 'a variance is not positive');
    return {
      ...{ inputs, outputs, rows, rank, totalVariance },
      whiten: whiten !== 0,
      mean: mean.data as Float64Array,
      components: components.data,
      variance: variance.data as Float64Array,
    };
  } finally {
    await file.close();
  }
}

async function floats(file: TensorFile, name: string, dimensions: number, length?: number) {
  const info = file.tensors.get(name);
  if (!info) throw broken(file.path, `it has no tensor "${name}"`);
  const { dtype, shape } = info;
  const wanted = name === 'components' ? ['F32', 'F64'] : ['F64'];
  if (!wanted.includes(dtype)) throw broken(file.path, `${name} is ${dtype}, not ${wanted.join(' or ')}`);
  if (shape.length !== dimensions || shape.includes(0) || (length !== undefined && shape[0] !== length)) {
    throw broken(file.path, `${name} has shape [${shape.join(', ')}]`);
  }
  const { data } = await file.read(name);
  const shared = sharedFloats(dtype === 'F32' ? 'float32' : 'float64', data.length, file.path);
  shared.set(data as Float32Array | Float64Array);
  return { shape, data: shared };
}

function broken(path: string, what: string): DataError {
  return new DataError(
    'ERR_PCA_MODEL',
    `${path} is not a PCA model: ${what}. Write one with \`coregain reduce --save-model\` (in code: pca.save).`,
  );
}
