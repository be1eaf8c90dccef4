import { addNode, fixedShape, floats, type Graph, integers, type Value } from '../graph.js';
import { transpose } from './layout.js';
import { matmul } from './linear.js';

/**
 * Bilinear resize of [B, C, H, W] to [B, C, height, width] without antialiasing; `corners` puts the corner pixels' centres
 * on each other (PyTorch's align_corners=true), else half-pixel centres. It is linear: y = A x B', so the gradient is
 * A' outer B with constant matrices.
 */
export function resizeBilinear(graph: Graph, x: Value, height: number, width: number, corners: boolean): Value {
  const [batch, channels, rows, cols] = fixedShape(graph, 'Resize', x) as [number, number, number, number];
  const shape = [batch, channels, height, width];
  return addNode(graph, {
    op: 'Resize',
    inputs: [x, undefined, undefined, integers(graph, shape)],
    attributes: { mode: 'linear', coordinate_transformation_mode: corners ? 'align_corners' : 'half_pixel' },
    shape,
    gradient: (outer) => {
      const across = matmul(graph, outer, interpolation(graph, cols, width, corners));
      return [matmul(graph, transpose(graph, interpolation(graph, rows, height, corners), [1, 0]), across)];
    },
  });
}

function interpolation(graph: Graph, from: number, to: number, corners: boolean): Value {
  const key = `bilinear${corners ? 'Corners' : ''}`;
  return floats(graph, key, [to, from], () => interpolationMatrix(from, to, corners));
}

/** [to, from]: how each target position is made of the source positions. */
export function interpolationMatrix(from: number, to: number, corners: boolean): Float32Array {
  const matrix = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const place = corners ? (to === 1 ? 0 : (i * (from - 1)) / (to - 1)) : Math.max(0, ((i + 0.5) * from) / to - 0.5);
    const low = Math.min(Math.floor(place), from - 1);
    const high = Math.min(low + 1, from - 1);
    matrix[i * from + low]! += 1 - (place - low);
    matrix[i * from + high]! += place - low;
  }
  return matrix;
}
