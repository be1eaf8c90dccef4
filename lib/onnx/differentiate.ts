/** Reverse-mode differentiation: one walk back along the tape of a graph. */
import { ModelError } from '../errors.js';
import { type Graph, scalar, type TapeEntry, type Value } from './graph.js';
import { add } from './ops/arithmetic.js';

/**
 * Adds to the graph the nodes that compute d(loss) / d(each of `wrt`), in that order, with the shapes of `wrt`; undefined
 * where the loss does not depend on it.
 *
 * @param loss one number: shape [] or all ones.
 * @throws {ModelError} `ERR_GRAPH_GRADIENT` naming a node on the way that has no gradient.
 */
export function differentiate(graph: Graph, loss: Value, wrt: readonly Value[]): (Value | undefined)[] {
  if (loss.shape.some((dim) => dim !== 1)) {
    throw new ModelError(
      'ERR_GRAPH_GRADIENT',
      `The loss ${loss.name} has the shape [${loss.shape.join(', ')}], but only one number can be differentiated. Sum it up first.`,
    );
  }
  // What is added from here on belongs to the gradient itself.
  const tape = graph.tape.slice();
  const depends = new Set(wrt.map(({ name }) => name));
  for (const { inputs, output } of tape) if (inputs.some(({ name }) => depends.has(name))) depends.add(output.name);

  const gradients = new Map<string, Value>();
  gradients.set(loss.name, scalar(graph, 1, loss.shape as number[]));
  for (const entry of tape.reverse()) {
    const outer = gradients.get(entry.output.name);
    if (!outer || !depends.has(entry.output.name)) continue;
    const needed = entry.inputs.map(({ name }) => depends.has(name));
    const inner = gradientOf(entry)(outer, needed);
    entry.inputs.forEach(({ name }, i) => {
      const part = inner[i];
      if (!needed[i] || !part) return;
      const sum = gradients.get(name);
      gradients.set(name, sum ? add(graph, sum, part) : part);
    });
  }
  return wrt.map(({ name }) => gradients.get(name));
}

function gradientOf({ gradient, node, op }: TapeEntry) {
  if (gradient) return gradient;
  throw new ModelError(
    'ERR_GRAPH_GRADIENT',
    `Node ${node} (${op}) has no gradient, so nothing before it can be trained.`,
  );
}
