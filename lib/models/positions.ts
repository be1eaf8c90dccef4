/** Position embeddings: float32 tables [D, rows, cols], made once and resized when the image size differs. */

/** A table of position embeddings, channels first. */
export interface PositionTable {
  readonly rows: number;
  readonly cols: number;
  /** float32 [dim, rows, cols]. */
  readonly data: Float32Array;
}

/**
 * The fixed sine-cosine table of MultiMAE (`build_2d_sincos_posemb`): with w_i = 10000^(-i / (D/4)), channels
 * [sin(w a), cos(w a), sin(w b), cos(w b)] at position n, a = floor(n / rows), b = n mod rows. On square grids a is the
 * row and b the column; on others upstream mixes them up, and weights trained with that table need the same.
 */
export function sinCosTable(dim: number, rows: number, cols: number): PositionTable {
  const quarter = dim / 4;
  const data = new Float32Array(dim * rows * cols);
  for (let n = 0; n < rows * cols; n++) {
    const a = Math.floor(n / rows);
    const b = n % rows;
    for (let i = 0; i < quarter; i++) {
      // Upstream computes the angle in float32.
      const omega = Math.fround(1 / Math.fround(10000 ** Math.fround(i / quarter)));
      const angles = [Math.fround(a * omega), Math.fround(b * omega)];
      angles.forEach((angle, axis) => {
        data[(2 * axis * quarter + i) * rows * cols + n] = Math.sin(angle);
        data[((2 * axis + 1) * quarter + i) * rows * cols + n] = Math.cos(angle);
      });
    }
  }
  return { rows, cols, data };
}

/** Resizes every channel with half-pixel centres, no antialiasing, border pixels repeated, as PyTorch's `interpolate` does. */
export function resizeTable(
  table: PositionTable,
  rows: number,
  cols: number,
  kernel: 'bicubic' | 'bilinear',
): PositionTable {
  if (rows === table.rows && cols === table.cols) return table;
  const dim = table.data.length / (table.rows * table.cols);
  const vertical = taps(table.rows, rows, kernel);
  const horizontal = taps(table.cols, cols, kernel);
  const data = new Float32Array(dim * rows * cols);
  for (let channel = 0; channel < dim; channel++) {
    const source = channel * table.rows * table.cols;
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < cols; x++) {
        let sum = 0;
        for (const { index: sy, weight: wy } of vertical[y]!) {
          let line = 0;
          for (const { index: sx, weight: wx } of horizontal[x]!)
            line += wx * table.data[source + sy * table.cols + sx]!;
          sum += wy * line;
        }
        data[(channel * rows + y) * cols + x] = sum;
      }
    }
  }
  return { rows, cols, data };
}

interface Tap {
  readonly index: number;
  readonly weight: number;
}

/** For each target position, the source positions that it is made of. */
function taps(from: number, to: number, kernel: 'bicubic' | 'bilinear'): Tap[][] {
  const clamp = (index: number) => Math.min(Math.max(index, 0), from - 1);
  return Array.from({ length: to }, (_, target) => {
    const centre = ((target + 0.5) * from) / to - 0.5;
    const position = kernel === 'bilinear' ? Math.max(centre, 0) : centre;
    const first = Math.floor(position);
    const t = position - first;
    if (kernel === 'bilinear') {
      return [
        { index: clamp(first), weight: 1 - t },
        { index: clamp(first + 1), weight: t },
      ];
    }
    return [-1, 0, 1, 2].map((step) => ({ index: clamp(first + step), weight: cubic(Math.abs(t - step)) }));
  });
}

/** Keys' cubic convolution kernel with a = -0.75. */
function cubic(x: number): number {
  const a = -0.75;
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((x - 5) * x + 8) * a * x - 4 * a;
  return 0;
}
