import type { RenderedScene } from '../native.js';
import { type Clip, classOf, directions, FOCAL, project, type Regime, type Scene, type Vec3 } from './scenes.js';

/** Metres per unit of the depth images. */
export const DEPTH_SCALE = 0.001;

/** Where a frame stands in the data set. */
export interface FrameOf {
  index: number;
  clip: Clip;
  /** Within its clip. */
  frame: number;
}

/** `000042` */
export function frameId({ index }: FrameOf): string {
  return String(index).padStart(6, '0');
}

/** What `logs` says about a frame besides its files. */
export function recording(regime: Regime, { clip, frame }: FrameOf) {
  return regime === 'logs' ? { clip: clip.index, frame, camera: clip.camera } : {};
}

/** For each object, the objects more than 0.2 m away along each direction, as in CLEVR. */
function relationships(scene: Scene): Record<string, number[][]> {
  const { behind, front, left, right } = directions(scene.camera);
  const along = (v: Vec3) =>
    scene.objects.map((a, i) =>
      scene.objects.flatMap((b, j) => {
        const distance = v.reduce((sum, x, k) => sum + (b.position[k]! - a.position[k]!) * x, 0);
        return j !== i && distance > 0.2 ? [j] : [];
      }),
    );
  return { behind: along(behind), front: along(front), left: along(left), right: along(right) };
}

/**
 * The JSON of one frame: CLEVR's scene fields with the camera, the lamps and what is visible of each object.
 * `pixel_coords` are of the object's centre: x, y in pixels, depth in metres; `bbox_xyxy` is half open.
 */
export function describeScene(
  scene: Scene,
  rendered: RenderedScene,
  of: FrameOf,
  options: { regime: Regime; seed: number; size: number; attempts: number },
): Record<string, unknown> {
  const { size } = options;
  const { right, up, back, location } = scene.camera;
  const objects = scene.objects.map((object, i) => {
    const [x, y, depth] = project(scene.camera, object.position, size);
    const { pixels, box } = rendered.objects[i]!;
    return {
      shape: object.shape,
      size: object.size,
      material: object.material,
      color: object.color,
      scale: object.scale,
      rotation: object.rotation,
      '3d_coords': object.position,
      pixel_coords: [Math.round(x), Math.round(y), depth],
      instance_id: i + 1,
      class_id: classOf(object),
      visible_pixels: pixels,
      bbox_xyxy: pixels > 0 ? box : null,
    };
  });
  let nearest = Infinity;
  let farthest = 0;
  for (const depth of rendered.depth) {
    if (depth > 0 && depth < nearest) nearest = depth;
    if (depth > farthest) farthest = depth;
  }
  return {
    image_index: of.index,
    image_filename: `${frameId(of)}.png`,
    split: of.clip.split,
    ...recording(options.regime, of),
    seed: options.seed,
    placement_attempts: options.attempts,
    directions: directions(scene.camera),
    objects,
    camera: {
      location,
      matrix_world: [0, 1, 2].map((i) => [right[i], up[i], back[i], location[i]]).concat([[0, 0, 0, 1]]),
      lens_mm: 35,
      sensor_width_mm: 32,
      fx: FOCAL * size,
      fy: FOCAL * size,
      cx: size / 2,
      cy: size / 2,
      convention: 'blender: camera looks along -Z, +Y up',
    },
    lights: scene.lamps,
    relationships: relationships(scene),
    depth_scale: DEPTH_SCALE,
    depth_min: nearest * DEPTH_SCALE,
    depth_max: farthest * DEPTH_SCALE,
  };
}
