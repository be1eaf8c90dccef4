import { ModelError } from '../errors.js';
import { type TensorFile, toFloat32 } from '../weights/tensor.js';
import type { MultimaeConfig } from './config.js';
import { initialWeight } from './initialise.js';
import { encoderWeights } from './multimae.js';
import { resizeTable } from './positions.js';

/** Where an encoder's weights come from: a file, or the seeded initialisation. */
export interface WeightSource {
  /** Shape of the encoder. */
  readonly config: MultimaeConfig;
  /** For people: a sentence without the full stop. */
  readonly origin: string;
  /** Reads one weight as float32, row-major, in the shape that `encoderWeights` says. */
  read(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** The seeded initialisation; nothing to close. */
export function seededWeights(config: MultimaeConfig, seed: number): WeightSource {
  const shapes = encoderWeights(config);
  return {
    config,
    origin: `seeded random initialisation (seed ${seed}), not trained`,
    read: async (name) => initialWeight(config, name, shapes.get(name)!, seed),
    close: async () => {},
  };
}

/**
 * The weights in an open file; takes over closing it. Every weight must be there with the right shape; tensors that the
 * encoder does not use (decoders, other adapters) are ignored. Position tables of another grid are resized (bicubic, as
 * MultiMAE does when it loads a checkpoint). ModelError `ERR_TENSOR_MISSING`, `ERR_TENSOR_SHAPE`, `ERR_TENSOR_DTYPE`.
 */
export function fileWeights(config: MultimaeConfig, file: TensorFile): WeightSource {
  const shapes = encoderWeights(config);
  checkShapes(file, shapes);
  return {
    config,
    origin: `weights of ${file.path}`,
    close: file.close,
    async read(name) {
      const tensor = await file.read(name);
      const data = toFloat32(tensor);
      if (!data) {
        throw new ModelError(
          'ERR_TENSOR_DTYPE',
          `${file.path}: "${name}" has the element type ${tensor.dtype}, but a weight must be floating-point.`,
        );
      }
      if (!name.endsWith('.pos_emb')) return data;
      const [, , rows, cols] = shapes.get(name)!;
      const table = { rows: tensor.shape[2]!, cols: tensor.shape[3]!, data };
      return resizeTable(table, rows!, cols!, 'bicubic').data;
    },
  };
}

function checkShapes(file: TensorFile, shapes: ReadonlyMap<string, readonly number[]>): void {
  const missing = [...shapes.keys()].filter((name) => !file.tensors.has(name));
  if (missing.length > 0) {
    const some = missing
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(', ');
    throw new ModelError(
      'ERR_TENSOR_MISSING',
      `${file.path} lacks ${missing.length} of the ${shapes.size} tensors of this encoder: ${some}${missing.length > 3 ? ', ...' : ''}. Check that the weights belong to the model description.`,
    );
  }
  for (const [name, expected] of shapes) {
    const actual = file.tensors.get(name)!.shape;
    const free = name.endsWith('.pos_emb') ? 2 : expected.length;
    if (
      actual.length !== expected.length ||
      actual.includes(0) ||
      expected.slice(0, free).some((dim, i) => dim !== actual[i])
    ) {
      throw new ModelError(
        'ERR_TENSOR_SHAPE',
        `${file.path}: "${name}" has the shape [${actual.join(', ')}], but the model description asks for [${expected.join(', ')}]. Check that the weights belong to it.`,
      );
    }
  }
}
