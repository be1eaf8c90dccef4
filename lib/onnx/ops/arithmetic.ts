/** Element by element, broadcast as NumPy does; gradients of broadcast inputs are summed back. */
import { addNode, type Dim, type Graph, scalar, shapeError, type Value } from '../graph.js';
import { sumTo } from './reduce.js';

/** a + b. */
export function add(graph: Graph, a: Value, b: Value): Value {
  return addNode(graph, {
    op: 'Add',
    inputs: [a, b],
    shape: broadcast(graph, 'Add', a, b),
    gradient: (outer, [first, second]) => [
      first ? sumTo(graph, outer, a.shape) : undefined,
      second ? sumTo(graph, outer, b.shape) : undefined,
    ],
  });
}

/** a - b. */
export function subtract(graph: Graph, a: Value, b: Value): Value {
  return addNode(graph, {
    op: 'Sub',
    inputs: [a, b],
    shape: broadcast(graph, 'Sub', a, b),
    gradient: (outer, [first, second]) => [
      first ? sumTo(graph, outer, a.shape) : undefined,
      second ? negate(graph, sumTo(graph, outer, b.shape)) : undefined,
    ],
  });
}

/** a b. */
export function multiply(graph: Graph, a: Value, b: Value): Value {
  return addNode(graph, {
    op: 'Mul',
    inputs: [a, b],
    shape: broadcast(graph, 'Mul', a, b),
    gradient: (outer, [first, second]) => [
      first ? sumTo(graph, multiply(graph, outer, b), a.shape) : undefined,
      second ? sumTo(graph, multiply(graph, outer, a), b.shape) : undefined,
    ],
  });
}

/** a / b. */
export function divide(graph: Graph, a: Value, b: Value): Value {
  const quotient: Value = addNode(graph, {
    op: 'Div',
    inputs: [a, b],
    shape: broadcast(graph, 'Div', a, b),
    gradient: (outer, [first, second]) => {
      const inner = divide(graph, outer, b);
      return [
        first ? sumTo(graph, inner, a.shape) : undefined,
        second ? negate(graph, sumTo(graph, multiply(graph, inner, quotient), b.shape)) : undefined,
      ];
    },
  });
  return quotient;
}

/** -x. */
export function negate(graph: Graph, x: Value): Value {
  return addNode(graph, { op: 'Neg', inputs: [x], shape: x.shape, gradient: (outer) => [negate(graph, outer)] });
}

/** x times a number. */
export function scale(graph: Graph, x: Value, factor: number): Value {
  return multiply(graph, x, scalar(graph, factor));
}

/** |x|; its gradient at 0 is 0, as in PyTorch. */
export function absolute(graph: Graph, x: Value): Value {
  return addNode(graph, {
    op: 'Abs',
    inputs: [x],
    shape: x.shape,
    gradient: (outer) => {
      // No Sign: ONNX Runtime's WebGPU provider lacks it.
      const zero = scalar(graph, 0);
      const negative = choose(graph, less(graph, x, zero), negate(graph, outer), zero);
      return [choose(graph, less(graph, zero, x), outer, negative)];
    },
  });
}

/** e^x. */
export function exponential(graph: Graph, x: Value): Value {
  const y: Value = addNode(graph, {
    op: 'Exp',
    inputs: [x],
    shape: x.shape,
    gradient: (outer) => [multiply(graph, outer, y)],
  });
  return y;
}

/** Natural logarithm. */
export function logarithm(graph: Graph, x: Value): Value {
  return addNode(graph, { op: 'Log', inputs: [x], shape: x.shape, gradient: (outer) => [divide(graph, outer, x)] });
}

/** Root of x; its gradient is infinite at 0. */
export function squareRoot(graph: Graph, x: Value): Value {
  const y: Value = addNode(graph, {
    op: 'Sqrt',
    inputs: [x],
    shape: x.shape,
    gradient: (outer) => [divide(graph, scale(graph, outer, 0.5), y)],
  });
  return y;
}

/** max(a, b), where it is a threshold: its gradient is taken as zero. */
export function maximumDetached(graph: Graph, a: Value, b: Value): Value {
  return addNode(graph, {
    op: 'Max',
    inputs: [a, b],
    shape: broadcast(graph, 'Max', a, b),
    gradient: () => [undefined, undefined],
  });
}

/** a < b, element by element. */
export function less(graph: Graph, a: Value, b: Value): Value {
  const shape = broadcast(graph, 'Less', a, b);
  return addNode(graph, { op: 'Less', inputs: [a, b], shape, dtype: 'bool', gradient: () => [undefined, undefined] });
}

/** `a` where `condition`, else `b`. */
export function choose(graph: Graph, condition: Value, a: Value, b: Value): Value {
  const shape = broadcast(graph, 'Where', { ...a, shape: broadcast(graph, 'Where', a, b) }, condition);
  return addNode(graph, {
    op: 'Where',
    inputs: [condition, a, b],
    shape,
    gradient: (outer, [, first, second]) => {
      const zero = scalar(graph, 0);
      return [
        undefined,
        first ? sumTo(graph, choose(graph, condition, outer, zero), a.shape) : undefined,
        second ? sumTo(graph, choose(graph, condition, zero, outer), b.shape) : undefined,
      ];
    },
  });
}

function broadcast(graph: Graph, op: string, a: Value, b: Value): Dim[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  const shape: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a.shape[a.shape.length - rank + i] ?? 1;
    const y = b.shape[b.shape.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) throw shapeError(graph, op, 'the shapes cannot be broadcast together', a, b);
    shape.push(x === 1 ? y : x);
  }
  return shape;
}
