/** What each check does. It throws where the device differs from the processor, by more than rounding may. */
import type { CheckName, TriedDevice } from '../deviceTrial.js';
import { checkKernels } from './kernels.js';
import { checkPartition } from './partition.js';
import { checkNeighbours, checkPca } from './reduction.js';

export const checks: Readonly<Record<CheckName, (device: TriedDevice) => Promise<void>>> = {
  'partition gram float32 sqeuclidean': (device) => checkPartition(device, 'gram', 'float32', 'sqeuclidean'),
  'partition gram float32 cosine': (device) => checkPartition(device, 'gram', 'float32', 'cosine'),
  'partition gram float64 sqeuclidean': (device) => checkPartition(device, 'gram', 'float64', 'sqeuclidean'),
  'partition gram float64 cosine': (device) => checkPartition(device, 'gram', 'float64', 'cosine'),
  'partition lazy float32 sqeuclidean': (device) => checkPartition(device, 'lazy', 'float32', 'sqeuclidean'),
  'partition lazy float32 cosine': (device) => checkPartition(device, 'lazy', 'float32', 'cosine'),
  'partition lazy float64 sqeuclidean': (device) => checkPartition(device, 'lazy', 'float64', 'sqeuclidean'),
  'partition lazy float64 cosine': (device) => checkPartition(device, 'lazy', 'float64', 'cosine'),
  'kernels fp32': (device) => checkKernels(device, 'fp32'),
  'kernels tf32': (device) => checkKernels(device, 'tf32'),
  'kernels bf16': (device) => checkKernels(device, 'bf16'),
  'kernels int8': (device) => checkKernels(device, 'int8'),
  'pca covariance': (device) => checkPca(device, 'covariance'),
  'pca gram': (device) => checkPca(device, 'gram'),
  'pca krylov': (device) => checkPca(device, 'krylov'),
  'umap neighbours': checkNeighbours,
};
