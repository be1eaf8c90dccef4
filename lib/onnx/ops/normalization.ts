import { addNode, addNodeOutputs, type Graph, shapeError, type Value } from '../graph.js';
import { multiply, subtract } from './arithmetic.js';
import { reduceMean, reduceSum, sumTo } from './reduce.js';

/**
 * xhat * scale + bias with xhat = (x - mean) r, r = 1 / sqrt(var + epsilon), over the last axis.
 * Gradient, with h = outer * scale: dx = r (h - mean(h) - xhat mean(h xhat)), dscale = sum(outer xhat), dbias = sum(outer).
 */
export function layerNorm(graph: Graph, x: Value, scale: Value, bias: Value, epsilon: number): Value {
  const width = x.shape.at(-1);
  if (scale.shape[0] !== width || bias.shape[0] !== width) {
    throw shapeError(graph, 'LayerNormalization', 'scale and bias must be as wide as the last axis', x, scale, bias);
  }
  const each = [...x.shape.slice(0, -1), 1];
  const last = [x.shape.length - 1];
  const [y, mean, reciprocal] = addNodeOutputs(graph, {
    op: 'LayerNormalization',
    inputs: [x, scale, bias],
    attributes: { axis: -1, epsilon: { float: epsilon } },
    shape: x.shape,
    further: [each, each],
    gradient: (outer, [ofX, ofScale, ofBias]) => {
      const normal = multiply(graph, subtract(graph, x, mean!), reciprocal!);
      let dx: Value | undefined;
      if (ofX) {
        const h = multiply(graph, outer, scale);
        const along = multiply(graph, normal, reduceMean(graph, multiply(graph, h, normal), last));
        const centred = subtract(graph, subtract(graph, h, reduceMean(graph, h, last)), along);
        dx = multiply(graph, centred, reciprocal!);
      }
      return [
        dx,
        ofScale ? sumTo(graph, multiply(graph, outer, normal), scale.shape) : undefined,
        ofBias ? sumTo(graph, outer, bias.shape) : undefined,
      ];
    },
  }) as [Value, Value, Value];
  return y;
}

/** e^x / sum(e^x) over the last axis. Gradient: y (outer - sum(outer y)). */
export function softmax(graph: Graph, x: Value): Value {
  const y: Value = addNode(graph, {
    op: 'Softmax',
    inputs: [x],
    attributes: { axis: -1 },
    shape: x.shape,
    gradient: (outer) => {
      const weighted = multiply(graph, outer, y);
      const sum = reduceSum(graph, weighted, [x.shape.length - 1]);
      return [subtract(graph, weighted, multiply(graph, y, sum))];
    },
  });
  return y;
}

/** x - log(sum(e^x)) over the last axis. Gradient: outer - e^y sum(outer). */
export function logSoftmax(graph: Graph, x: Value): Value {
  const y: Value = addNode(graph, {
    op: 'LogSoftmax',
    inputs: [x],
    attributes: { axis: -1 },
    shape: x.shape,
    gradient: (outer) => {
      const share = addNode(graph, { op: 'Exp', inputs: [y], shape: x.shape });
      return [subtract(graph, outer, multiply(graph, share, reduceSum(graph, outer, [x.shape.length - 1])))];
    },
  });
  return y;
}
