/**
 * Convolutions and their gradients, by the standard operators that every provider has kernels for:
 *
 *     with regard to x   stride 1: the convolution of the outer gradient by the turned filters; else the transposed one
 *     with regard to w   for each tap (i, j) of the filter, outer . (x shifted by i, j)', one matrix product
 */
import { addNode, type Dim, fixedShape, floats, type Graph, integers, shapeError, type Value } from '../graph.js';
import { concat, reshape, swapLast, transpose } from './layout.js';
import { matmul } from './linear.js';
import { sumTo } from './reduce.js';

export interface ConvolutionOptions {
  /** 1 if not given. */
  readonly stride?: number;
  /** Zeros on each side, 0 if not given. */
  readonly pad?: number;
}

type Sizes = readonly [number, number, number, number];

/** Convolution of x [B, C, H, W] by w [D, C, k, k] with stride k: cuts the image into patches, [B, D, H/k, W/k]. */
export function patchConvolution(graph: Graph, x: Value, w: Value, bias: Value): Value {
  return convolution(graph, x, w, bias, { stride: w.shape[2] as number });
}

/** x [B, C, H, W] by the filters w [D, C, k, k], bias [D]: [B, D, (H + 2 pad - k) / stride + 1, ...]. */
export function convolution(
  graph: Graph,
  x: Value,
  w: Value,
  bias: Value | undefined,
  { stride = 1, pad = 0 }: ConvolutionOptions = {},
): Value {
  const [filters, channels, side] = w.shape;
  const fits = x.shape[1] === channels && (!bias || bias.shape[0] === filters);
  if (x.shape.length !== 4 || !fits || typeof side !== 'number') {
    throw shapeError(
      graph,
      'Conv',
      'the channels of image, filters and bias must be equal',
      x,
      w,
      ...(bias ? [bias] : []),
    );
  }
  const after = (size: Dim): Dim =>
    typeof size === 'string' ? `${size}/${stride}` : Math.floor((size + 2 * pad - side) / stride) + 1;
  return addNode(graph, {
    op: 'Conv',
    inputs: [x, w, bias],
    attributes: { kernel_shape: [side, side], strides: [stride, stride], pads: [pad, pad, pad, pad] },
    shape: [x.shape[0]!, filters!, after(x.shape[2]!), after(x.shape[3]!)],
    gradient: (outer, [ofX, ofW, ofBias]) => [
      ofX ? gradientOfImage(graph, outer, w, fixedShape(graph, 'Conv', x) as unknown as Sizes, stride, pad) : undefined,
      ofW ? gradientOfFilters(graph, x, outer, side, stride, pad) : undefined,
      ofBias ? gradientOfBias(graph, outer) : undefined,
    ],
  });
}

/** The transposed convolution of x [B, C, H, W] by w [C, D, k, k] with stride k and no padding: [B, D, k H, k W]. */
export function patchDeconvolution(graph: Graph, x: Value, w: Value, bias: Value): Value {
  const [batch, channels, rows, cols] = fixedShape(graph, 'ConvTranspose', x) as unknown as Sizes;
  const [inputs, filters, side] = fixedShape(graph, 'ConvTranspose', w) as unknown as Sizes;
  if (channels !== inputs || bias.shape[0] !== filters) {
    throw shapeError(graph, 'ConvTranspose', 'the channels of image, filters and bias must be equal', x, w, bias);
  }
  return addNode(graph, {
    op: 'ConvTranspose',
    inputs: [x, w, bias],
    attributes: { kernel_shape: [side, side], strides: [side, side] },
    shape: [batch, filters, rows * side, cols * side],
    gradient: (outer, [ofX, ofW, ofBias]) => [
      ofX ? convolution(graph, outer, w, undefined, { stride: side }) : undefined,
      ofW ? gradientOfFilters(graph, outer, x, side, side, 0) : undefined,
      ofBias ? gradientOfBias(graph, outer) : undefined,
    ],
  });
}

/** Each channel of x [B, C, H, W] by its own filter, w [C, 1, k, k], k odd, with the size kept: ConvNeXt's depthwise one. */
export function depthwiseConvolution(graph: Graph, x: Value, w: Value, bias: Value): Value {
  const [, channels] = fixedShape(graph, 'Conv', x) as unknown as Sizes;
  const [filters, one, side] = fixedShape(graph, 'Conv', w) as unknown as Sizes;
  if (filters !== channels || one !== 1 || side % 2 === 0) {
    throw shapeError(graph, 'Conv', 'each channel needs one filter of an odd side', x, w, bias);
  }
  const pad = (side - 1) / 2;
  const node = (image: Value, filter: Value, with_: Value | undefined) => ({
    op: 'Conv',
    inputs: [image, filter, with_],
    attributes: { kernel_shape: [side, side], pads: [pad, pad, pad, pad], group: channels },
    shape: x.shape,
  });
  return addNode(graph, {
    ...node(x, w, bias),
    gradient: (outer, [ofX, ofW, ofBias]) => {
      const taps: Value[] = [];
      for (let tap = 0; ofW && tap < side * side; tap++) {
        const image = shifted(graph, x, Math.floor(tap / side) - pad, (tap % side) - pad);
        const product = addNode(graph, { op: 'Mul', inputs: [outer, image], shape: x.shape });
        taps.push(sumTo(graph, product, [channels, 1, 1]));
      }
      return [
        ofX ? addNode(graph, node(outer, turned(graph, w), undefined)) : undefined,
        ofW ? reshape(graph, concat(graph, taps, 1), [channels, 1, side, side]) : undefined,
        ofBias ? gradientOfBias(graph, outer) : undefined,
      ];
    },
  });
}

