import { isMainThread } from 'node:worker_threads';

/**
 * Whether CUDA may round the factors of products and convolutions to TF32, which has 10 bits of mantissa where float32
 * has 23. ONNX Runtime does so by default and its Node binding has no option for it, but NVIDIA's libraries ask the
 * environment first. Here float32 is float32 unless the user has set `NVIDIA_TF32_OVERRIDE`: embeddings of GPU and CPU
 * are kept in one cache, and a selection must not depend on which made them. Call it before ONNX Runtime loads CUDA.
 */
export function allowsTf32(): boolean {
  // In other threads process.env is a copy that no library sees.
  if (isMainThread) process.env.NVIDIA_TF32_OVERRIDE ??= '0';
  return process.env.NVIDIA_TF32_OVERRIDE !== '0';
}
