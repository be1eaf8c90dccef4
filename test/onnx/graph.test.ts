import { InferenceSession } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { addInput, addOutput, createGraph, floats, integers, within } from '#lib/onnx/graph.js';
import { add } from '#lib/onnx/ops/arithmetic.js';
import { multiHeadAttention } from '#lib/onnx/ops/attention.js';
import { patchConvolution } from '#lib/onnx/ops/convolution.js';
import { concat, flattenImage, gather, padEnd, transpose } from '#lib/onnx/ops/layout.js';
import { matmul } from '#lib/onnx/ops/linear.js';
import { layerNorm } from '#lib/onnx/ops/normalization.js';
import { addParameter } from '#lib/onnx/parameters.js';
import { serializeInline } from '#lib/onnx/serialize.js';

test('shapes follow from the operators, also through sizes known only by name', () => {
  const graph = createGraph();
  const image = addInput(graph, 'image', 'float32', ['batch', 3, 'height', 64]);
  const patches = patchConvolution(
    graph,
    image,
    addParameter(graph, 'w', [8, 3, 16, 16]),
    addParameter(graph, 'b', [8]),
  );
  expect(patches.shape).toEqual(['batch', 8, 'height/16', 4]);
  const tokens = transpose(graph, flattenImage(graph, patches, 'patches'), [0, 2, 1]);
  expect(tokens.shape).toEqual(['batch', 'patches', 8]);
  expect(padEnd(graph, tokens, 1, 2, 'tokens').shape).toEqual(['batch', 'tokens', 8]);
  expect(add(graph, tokens, addInput(graph, 'p', 'float32', [1, 'patches', 8])).shape).toEqual(['batch', 'patches', 8]);
  expect(matmul(graph, tokens, addParameter(graph, 'm', [5, 8], { transposed: true })).shape).toEqual([
    'batch',
    'patches',
    5,
  ]);
  expect(gather(graph, addParameter(graph, 't', [9, 4]), addInput(graph, 'i', 'int32', ['batch', 2])).shape).toEqual([
    'batch',
    2,
    4,
  ]);
});

test('inputs that do not fit are refused with the name of the node', () => {
  const graph = createGraph();
  const x = addInput(graph, 'x', 'float32', ['batch', 3, 8]);
  const y = addInput(graph, 'y', 'float32', ['batch', 4, 8]);
  const w = addParameter(graph, 'w', [7, 8]);
  expect(() => within(graph, 'encoder.3', () => matmul(graph, x, w))).toThrow(
    /Node encoder\.3\.MatMul_0 \(MatMul\): the inner sizes must be equal\. Its inputs are x \[batch, 3, 8\], w \[7, 8\]\./,
  );
  expect(graph.scope).toBe('');
  expect(() => add(graph, x, y)).toThrow(/broadcast/);
  expect(() => add(graph, x, addInput(graph, 'z', 'float32', ['other', 3, 8]))).toThrow(/broadcast/);
  expect(() => layerNorm(graph, x, w, w, 1e-6)).toThrow(/last axis/);
  expect(() => multiHeadAttention(graph, x, x, y, 2)).toThrow(/alike/);
  expect(() => multiHeadAttention(graph, x, x, x, 3)).toThrow(/3 heads/);
  expect(() => transpose(graph, x, [0, 1])).toThrow(/permutation/);
  expect(() => concat(graph, [x, addInput(graph, 'v', 'float32', ['batch', 3, 9])], 1, 'both')).toThrow(/axis 1/);
  expect(graph.nodes).toHaveLength(0);
});

test('equal lists of integers are stored once', () => {
  const graph = createGraph();
  expect(integers(graph, [0, 0, -1])).toBe(integers(graph, [0, 0, -1]));
  expect(graph.constants).toHaveLength(1);
  expect([...graph.constants[0]!.data]).toEqual([0n, 0n, -1n]);
});

test('a model file holds only what its outputs need', async () => {
  const bytesWith = (unused: boolean) => {
    const graph = createGraph();
    const x = addInput(graph, 'x', 'float32', [2]);
    addOutput(graph, 'y', add(graph, x, x));
    if (unused)
      add(
        graph,
        x,
        floats(graph, 'large', [2], () => Float32Array.of(1, 2)),
      );
    return serializeInline(graph, new Map());
  };
  expect(bytesWith(true)).toEqual(bytesWith(false));
  const session = await InferenceSession.create(bytesWith(true), { logSeverityLevel: 3 });
  expect(session.outputNames).toEqual(['y']);
  await session.release();
});