function gradientOfBias(graph: Graph, outer: Value): Value {
  const attributes = { keepdims: 0 };
  const axes = integers(graph, [0, 2, 3]);
  return addNode(graph, { op: 'ReduceSum', inputs: [outer, axes], attributes, shape: [outer.shape[1]!] });
}

function gradientOfImage(graph: Graph, outer: Value, w: Value, image: Sizes, stride: number, pad: number): Value {
  const [filters, channels, side] = fixedShape(graph, 'Conv', w) as unknown as Sizes;
  const [batch, , rows, cols] = fixedShape(graph, 'Conv', outer) as unknown as Sizes;
  if (side === 1 && stride === 1) {
    const matrix = reshape(graph, w, [filters, channels]);
    const product = matmul(graph, swapLast(graph, matrix), reshape(graph, outer, [batch, filters, rows * cols]));
    return reshape(graph, product, image);
  }
  if (stride === 1) {
    return convolution(graph, outer, turned(graph, transpose(graph, w, [1, 0, 2, 3])), undefined, {
      pad: side - 1 - pad,
    });
  }
  const missing = (size: number, after: number) => size - ((after - 1) * stride - 2 * pad + side);
  return addNode(graph, {
    op: 'ConvTranspose',
    inputs: [outer, w],
    attributes: {
      kernel_shape: [side, side],
      strides: [stride, stride],
      pads: [pad, pad, pad, pad],
      output_padding: [missing(image[2], rows), missing(image[3], cols)],
    },
    shape: image,
  });
}

/** Filters with rows and columns reversed: a product with a permutation takes a third of a Slice with steps of -1. */
function turned(graph: Graph, w: Value): Value {
  const [filters, channels, side] = fixedShape(graph, 'MatMul', w) as unknown as Sizes;
  const last = side * side - 1;
  const taps = reshape(graph, w, [filters * channels, last + 1]);
  return reshape(
    graph,
    matmul(
      graph,
      taps,
      permutation(graph, 'reversed', last + 1, (tap) => last - tap),
    ),
    w.shape,
  );
}

/** [size, size]: a row times it has its element i at `place(i)`. */
function permutation(graph: Graph, key: string, size: number, place: (i: number) => number): Value {
  return floats(graph, key, [size, size], () => {
    const matrix = new Float32Array(size * size);
    for (let i = 0; i < size; i++) matrix[i * size + place(i)] = 1;
    return matrix;
  });
}

/**
 * [D, C, side, side] from x [B, C, H, W] and outer [B, D, rows, cols]: for tap (i, j), sum over places of outer times x
 * shifted by the tap. Where the size is kept, x is shifted along the columns and outer, the other way, along the rows, and
 * the shifted outer ones are stacked, so that three products of tall matrices do all nine taps. Where there are fewer places
 * than filters, the shifted images side by side are smaller than the result, and one product does all taps.
 */
