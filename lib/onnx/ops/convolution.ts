import { addNode, type Dim, type Graph, shapeError, type Value } from '../graph.js';

/** Convolution of x [B, C, H, W] by w [D, C, k, k] with stride k: cuts the image into patches, [B, D, H/k, W/k]. */
export function patchConvolution(graph: Graph, x: Value, w: Value, bias: Value): Value {
  const [filters, channels, side] = w.shape;
  if (x.shape.length !== 4 || x.shape[1] !== channels || bias.shape[0] !== filters || typeof side !== 'number') {
    throw shapeError(graph, 'Conv', 'the channels of image, filters and bias must be equal', x, w, bias);
  }
  const patches = (size: Dim): Dim => (typeof size === 'string' ? `${size}/${side}` : size / side);
  return addNode(graph, {
    op: 'Conv',
    inputs: [x, w, bias],
    attributes: { kernel_shape: [side, side], strides: [side, side] },
    shape: [x.shape[0]!, filters!, patches(x.shape[2]!), patches(x.shape[3]!)],
  });
}
