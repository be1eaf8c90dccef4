/**
 * A convolution of 3 x 3 on an image that was doubled just before (bilinear, corners on corners), without the doubled
 * image. Both are linear, so the sums over channels can come first, where there are a quarter of the places:
 *
 *     y = sum over taps i, j of  D_i (w_ij x) D_j'        D_i = rows of the doubling matrix [2n, n], moved by i - 1, 0 outside
 *
 * A row of D_i has two neighbouring numbers that are not 0. The image is cut into tiles, so that the products with D_i leave
 * most zeros out; a tile takes the few places that it shares with its neighbours twice.
 */
import { addNode, fixedShape, floats, type Graph, integers, shapeError, type Value } from '../graph.js';
import { add } from './arithmetic.js';
import { reshape, transpose } from './layout.js';
import { matmul } from './linear.js';
import { interpolationMatrix } from './resize.js';

/** Largest side of a tile of the result: measured at 224 pixels, where 64 and 128 are slower at F = 64 and the same at F = 256. */
const TILE = 32;

/** How one axis is cut. */
interface Cut {
  /** Places of the axis, and of the doubled one in each tile. */
  readonly size: number;
  readonly out: number;
  /** How many places a tile needs, and the first of them of each tile. */
  readonly span: number;
  readonly first: readonly number[];
}

/**
 * x [B, h, w, C], channels last, doubled and then convolved by the filters w [O, C, 3, 3] with one zero on each side, bias
 * [O]: tiles [B, rows, cols, t, u, O] of the result, rows t = 2h and cols u = 2w. `joinTiles` puts them together.
 */
export function doubledConvolution(graph: Graph, x: Value, w: Value, bias: Value): Value {
  const [batch, height, width, channels] = fixedShape(graph, 'Conv', x) as [number, number, number, number];
  const [filters, inputs, ...side] = fixedShape(graph, 'Conv', w) as [number, number, number, number];
  if (inputs !== channels || bias.shape[0] !== filters || side.join() !== '3,3') {
    throw shapeError(graph, 'Conv', 'the channels of image, filters of 3 x 3 and bias must be equal', x, w, bias);
  }
  const [down, across] = [cutOf(height), cutOf(width)];
  const [rows, cols] = [down.first.length, across.first.length];
  const cut = windows(graph, windows(graph, x, 1, down), 2, across);
  const tiles = transpose(
    graph,
    reshape(graph, cut, [batch, rows, down.span, cols, across.span, channels]),
    [0, 1, 3, 2, 4, 5],
  );
  const places = down.span * across.span;
  // One factor for each row i of the filters; its columns are those of the filters and the filters themselves.
  const taps = reshape(graph, transpose(graph, w, [2, 1, 3, 0]), [3, channels, 3 * filters]);
  const summed = matmul(graph, reshape(graph, tiles, [batch * rows * cols, 1, places, channels]), taps);
  const lines = reshape(graph, summed, [batch * rows, cols, 3 * down.span, 3 * across.span, filters]);
  const wide = matmul(graph, bands(graph, across, true), lines);
  const slabs = reshape(graph, wide, [batch, rows, cols, 3 * down.span, across.out * filters]);
  const whole = matmul(graph, bands(graph, down, false), slabs);
  return add(graph, reshape(graph, whole, [batch, rows, cols, down.out, across.out, filters]), bias);
}

/** [B, rows, cols, t, u, C] -> [B, rows t, cols u, C]. */
export function joinTiles(graph: Graph, tiles: Value): Value {
  const [batch, rows, cols, t, u, channels] = fixedShape(graph, 'Transpose', tiles) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return reshape(graph, transpose(graph, tiles, [0, 1, 3, 2, 4, 5]), [batch, rows * t, cols * u, channels]);
}

function cutOf(size: number): Cut {
  let tiles = Math.ceil((2 * size) / TILE);
  while ((2 * size) % tiles !== 0) tiles++;
  const out = (2 * size) / tiles;
  const doubling = interpolationMatrix(size, 2 * size, true);
  const weights = (place: number) => doubling.subarray(place * size, (place + 1) * size);
  const needed = Array.from({ length: tiles }, (_, tile) => ({
    low: weights(Math.max(0, tile * out - 1)).findIndex((weight) => weight !== 0),
    high: weights(Math.min(2 * size - 1, (tile + 1) * out)).findLastIndex((weight) => weight !== 0),
  }));
  const span = Math.max(...needed.map(({ low, high }) => high - low + 1));
  return { size, out, span, first: needed.map(({ low }) => Math.min(low, size - span)) };
}

/** What the tiles need along `axis`, one after the other. Gradient: what is taken twice adds up. */
function windows(graph: Graph, x: Value, axis: number, { size, span, first }: Cut): Value {
  if (first.length === 1) return x;
  const sizes = fixedShape(graph, 'Gather', x);
  const taken = first.flatMap((start) => Array.from({ length: span }, (_, i) => start + i));
  const shape = sizes.with(axis, taken.length);
  return addNode(graph, {
    op: 'Gather',
    inputs: [x, integers(graph, taken)],
    attributes: { axis },
    shape,
    gradient: (outer) => {
      const sum = floats(graph, `sum[${taken}]`, [size, taken.length], () =>
        Float32Array.from({ length: size * taken.length }, (_, i) =>
          taken[i % taken.length] === Math.floor(i / taken.length) ? 1 : 0,
        ),
      );
      const count = (dims: readonly number[]) => dims.reduce((product, dim) => product * dim, 1);
      const slabs = [count(shape.slice(0, axis)), taken.length, count(shape.slice(axis + 1))];
      return [reshape(graph, matmul(graph, sum, reshape(graph, outer, slabs)), sizes)];
    },
  });
}

/** D_0, D_1 and D_2 as far as each tile needs them, [tiles, 1, out, 3 span]; a column is a (place, tap) or a (tap, place). */
function bands(graph: Graph, { size, out, span, first }: Cut, placeFirst: boolean): Value {
  const width = 3 * span;
  return floats(graph, `bands${size}${placeFirst}`, [first.length, 1, out, width], () => {
    const doubling = interpolationMatrix(size, 2 * size, true);
    return Float32Array.from({ length: 2 * size * width }, (_, i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      const tap = placeFirst ? column % 3 : Math.floor(column / span);
      const place = placeFirst ? Math.floor(column / 3) : column % span;
      const moved = row + tap - 1;
      if (moved < 0 || moved >= 2 * size) return 0;
      return doubling[moved * size + first[Math.floor(row / out)]! + place]!;
    });
  });
}
