/**
 * Types that the kernels of ONNX Runtime's CUDA provider take and give at opset 18 (com.microsoft: 1), after
 * docs/OperatorKernels.md of microsoft/onnxruntime at commit 001d12d, as far as they are types that our graphs know.
 * By position; the last one holds for all that follow.
 */
import type { GraphDtype } from '#lib/onnx/graph.js';

interface Kernel {
  readonly inputs: readonly (readonly GraphDtype[])[];
  readonly outputs: readonly GraphDtype[];
}

const F: readonly GraphDtype[] = ['float32'];
const NUMBERS: readonly GraphDtype[] = ['float32', 'int32', 'int64'];
const ALL: readonly GraphDtype[] = [...NUMBERS, 'bool'];
const INDEX: readonly GraphDtype[] = ['int32', 'int64'];
const SIZES: readonly GraphDtype[] = ['int64'];

const same = (types: readonly GraphDtype[]): Kernel => ({ inputs: [types], outputs: types });
const sized = (types: readonly GraphDtype[]): Kernel => ({ inputs: [types, SIZES], outputs: types });

/** Operator -> kernel. */
export const CUDA_KERNELS: Readonly<Record<string, Kernel>> = {
  Abs: same(NUMBERS), // 13+
  Add: same(NUMBERS), // 14+
  Cast: same(ALL), // 13 to 18
  Concat: same(ALL), // 13+
  Conv: same(F), // 11 to 21
  ConvTranspose: same(F), // 11+
  Div: same(NUMBERS), // 14+
  Erf: same(F), // 13+
  Exp: same(F), // 13+
  Expand: sized(ALL), // 13+
  Gather: { inputs: [ALL, INDEX], outputs: ALL }, // 13+
  HardSigmoid: same(F), // 6 to 21
  Identity: same(ALL), // 14 to 18
  LayerNormalization: same(F), // 17+
  Less: { inputs: [NUMBERS], outputs: ['bool'] }, // 13+
  Log: same(F), // 13+
  LogSoftmax: same(F), // 13+
  MatMul: same(F), // 13+
  Max: same(NUMBERS), // 13+
  Mul: same(NUMBERS), // 14+
  Neg: same(NUMBERS), // 13+
  OneHot: { inputs: [INDEX, INDEX, F], outputs: F }, // 11+
  Pad: { inputs: [['float32', 'bool'], SIZES], outputs: ['float32', 'bool'] }, // 18+
  ReduceMax: sized(NUMBERS), // 18+
  ReduceMean: sized(['float32', 'int32']), // 18+
  ReduceSum: sized(NUMBERS), // 13+
  Relu: same(F), // 14+
  Reshape: sized(ALL), // 14 to 18
  Resize: { inputs: [['float32', 'int32'], F, F, SIZES], outputs: ['float32', 'int32'] }, // 18
  Scan: same(ALL), // 16 to 18
  Slice: { inputs: [ALL, INDEX], outputs: ALL }, // 13+
  Softmax: same(F), // 13+
  Sqrt: same(F), // 13+
  Sub: same(NUMBERS), // 14+
  Transpose: same(ALL), // 13 to 20
  Where: { inputs: [['bool'], NUMBERS], outputs: NUMBERS }, // 16+
  'com.microsoft.Gelu': same(F), // 1+
  'com.microsoft.MultiHeadAttention': same(F), // 1+
};
