import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { describe, expect, test } from 'vitest';
import {
  addInput,
  addNode,
  addOutput,
  createGraph,
  type Graph,
  type GraphDtype,
  integers,
  type Node,
} from '#lib/onnx/graph.js';
import { add } from '#lib/onnx/ops/arithmetic.js';
import { executionOf, operatorsOnCpu, type Placement, readPlacement } from '#lib/onnx/placement.js';
import { rehearse } from '#lib/onnx/rehearse.js';
import { CUDA_KERNELS } from './cudaKernels.js';
import { graphs } from './graphs.js';

const kernelOf = ({ domain, op }: Node) => (domain ? `${domain}.${op}` : op);

/** What the CUDA provider would leave to the CPU, as `node (operator): why`. */
function withoutKernel(graph: Graph, around: ReadonlyMap<string, GraphDtype> = new Map()): string[] {
  const types = new Map(around);
  for (const { name, dtype } of [...graph.inputs, ...graph.constants, ...graph.parameters, ...graph.outputs]) {
    types.set(name, dtype);
  }
  for (const { output } of graph.tape) types.set(output.name, output.dtype);
  return graph.nodes.flatMap((node) => {
    const kernel = CUDA_KERNELS[kernelOf(node)];
    const wrong = (names: readonly string[], allowed: (i: number) => readonly GraphDtype[]) =>
      names.flatMap((name, i) => {
        const type = types.get(name);
        return type && !allowed(i).includes(type) ? [`${type} at ${i}`] : [];
      });
    const problems = kernel
      ? [
          ...wrong(node.inputs, (i) => kernel.inputs[Math.min(i, kernel.inputs.length - 1)]!),
          ...wrong(node.outputs, () => kernel.outputs),
        ]
      : ['no kernel'];
    // The provider drops these: cuDNN pads both sides alike.
    const pads = node.attributes.pads as number[] | undefined;
    if (node.op === 'ConvTranspose' && pads?.some((pad, i) => pad !== pads[(i + pads.length / 2) % pads.length])) {
      problems.push('asymmetric pads');
    }
    const bodies = Object.values(node.attributes).flatMap((value) =>
      typeof value === 'object' && 'graph' in value ? [value.graph] : [],
    );
    return [
      ...problems.map((problem) => `${node.name} (${node.op}): ${problem}`),
      ...bodies.flatMap((body) => withoutKernel(body, types)),
    ];
  });
}

describe('the CUDA provider has a kernel for every operator of', () => {
  test.each(graphs)('$name', ({ graph }) => {
    expect(withoutKernel(graph)).toEqual([]);
  });

  test('but not of a graph with an operator, a type or pads that it lacks', () => {
    const graph = createGraph();
    const x = addInput(graph, 'x', 'int32', [1, 1, 2, 2]);
    const y = addInput(graph, 'y', 'float32', [1, 1, 2, 2]);
    addNode(graph, { op: 'Pad', inputs: [x, integers(graph, [0, 0])], shape: x.shape, dtype: 'int32' });
    addNode(graph, { op: 'Shape', inputs: [x], shape: [4], dtype: 'int64' });
    addNode(graph, { op: 'ConvTranspose', inputs: [y, y], attributes: { pads: [0, 1, 0, 0] }, shape: y.shape });
    expect(withoutKernel(graph)).toEqual([
      'Pad_0 (Pad): int32 at 0',
      'Pad_0 (Pad): int32 at 0',
      'Shape_1 (Shape): no kernel',
      'ConvTranspose_2 (ConvTranspose): asymmetric pads',
    ]);
  });
});

