import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { differentiate } from '#lib/onnx/differentiate.js';
import { addInput, addNode, addOutput, createGraph, type Graph, scalar, type Value } from '#lib/onnx/graph.js';
import { gelu, relu } from '#lib/onnx/ops/activation.js';
import {
  absolute,
  add,
  choose,
  divide,
  exponential,
  less,
  logarithm,
  multiply,
  squareRoot,
  subtract,
} from '#lib/onnx/ops/arithmetic.js';
import { convolution, depthwiseConvolution, patchConvolution, patchDeconvolution } from '#lib/onnx/ops/convolution.js';
import { doubledConvolution, joinTiles } from '#lib/onnx/ops/doubledConvolution.js';
import { concat, reshape, slice, transpose } from '#lib/onnx/ops/layout.js';
import { matmul } from '#lib/onnx/ops/linear.js';
import { logSoftmax, softmax } from '#lib/onnx/ops/normalization.js';
import { reduceMean, reduceSum } from '#lib/onnx/ops/reduce.js';
import { resizeBilinear } from '#lib/onnx/ops/resize.js';
import { serializeInline } from '#lib/onnx/serialize.js';

const sumAll = (graph: Graph, x: Value) =>
  reduceSum(
    graph,
    x,
    x.shape.map((_, i) => i),
  );

/** Loss and gradients of `build` at seeded inputs of these shapes. */
async function evaluate(shapes: readonly (readonly number[])[], build: (graph: Graph, ...inputs: Value[]) => Value) {
  const graph = createGraph();
  const inputs = shapes.map((shape, i) => addInput(graph, `x${i}`, 'float32', shape));
  const y = build(graph, ...inputs);
  // Every element counts differently, so that a gradient at the wrong place shows.
  const size = (y.shape as number[]).reduce((product, dim) => product * dim, 1);
  const weights = addInput(graph, 'weights', 'float32', y.shape as number[]);
  const loss = sumAll(graph, multiply(graph, y, weights));
  addOutput(graph, 'loss', loss);
  differentiate(graph, loss, inputs).forEach((gradient, i) => {
    addOutput(graph, `d${i}`, gradient!);
  });
  const session = await InferenceSession.create(serializeInline(graph, new Map()), { logSeverityLevel: 3 });
  const fill = (count: number, seed: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(7.3 * i + seed) + 0.05);
  const values = shapes.map((shape, i) =>
    fill(
      shape.reduce((product, dim) => product * dim, 1),
      i,
    ),
  );
  const run = async (at: readonly Float32Array[]) => {
    const feeds = Object.fromEntries(at.map((data, i) => [`x${i}`, new Tensor('float32', data, shapes[i]!)]));
    return session.run({ ...feeds, weights: new Tensor('float32', fill(size, 99), y.shape as number[]) });
  };
  return { values, run, session };
}

