import { ModelError } from '../errors.js';
import { openSafetensors } from './safetensors.js';
import type { TensorFile } from './tensor.js';
import { openTorchCheckpoint } from './torchCheckpoint.js';

/** Opens a weight file by its name: `.safetensors`, or a PyTorch checkpoint `.pth`, `.pt`, `.bin`. */
export function openWeights(path: string): Promise<TensorFile> {
  if (/\.safetensors$/i.test(path)) return openSafetensors(path);
  if (/\.(pth|pt|bin)$/i.test(path)) return openTorchCheckpoint(path);
  throw new ModelError(
    'ERR_WEIGHTS_FORMAT',
    `${path} has no known ending. Weights are read from .safetensors and from PyTorch checkpoints (.pth, .pt, .bin).`,
  );
}
