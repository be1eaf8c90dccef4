/**
 * Several optimizer steps in one run of a model. ONNX Runtime's Node binding gives all outputs back in host memory, so on a
 * GPU every step of a graph that returns gradients carries weights and gradients over the bus. Here one Scan holds forward,
 * loss, backward and the optimizer: weights and moments go to the device once a run and come back once.
 */
import { addInput, addNode, addOutput, createGraph, type Graph, scalar, type Value } from '../onnx/graph.js';
import { add, divide, multiply, scale, subtract } from '../onnx/ops/arithmetic.js';
import { reshape } from '../onnx/ops/layout.js';
import type { Optimizer, WeightOptions } from './optimizer.js';
import type { TrainingGraph } from './trainingGraph.js';

/** Names of an input and of an output of the graph around the body, whose own names they must not be. */
export const stacked = (input: string): string => `stacked.${input}`;
export const stepped = (state: string): string => `stepped.${state}`;

/** Names of the moments of a weight, before a step. */
export const firstMoment = (weight: string): string => `first.${weight}`;
export const secondMoment = (weight: string): string => `second.${weight}`;

/**
 * The graph of any number K of optimizer steps. Inputs, each under its `stacked` name: the weights, their first and second
 * moments, the inputs of `training` with K mini-batches stacked [K, ...], and `stepCoefficients`. Outputs: weights and
 * moments after the last step under their `stepped` names, and `losses` [K, ...], each before its step.
 *
 * @param each of every weight, in the order of `training.trained`.
 */
export function scanGraph(training: TrainingGraph, optimizer: Optimizer, each: readonly WeightOptions[]): Graph {
  const { trained, gradients } = training;
  const weights = new Set(trained.map(({ name }) => name));
  const samples = training.graph.inputs.filter(({ name }) => !weights.has(name));
  const body: Graph = {
    ...training.graph,
    nodes: [...training.graph.nodes],
    constants: [...training.graph.constants],
    tape: [],
    parameters: [],
    inputs: [...trained],
    outputs: [],
  };
  const first = trained.map(({ name, shape }) => addInput(body, firstMoment(name), 'float32', shape));
  const second = trained.map(({ name, shape }) => addInput(body, secondMoment(name), 'float32', shape));
  const state = [...body.inputs];
  body.inputs.push(...samples);
  const groups = groupsOf(each);
  const root = addInput(body, 'root', 'float32', []);
  const rates = groups.map((_, g) => ({
    size: addInput(body, `size.${g}`, 'float32', []),
    shrink: optimizer.kind === 'adamw' ? addInput(body, `shrink.${g}`, 'float32', []) : undefined,
  }));
  const perStep = body.inputs.slice(state.length);

  const after = trained.map((weight, i) => {
    const { scale: factor, decay } = each[i]!;
    const group = groups.findIndex((other) => other.scale === factor && other.decay === decay);
    const gradient = reshape(body, gradients[i]!, weight.shape);
    const { size, shrink } = rates[group]!;
    return adam(body, optimizer, { value: weight, gradient, first: first[i]!, second: second[i]! }, decay, {
      root,
      size,
      shrink,
    });
  });
  for (const part of ['value', 'first', 'second'] as const) {
    after.forEach((weight, i) => {
      addOutput(body, `after.${part}.${trained[i]!.name}`, weight[part]);
    });
  }
  const loss = training.graph.outputs.find(({ name }) => name === 'loss')!;
  body.outputs.push(loss);

  const graph = createGraph();
  graph.parameters.push(...training.graph.parameters);
  for (const { name, dtype, shape } of state) addInput(graph, stacked(name), dtype, shape);
  for (const { name, dtype, shape } of perStep) addInput(graph, stacked(name), dtype, ['steps', ...shape]);
  for (const { name, dtype, shape } of state) graph.outputs.push({ name: stepped(name), dtype, shape });
  graph.outputs.push({ name: 'losses', dtype: 'float32', shape: ['steps', ...loss.shape] });
  graph.nodes.push({
    name: 'steps',
    op: 'Scan',
    domain: '',
    inputs: graph.inputs.map(({ name }) => name),
    outputs: graph.outputs.map(({ name }) => name),
    attributes: { body: { graph: body }, num_scan_inputs: perStep.length },
  });
  return graph;
}

/** Weights with equal options share their coefficients. */
function groupsOf(each: readonly WeightOptions[]): WeightOptions[] {
  return [...new Map(each.map((options) => [`${options.scale} ${options.decay}`, options])).values()];
}

/**
 * What the step number and the learning rate make of a step, by input of `scanGraph`, float32 [K] each:
 *
 *     root      sqrt(1 - beta2^t)
 *     size.g    rate / (1 - beta1^t), rate = the learning rate times the scale of group g
 *     shrink.g  1 - rate decay; AdamW alone
 *
 * for t = done + 1, done + 2, ... They are computed in float64 and rounded where native/train/adam.cc does, since 1 - beta2^t
 * would lose three digits in float32.
 *
 * @param done optimizer steps before these.
 */
export function stepCoefficients(
  { kind, beta1, beta2 }: Optimizer,
  each: readonly WeightOptions[],
  learningRates: readonly number[],
  done: number,
): Record<string, Float32Array> {
  const column = (of: (learningRate: number, t: number) => number) =>
    Float32Array.from(learningRates, (learningRate, k) => of(learningRate, done + 1 + k));
  const columns: Record<string, Float32Array> = { root: column((_, t) => Math.sqrt(1 - beta2 ** t)) };
  groupsOf(each).forEach((group, g) => {
    const rate = (learningRate: number) => Math.fround(group.scale * learningRate);
    columns[`size.${g}`] = column((learningRate, t) => rate(learningRate) / (1 - beta1 ** t));
    if (kind === 'adamw') {
      const decay = Math.fround(group.decay);
      columns[`shrink.${g}`] = column((learningRate) => 1 - Math.fround(rate(learningRate) * decay));
    }
  });
  return columns;
}

interface AdamValues {
  readonly value: Value;
  readonly gradient: Value;
  readonly first: Value;
  readonly second: Value;
}

/** One step of a weight and its moments, in the order of operations of native/train/adam.cc. */
function adam(
  graph: Graph,
  { kind, beta1, beta2, epsilon }: Optimizer,
  { value, gradient, first, second }: AdamValues,
  decay: number,
  { root, size, shrink }: { readonly root: Value; readonly size: Value; readonly shrink: Value | undefined },
) {
  const float = Math.fround;
  const g = kind === 'adam' && decay ? add(graph, gradient, scale(graph, value, float(decay))) : gradient;
  const m = add(graph, first, scale(graph, subtract(graph, g, first), float(1 - float(beta1))));
  const square = scale(graph, multiply(graph, g, g), float(1 - float(beta2)));
  const v = add(graph, scale(graph, second, float(beta2)), square);
  const deviation = divide(graph, addNode(graph, { op: 'Sqrt', inputs: [v], shape: v.shape }), root);
  const change = multiply(graph, divide(graph, m, add(graph, deviation, scalar(graph, float(epsilon)))), size);
  const old = shrink && decay ? multiply(graph, value, shrink) : value;
  return { value: subtract(graph, old, change), first: m, second: v };
}