test.each<[string, number[][], (graph: Graph, ...inputs: Value[]) => Value]>([
  [
    'sum, broadcast',
    [
      [2, 3, 4],
      [3, 1],
    ],
    (g, a, b) => add(g, a!, b!),
  ],
  ['difference, broadcast', [[4], [2, 3, 4]], (g, a, b) => subtract(g, a!, b!)],
  [
    'product, broadcast',
    [
      [2, 1, 4],
      [3, 1],
    ],
    (g, a, b) => multiply(g, a!, b!),
  ],
  ['quotient, broadcast', [[2, 3], [3]], (g, a, b) => divide(g, a!, add(g, multiply(g, b!, b!), scalar(g, 1)))],
  ['absolute value', [[5, 3]], (g, a) => absolute(g, a!)],
  ['squareRoot', [[7]], (g, a) => squareRoot(g, add(g, multiply(g, a!, a!), scalar(g, 0.1)))],
  ['exponential', [[7]], (g, a) => exponential(g, a!)],
  ['logarithm', [[7]], (g, a) => logarithm(g, add(g, multiply(g, a!, a!), scalar(g, 1)))],
  ['choice', [[4, 3], [3]], (g, a, b) => choose(g, less(g, a!, scalar(g, 0.2)), multiply(g, a!, a!), b!)],
  ['relu', [[20]], (g, a) => relu(g, a!)],
  ['gelu', [[20]], (g, a) => gelu(g, a!)],
  ['softmax', [[3, 5]], (g, a) => softmax(g, a!)],
  ['log softmax', [[3, 5]], (g, a) => logSoftmax(g, a!)],
  ['mean', [[2, 3, 4]], (g, a) => reduceMean(g, a!, [0, 2])],
  [
    'matrix product with a shared right side',
    [
      [2, 3, 4],
      [4, 5],
    ],
    (g, a, b) => matmul(g, a!, b!),
  ],
  [
    'matrix product with a shared left side',
    [
      [3, 4],
      [2, 4, 5],
    ],
    (g, a, b) => matmul(g, a!, b!),
  ],
  [
    'matrix product with what was transposed for it',
    [
      [2, 3, 4],
      [5, 4],
    ],
    (g, a, b) => matmul(g, a!, transpose(g, b!, [1, 0])),
  ],
  [
    'batched matrix product',
    [
      [2, 1, 3, 4],
      [2, 3, 4, 5],
    ],
    (g, a, b) => matmul(g, a!, b!),
  ],
  ['a value used twice', [[3, 3]], (g, a) => add(g, matmul(g, a!, transpose(g, a!, [1, 0])), a!)],
  [
    'cut, turned, joined, reshaped',
    [
      [2, 6, 3],
      [2, 2, 3],
    ],
    (g, a, b) => reshape(g, transpose(g, concat(g, [slice(g, a!, 1, 1, 4), b!], 1), [2, 0, 1]), [3, 10]),
  ],
  [
    'convolution that keeps the size',
    [[2, 3, 4, 5], [2, 3, 3, 3], [2]],
    (g, a, b, c) => convolution(g, a!, b!, c!, { pad: 1 }),
  ],
  ['convolution that shrinks', [[1, 2, 5, 4], [2, 2, 3, 3], [2]], (g, a, b, c) => convolution(g, a!, b!, c!)],
  [
    'convolution with a stride',
    [[1, 2, 6, 6], [2, 2, 3, 3], [2]],
    (g, a, b, c) => convolution(g, a!, b!, c!, { stride: 2, pad: 1 }),
  ],
  [
    'convolution with more filters than places',
    [[2, 2, 2, 1], [5, 2, 3, 3], [5]],
    (g, a, b, c) => convolution(g, a!, b!, c!, { pad: 1 }),
  ],
  [
    'convolution with a stride and more filters than places',
    [[1, 2, 4, 4], [5, 2, 3, 3], [5]],
    (g, a, b, c) => convolution(g, a!, b!, c!, { stride: 2, pad: 1 }),
  ],
  ['convolution of 1 x 1', [[2, 3, 2, 3], [4, 3, 1, 1], [4]], (g, a, b, c) => convolution(g, a!, b!, c!)],
  ['cutting into patches', [[2, 2, 4, 4], [3, 2, 2, 2], [3]], (g, a, b, c) => patchConvolution(g, a!, b!, c!)],
  ['patches from places', [[2, 3, 2, 2], [3, 2, 2, 2], [2]], (g, a, b, c) => patchDeconvolution(g, a!, b!, c!)],
  ['depthwise convolution', [[2, 2, 4, 3], [2, 1, 3, 3], [2]], (g, a, b, c) => depthwiseConvolution(g, a!, b!, c!)],
  [
    'convolution of what was doubled',
    [[1, 3, 2, 2], [2, 2, 3, 3], [2]],
    (g, a, b, c) => joinTiles(g, doubledConvolution(g, a!, b!, c!)),
  ],
  [
    'convolution of what was doubled, in tiles',
    [[1, 20, 2, 1], [1, 1, 3, 3], [1]],
    (g, a, b, c) => joinTiles(g, doubledConvolution(g, a!, b!, c!)),
  ],
  ['doubling, corners aligned', [[1, 2, 3, 2]], (g, a) => resizeBilinear(g, a!, 6, 4, true)],
  ['resizing, half-pixel centres', [[1, 2, 3, 2]], (g, a) => resizeBilinear(g, a!, 5, 4, false)],
])('gradient of %s', async (_, shapes, build) => {
  const { values, run, session } = await evaluate(shapes, build);
  const at = await run(values);
  const step = 1e-2;
  for (const [i, value] of values.entries()) {
    const gradient = at[`d${i}`]!.data as Float32Array;
    expect(gradient).toHaveLength(value.length);
    for (let j = 0; j < value.length; j++) {
      const lossAt = async (by: number) => {
        const moved = values.map((array, k) => (k === i ? array.map((x, m) => (m === j ? x + by : x)) : array));
        return ((await run(moved)).loss!.data as Float32Array)[0]!;
      };
      const slope = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      expect(Math.abs(gradient[j]! - slope), `input ${i}, element ${j}`).toBeLessThan(
        2e-3 * Math.max(1, Math.abs(slope)),
      );
    }
  }
  await session.release();
});