describe('on the CPU', () => {
  // The steps of one model are enough: they take longest to load.
  const some = graphs.filter(({ name }) => !name.endsWith(': steps') || name.startsWith('masked pretraining of'));
  test.each(some)('operators are where they are asked to be: $name', async ({ graph, sizes }) => {
    const { provider, operators } = await rehearse(graph, 'cpu', sizes);
    expect(provider).toBe('cpu');
    expect(Object.keys(operators)).toEqual(['cpu']);
    expect(Object.values(operators.cpu!).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
  });

  test('nodes of a Scan count once, however many steps it takes', async () => {
    const { graph } = graphs.find(({ name }) => name === 'linear, mean token, frozen: steps')!;
    const placements = await Promise.all([1, 3].map((steps) => rehearse(graph, 'cpu', { steps })));
    expect(placements[1]).toEqual(placements[0]);
    // One root of the second moment for each of norm, linear and final layer's weight and bias.
    expect(placements[0]!.operators.cpu).toMatchObject({ Scan: 1, Sqrt: 6 });
  });

  test('nothing stays in the temporary folder', async () => {
    const own = () => readdirSync(tmpdir()).filter((name) => name.startsWith('coregain-profile-'));
    const before = new Set(own());
    const graph = createGraph();
    const x = addInput(graph, 'x', 'float32', [2]);
    addOutput(graph, 'y', add(graph, x, x));
    expect((await rehearse(graph, 'cpu')).operators).toEqual({ cpu: { Add: 1 } });
    // Other tests may be at it, for less than a second.
    await expect.poll(() => own().filter((name) => !before.has(name))).toEqual([]);
  });
});

const event = (name: string, provider: string, operator: string) => ({
  ...{ cat: 'Node', pid: 1, tid: 1, dur: 79, ts: 289298, ph: 'X', name: `${name}_kernel_time` },
  args: { provider: `${provider}ExecutionProvider`, op_name: operator, node_index: '15' },
});

test('operators that fell back to the CPU are named', () => {
  const events = [
    { cat: 'Session', name: 'model_run', args: {} },
    event('MatMul_1', 'CUDA', 'MatMul'),
    event('Pad_2', 'CPU', 'Pad'),
    event('Memcpy_3', 'CUDA', 'MemcpyFromHost'),
    event('MatMul_4', 'CUDA', 'MatMul'),
    event('MatMul_4', 'CUDA', 'MatMul'),
    event('Gelu_5', 'CPU', 'Gelu'),
  ];
  const placement = readPlacement('cuda', JSON.stringify(events));
  expect(placement.operators).toEqual({ cuda: { MatMul: 2, MemcpyFromHost: 1 }, cpu: { Pad: 1, Gelu: 1 } });
  expect(operatorsOnCpu([placement])).toEqual(['Gelu', 'Pad']);

  const whole: Placement = { provider: 'cuda', operators: { cuda: { MatMul: 1 } } };
  const onCpu: Placement = { provider: 'cpu', operators: { cpu: { MatMul: 1 } } };
  expect(operatorsOnCpu([whole])).toEqual([]);
  expect(operatorsOnCpu([onCpu, whole, placement, placement])).toEqual(['Gelu', 'Pad']);
  // Nothing fell back where nothing was to run elsewhere, or has not run yet.
  expect(operatorsOnCpu([onCpu])).toBeUndefined();
  expect(operatorsOnCpu([])).toBeUndefined();
  expect(executionOf({ provider: 'cuda', tf32: false, onCpu: [] })).toEqual({
    provider: 'cuda',
    tf32: false,
    onCpu: [],
  });
  expect(executionOf({ provider: 'cpu', tf32: false, onCpu: undefined })).toStrictEqual({
    provider: 'cpu',
    tf32: false,
  });
});

const noCuda = await rehearse(graphs[0]!.graph, 'cuda', graphs[0]!.sizes).then(
  () => undefined,
  (error: Error) => error.message,
);
if (noCuda) console.warn(`SKIPPED: where operators run on CUDA. ${noCuda}`);

describe.skipIf(noCuda)('on CUDA no operator falls back to the CPU', () => {
  test.each(graphs)('$name', async ({ graph, sizes }) => {
    const { provider, operators } = await rehearse(graph, 'cuda', sizes);
    expect(provider).toBe('cuda');
    expect(operators.cpu ?? {}).toEqual({});
    expect(Object.keys(operators)).toEqual(['cuda']);
  });
});
