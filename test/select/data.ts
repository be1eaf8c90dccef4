/** Point clouds of every kind that the engine can meet, from seeds. */
import type { EmbeddingMatrix } from '#lib/matrix.js';
import { stream } from '#lib/select/random.js';

/** Value of column j of row i. `gauss` and `uniform` are the streams of this cloud. */
type Cell = (i: number, j: number, cols: number) => number;
type Cloud = (gauss: () => number, uniform: () => number, rows: number, cols: number) => Cell;

/** Rows that all share something are made from the first rows' numbers. */
const table = (count: number, cols: number, draw: () => number) =>
  Array.from({ length: count }, () => Array.from({ length: cols }, draw));

export const clouds: Record<string, Cloud> = {
  isotropic: (gauss) => () => gauss(),
  embeddingLike: (gauss, _, __, cols) => {
    const mean = table(1, cols, gauss)[0]!;
    return (_i, j) => 3 * mean[j]! + gauss() * (j + 1) ** -0.6;
  },
  mixture: (gauss, uniform, _, cols) => {
    const centres = table(5, cols, () => 4 * gauss());
    let centre = centres[0]!;
    return (_i, j) => {
      if (j === 0) centre = centres[Math.floor(5 * uniform())]!;
      return centre[j]! + gauss();
    };
  },
  sphere: (gauss, _, rows, cols) => {
    const points = table(rows, cols, gauss).map((x) => x.map((value) => value / Math.hypot(...x)));
    return (i, j) => points[i]![j]!;
  },
  duplicates: (gauss, uniform, rows, cols) => {
    const points = table(Math.ceil(rows / 4), cols, gauss);
    const pick = Array.from({ length: rows }, () => points[Math.floor(points.length * uniform())]!);
    return (i, j) => pick[i]![j]!;
  },
  allEqual: (gauss, _, __, cols) => {
    const point = table(1, cols, gauss)[0]!;
    return (_i, j) => point[j]!;
  },
  zeros: () => () => 0,
  someZeroRows: (gauss) => (i) => (i % 3 === 0 ? 0 : gauss()),
  integerGrid: (_, uniform) => () => Math.floor(3 * uniform()),
  parallelVectors: (_, uniform, rows, cols) => {
    const directions = table(3, cols, () => Math.floor(5 * uniform()) - 2);
    const factors = Array.from({ length: rows }, () => 1 + Math.floor(7 * uniform()));
    return (i, j) => factors[i]! * directions[i % 3]![j]!;
  },
  signedZeros: (gauss, uniform) => () => (uniform() < 0.5 ? (uniform() < 0.5 ? 0 : -0) : Math.round(gauss())),
  constantColumns: (gauss) => (_i, j) => (j % 2 === 0 ? 7.25 : gauss()),
  farFromOrigin: (gauss) => () => 1e4 + gauss(),
  nearTies: (_, uniform) => () => 1 + (uniform() < 0.5 ? 0 : 2 ** -23),
  denormals: (gauss) => () => gauss() * 1e-40,
  huge: (gauss) => () => gauss() * 1e30,
  tiny: (gauss) => () => gauss() * 1e-30,
  hugeAndTiny: (gauss) => (i) => gauss() * (i % 2 === 0 ? 1e15 : 1e-15),
  oneFeatureDominates: (gauss) => (_i, j) => gauss() * (j === 0 ? 1e6 : 1e-3),
};

/** A cloud by name, rounded to its type, on memory that the engine takes as it is. */
export function cloud(
  name: string,
  seed: number,
  rows: number,
  cols: number,
  type: 'float32' | 'float64' = 'float32',
): EmbeddingMatrix {
  const words = stream(seed, 0);
  const uniform = () => words() / 2 ** 32;
  const gauss = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  const cell = clouds[name]!(gauss, uniform, rows, cols);
  const memory = new SharedArrayBuffer(rows * cols * (type === 'float32' ? 4 : 8));
  const data = type === 'float32' ? new Float32Array(memory) : new Float64Array(memory);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) data[i * cols + j] = cell(i, j, cols);
  return { data, rows, cols };
}
