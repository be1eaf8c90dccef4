/**
 * Flips, rotation and crop as one map: for each pixel of the view, which pixel of the record it shows. Applied to every
 * modality alike, it can't move them apart.
 */

/** [side * side] indices into a record's pixels, row-major; -1 where the view looks beyond the image. */
export type PixelMap = Int32Array;

export interface Geometry {
  /** Top left corner of the crop. */
  readonly x: number;
  readonly y: number;
  readonly flipX: boolean;
  readonly flipY: boolean;
  /** Degrees, counter-clockwise, about the middle of the crop. */
  readonly rotation: number;
}

/**
 * The map of crop, then flips, then rotation (nearest pixel, as torchvision's `rotate` on tensors) of a
 * `side` x `side` view. Flips and crop can change places: the crop is drawn from everywhere alike.
 */
export function pixelMap(width: number, side: number, { x, y, flipX, flipY, rotation }: Geometry): PixelMap {
  const map = new Int32Array(side * side);
  const angle = (rotation * Math.PI) / 180;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  const middle = (side - 1) / 2;
  let o = 0;
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const dx = column - middle;
      const dy = row - middle;
      let fromX = rotation === 0 ? column : Math.round(cos * dx - sin * dy + middle);
      let fromY = rotation === 0 ? row : Math.round(sin * dx + cos * dy + middle);
      if (fromX < 0 || fromX >= side || fromY < 0 || fromY >= side) {
        map[o++] = -1;
        continue;
      }
      if (flipX) fromX = side - 1 - fromX;
      if (flipY) fromY = side - 1 - fromY;
      map[o++] = (y + fromY) * width + x + fromX;
    }
  }
  return map;
}