function gradientOfFilters(graph: Graph, x: Value, outer: Value, side: number, stride: number, pad: number): Value {
  const [batch, channels, height] = fixedShape(graph, 'Conv', x) as unknown as Sizes;
  const [, filters, rows, cols] = fixedShape(graph, 'Conv', outer) as unknown as Sizes;
  if (side === stride && pad === 0 && side > 1) return gradientOfPatches(graph, x, outer, side);
  const places = rows * cols;
  if (side > 1 && batch * places < filters) return gradientByColumns(graph, x, outer, side, stride, pad);
  const offsets = Array.from({ length: side }, (_, i) => i);
  /** [depth of `left`, C]: the sum over batch and places. */
  const product = (left: Value, right: Value) => {
    const depth = left.shape[1] as number;
    const flat = (value: Value, size: number) => reshape(graph, value, [batch, size, places]);
    return sumTo(graph, matmul(graph, flat(left, depth), swapLast(graph, flat(right, channels))), [depth, channels]);
  };
  if (side === 1 && stride === 1 && pad === 0) return reshape(graph, product(outer, x), [filters, channels, 1, 1]);
  /** The filters from a list of taps [.. D, C] in any order: a product takes half of a Transpose of so few long rows. */
  const filtersOf = (taps: readonly Value[], key: string, place: (tap: number) => number) => {
    const count = side * side;
    const rows = concat(
      graph,
      taps.map((tap) => reshape(graph, tap, [count / taps.length, filters * channels])),
      0,
    );
    const columns = matmul(graph, swapLast(graph, rows), permutation(graph, key, count, place));
    return reshape(graph, columns, [filters, channels, side, side]);
  };
  if (stride === 1 && rows === height) {
    const slopes = concat(
      graph,
      offsets.map((i) => shifted(graph, outer, pad - i, 0)),
      1,
    );
    const byColumn = offsets.map((j) => product(slopes, shifted(graph, x, 0, j - pad)));
    return filtersOf(byColumn, 'byColumn', (tap) => (tap % side) * side + Math.floor(tap / side));
  }
  const padded = pad === 0 ? x : padAxes(graph, x, [pad, pad], [pad, pad]);
  const taps = offsets.flatMap((i) =>
    offsets.map((j) => product(outer, strided(graph, padded, i, j, rows, cols, stride))),
  );
  return filtersOf(taps, 'byRow', (tap) => tap);
}

/** y[r, c] = x[r + down, c + right], 0 where that is outside. A negative pad crops. */
function shifted(graph: Graph, x: Value, down: number, right: number): Value {
  if (down === 0 && right === 0) return x;
  return padAxes(graph, x, [-down, -right], [down, right]);
}

/** One product of outer [D, B places] with the image's patches [C side^2, B places], which already lies as the filters do. */
function gradientByColumns(graph: Graph, x: Value, outer: Value, side: number, stride: number, pad: number): Value {
  const [batch, channels] = fixedShape(graph, 'Conv', x) as unknown as Sizes;
  const [, filters, rows, cols] = fixedShape(graph, 'Conv', outer) as unknown as Sizes;
  const places = rows * cols;
  const padded = pad === 0 ? x : padAxes(graph, x, [pad, pad], [pad, pad]);
  const taps = Array.from({ length: side * side }, (_, tap) => {
    const image = strided(graph, padded, Math.floor(tap / side), tap % side, rows, cols, stride);
    return reshape(graph, image, [batch, channels, 1, places]);
  });
  const patches = transpose(graph, concat(graph, taps, 2), [1, 2, 0, 3]);
  const wide = transpose(graph, reshape(graph, outer, [batch, filters, places]), [1, 0, 2]);
  const product = matmul(
    graph,
    reshape(graph, wide, [filters, batch * places]),
    swapLast(graph, reshape(graph, patches, [channels * side * side, batch * places])),
  );
  return reshape(graph, product, [filters, channels, side, side]);
}

/** Patches do not overlap: the image cut into patches is a permutation of it, and one product does all taps. */
function gradientOfPatches(graph: Graph, x: Value, outer: Value, side: number): Value {
  const [batch, channels] = fixedShape(graph, 'Conv', x) as unknown as Sizes;
  const [, filters, rows, cols] = fixedShape(graph, 'Conv', outer) as unknown as Sizes;
  const cut = transpose(graph, reshape(graph, x, [batch, channels, rows, side, cols, side]), [0, 2, 4, 1, 3, 5]);
  const patches = reshape(graph, cut, [batch * rows * cols, channels * side * side]);
  const wide = transpose(graph, reshape(graph, outer, [batch, filters, rows * cols]), [1, 0, 2]);
  const product = matmul(graph, reshape(graph, wide, [filters, batch * rows * cols]), patches);
  return reshape(graph, product, [filters, channels, side, side]);
}

/** Every `stride`-th pixel from (top, left) on: [B, C, rows, cols]. */
function strided(graph: Graph, x: Value, top: number, left: number, rows: number, cols: number, stride: number): Value {
  const starts = integers(graph, [top, left]);
  const ends = integers(graph, [top + (rows - 1) * stride + 1, left + (cols - 1) * stride + 1]);
  return addNode(graph, {
    op: 'Slice',
    inputs: [x, starts, ends, integers(graph, [2, 3]), integers(graph, [stride, stride])],
    shape: [x.shape[0]!, x.shape[1]!, rows, cols],
  });
}

/** Zeros before and after the two image axes. */
function padAxes(graph: Graph, x: Value, before: readonly [number, number], after: readonly [number, number]): Value {
  const [batch, channels, rows, cols] = fixedShape(graph, 'Pad', x) as unknown as Sizes;
  const shape = [batch, channels, rows + before[0] + after[0], cols + before[1] + after[1]];
  return addNode(graph, { op: 'Pad', inputs: [x, integers(graph, [0, 0, ...before, 0, 0, ...after])], shape });
}