test.each([
  [2, 3],
  [7, 1],
  [17, 40],
])('a convolution right after a doubling is that of the doubled image: %i x %i places', async (rows, cols) => {
  const graph = createGraph();
  const x = addInput(graph, 'x', 'float32', [2, 3, rows, cols]);
  const w = addInput(graph, 'w', 'float32', [4, 3, 3, 3]);
  const bias = addInput(graph, 'bias', 'float32', [4]);
  addOutput(
    graph,
    'plain',
    convolution(graph, resizeBilinear(graph, x, 2 * rows, 2 * cols, true), w, bias, { pad: 1 }),
  );
  const tiles = doubledConvolution(graph, transpose(graph, x, [0, 2, 3, 1]), w, bias);
  addOutput(graph, 'doubled', transpose(graph, joinTiles(graph, tiles), [0, 3, 1, 2]));
  const session = await InferenceSession.create(serializeInline(graph, new Map()), { logSeverityLevel: 3 });
  const feeds = Object.fromEntries(
    [x, w, bias].map(({ name, shape }, i) => {
      const size = (shape as number[]).reduce((product, dim) => product * dim, 1);
      const data = Float32Array.from({ length: size }, (_, j) => Math.sin(7.3 * j + i));
      return [name, new Tensor('float32', data, shape as number[])];
    }),
  );
  const { plain, doubled } = await session.run(feeds);
  expect(doubled!.dims).toEqual([2, 4, 2 * rows, 2 * cols]);
  (doubled!.data as Float32Array).forEach((value, i) => {
    expect(Math.abs(value - (plain!.data as Float32Array)[i]!)).toBeLessThan(1e-5);
  });
  await session.release();
});

test('what cannot be differentiated is named', () => {
  const graph = createGraph();
  const x = addInput(graph, 'x', 'float32', [2, 2]);
  expect(() => differentiate(graph, x, [x])).toThrow(/\[2, 2\], but only one number can be differentiated/);
  const odd = addNode(graph, { op: 'Floor', inputs: [x], shape: x.shape });
  expect(() => differentiate(graph, sumAll(graph, odd), [x])).toThrow(/Node Floor_0 \(Floor\) has no gradient/);
});

test('a weight that the loss does not depend on has no gradient, and one behind a constant does not matter', () => {
  const graph = createGraph();
  const [x, unused] = [addInput(graph, 'x', 'float32', [3]), addInput(graph, 'y', 'float32', [3])];
  // Not on the way from x to the loss, so that it has no gradient is no matter.
  const rounded = addNode(graph, { op: 'Floor', inputs: [unused], shape: unused.shape });
  const loss = sumAll(graph, multiply(graph, x, rounded));
  const [dx, dy] = differentiate(graph, loss, [x, addInput(graph, 'z', 'float32', [1])]);
  expect(dx!.shape).toEqual([3]);
  expect(dy).toBeUndefined();
});
