/**
 * What is in the scenes of the generated data set: Johnson et al., "CLEVR", CVPR 2017, section 3, and its generator's
 * published constants. World: metres, z up, floor at z = 0. Everything is drawn here and nothing in C++.
 *
 * **uniform** is CLEVR's distribution. 3..10 objects; shape, size (radius or half side 0.35 or 0.7), material and colour
 * uniform; x, y uniform in [-3, 3] with at least 0.25 between objects and at least 0.4 along the four directions of the
 * image plane; rotation uniform. Camera at (7.48, -6.51, 5.34) +- 0.5 per axis, looking at the origin; three lamps +- 1
 * per axis. A layout counts when every object has at least 200 visible pixels at 320 px (in proportion otherwise).
 *
 * **logs** is what recordings look like. Training frames come in clips with heavy-tailed length, Pareto with exponent
 * 1.3 from 5 frames, cut at 160 frames or a tenth of all training frames: mean 15, median 8. Within a clip the camera
 * sways by at most 0.25 m per axis (under 0.05 m from frame to frame), three in ten objects drift by at most 0.12 m and
 * the lamps flicker by 0.02 m. Object counts fall geometrically, P(n) ~ 0.58^(n-3): 42 % have 3 objects, 1 % have 10.
 * 88 % of the clips are seen by CLEVR's camera (`front`); the rest by `low` (6 %), `high` (3 %), `side` (2 %) and
 * `close` (1 %). Validation scenes are single frames that go evenly through all cameras and counts.
 */
import { type Random, random } from './random.js';

export const SHAPES = ['cube', 'sphere', 'cylinder'] as const;
export const MATERIALS = ['rubber', 'metal'] as const;
export const CAMERAS = ['front', 'low', 'high', 'side', 'close'] as const;
export type CameraKind = (typeof CAMERAS)[number];
export type Regime = 'uniform' | 'logs';
export type Vec3 = readonly [number, number, number];

const SIZES = [
  ['large', 0.7],
  ['small', 0.35],
] as const;

/** CLEVR's colours; their bytes are linear reflectances there, not sRGB. */
const COLOURS = {
  gray: [87, 87, 87],
  red: [173, 35, 35],
  blue: [42, 75, 215],
  green: [29, 105, 20],
  brown: [129, 74, 25],
  purple: [129, 38, 192],
  cyan: [41, 208, 208],
  yellow: [255, 238, 51],
} as const;
const COLOUR_NAMES = Object.keys(COLOURS) as (keyof typeof COLOURS)[];

/** Focal length in image widths: 35 mm on a 32 mm sensor. */
export const FOCAL = 35 / 32;
/** Fewest and most objects in a scene. */
export const FEWEST = 3;
export const MOST = 10;

const LAMPS = {
  key: [6.44671, -2.90517, 4.2584],
  back: [-1.1685, 2.64602, 5.81574],
  fill: [-4.67112, -4.0136, 3.01122],
};

/** Where the cameras stand: degrees of elevation, degrees to the right of CLEVR's camera, metres from the origin. */
const STANDS: Record<CameraKind, { elevation: number; turn: number; distance: number }> = {
  front: { elevation: 28.32, turn: 0, distance: 11.264 },
  low: { elevation: 14, turn: 0, distance: 10.5 },
  high: { elevation: 55, turn: 0, distance: 11 },
  side: { elevation: 30, turn: 75, distance: 11 },
  close: { elevation: 30, turn: 0, distance: 8 },
};
const AZIMUTH = Math.atan2(-6.50764, 7.48113);
/** CLEVR's backdrop stands 16.3 degrees off the camera's axis. */
const BACKDROP = Math.atan2(0.4275, -0.904);
const RARE: readonly (readonly [CameraKind, number])[] = [
  ['low', 0.06],
  ['high', 0.03],
  ['side', 0.02],
  ['close', 0.01],
];

export interface SceneObject {
  shape: (typeof SHAPES)[number];
  size: 'large' | 'small';
  material: (typeof MATERIALS)[number];
  color: keyof typeof COLOURS;
  /** Radius or half side. */
  scale: number;
  /** About z, radians. */
  rotation: number;
  /** Centre. */
  position: Vec3;
}

export interface Scene {
  /** Blender's convention: the camera looks along -`back`, and `up` is up in the image. Unit vectors. */
  camera: { right: Vec3; up: Vec3; back: Vec3; location: Vec3 };
  lamps: { key: Vec3; back: Vec3; fill: Vec3 };
  /** Horizontal unit vector from the floor towards the backdrop. */
  backdrop: readonly [number, number];
  objects: SceneObject[];
}

/** Frames of one recording, next to each other in the data set. In `uniform` every scene is a clip of one frame. */
export interface Clip {
  /** 0, 1, ... in the data set. */
  index: number;
  split: 'train' | 'val';
  camera: CameraKind;
  objects: number;
  /** Index of its first frame in the data set. */
  first: number;
  frames: number;
}

// Streams of random numbers: what the first key after the seed says.
const PLAN = 1;
const LAYOUT = 2;
const MOTION = 3;
const FRAME = 4;

function rareOrFront(rng: Random): CameraKind {
  let left = rng.uniform(0, 1);
  for (const [camera, probability] of RARE) {
    left -= probability;
    if (left < 0) return camera;
  }
  return 'front';
}

function fallingCount(rng: Random): number {
  for (;;) {
    const count = FEWEST + Math.floor(Math.log(1 - rng.uniform(0, 1)) / Math.log(0.58));
    if (count <= MOST) return count;
  }
}

/**
 * All clips of a data set of `scenes` frames, in order. `uniform` spreads the validation frames evenly (every fifth for
 * 0.2); `logs` has them at the end, so that no clip is in both splits.
 */
export function planClips(regime: Regime, scenes: number, seed: number, valFraction: number): Clip[] {
  const val = Math.round(scenes * valFraction);
  const train = scenes - val;
  const clips: Clip[] = [];
  const add = (clip: Omit<Clip, 'index'>) => clips.push({ index: clips.length, ...clip });
  if (regime === 'uniform') {
    for (let i = 0; i < scenes; i++) {
      const isVal = Math.floor(((i + 1) * val) / scenes) > Math.floor((i * val) / scenes);
      const objects = random(seed, PLAN, i).integer(FEWEST, MOST);
      add({ split: isVal ? 'val' : 'train', camera: 'front', objects, first: i, frames: 1 });
    }
    return clips;
  }
  const longest = Math.max(5, Math.min(160, Math.floor(train / 10)));
  for (let first = 0; first < train; ) {
    const rng = random(seed, PLAN, clips.length);
    const length = Math.floor(5 * (1 - rng.uniform(0, 1)) ** (-1 / 1.3));
    const frames = Math.min(length, longest, train - first);
    add({ split: 'train', camera: rareOrFront(rng), objects: fallingCount(rng), first, frames });
    first += frames;
  }
  for (let i = 0; i < val; i++) {
    const camera = CAMERAS[i % CAMERAS.length]!;
    const objects = FEWEST + (Math.floor(i / CAMERAS.length) % (MOST - FEWEST + 1));
    add({ split: 'val', camera, objects, first: train + i, frames: 1 });
  }
  return clips;
}

const dot = (a: Vec3, b: Vec3) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const normalize = (v: Vec3): Vec3 => {
  const length = Math.sqrt(dot(v, v));
  return [v[0] / length, v[1] / length, v[2] / length];
};
const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const jitter = (rng: Random, v: readonly number[], by: number): Vec3 => [
  v[0]! + rng.uniform(-by, by),
  v[1]! + rng.uniform(-by, by),
  v[2]! + rng.uniform(-by, by),
];

function lookAtOrigin(location: Vec3): Scene['camera'] {
  const back = normalize(location);
  const right = normalize(cross([0, 0, 1], back));
  return { right, up: cross(back, right), back, location };
}

/** CLEVR's directions on the floor, as the camera sees them; unit vectors. */
export function directions({ right, back }: Scene['camera']) {
  const flip = (v: Vec3): Vec3 => [-v[0], -v[1], -v[2]];
  const behind = normalize([-back[0], -back[1], 0]);
  return { behind, front: flip(behind), left: flip(right), right, above: [0, 0, 1] as Vec3, below: [0, 0, -1] as Vec3 };
}

/** An object that keeps CLEVR's distances to `others`, or undefined after 50 tries. */
function placeObject(rng: Random, others: readonly SceneObject[], axes: readonly Vec3[]): SceneObject | undefined {
  const [size, scale] = rng.pick(SIZES);
  const apart = (x: number, y: number, other: SceneObject) => {
    const dx = x - other.position[0];
    const dy = y - other.position[1];
    if (Math.sqrt(dx * dx + dy * dy) - scale - other.scale < 0.25) return false;
    return axes.every(([ax, ay]) => Math.abs(dx * ax + dy * ay) >= 0.4);
  };
  for (let tries = 0; tries < 50; tries++) {
    const x = rng.uniform(-3, 3);
    const y = rng.uniform(-3, 3);
    if (!others.every((other) => apart(x, y, other))) continue;
    const shape = rng.pick(SHAPES);
    const color = rng.pick(COLOUR_NAMES);
    const material = rng.pick(MATERIALS);
    return { shape, size, material, color, scale, rotation: rng.uniform(0, 2 * Math.PI), position: [x, y, scale] };
  }
  return undefined;
}

/** CLEVR's placement: when an object finds no place, all over again. */
function placeObjects(rng: Random, count: number, camera: Scene['camera']): SceneObject[] {
  // a distance along `right` is one along `left` too
  const { behind, right } = directions(camera);
  for (;;) {
    const objects: SceneObject[] = [];
    while (objects.length < count) {
      const object = placeObject(rng, objects, [behind, right]);
      if (!object) break;
      objects.push(object);
    }
    if (objects.length === count) return objects;
  }
}

/**
 * Draws the first frame of a clip. The same arguments always give the same scene; raise `attempt` until every object
 * is visible.
 */
export function sampleScene(seed: number, clip: Clip, attempt: number): Scene {
  const rng = random(seed, LAYOUT, clip.index, attempt);
  const stand = STANDS[clip.camera];
  const elevation = (stand.elevation * Math.PI) / 180;
  const turn = (stand.turn * Math.PI) / 180;
  const across = stand.distance * Math.cos(elevation);
  const nominal = [
    across * Math.cos(AZIMUTH + turn),
    across * Math.sin(AZIMUTH + turn),
    stand.distance * Math.sin(elevation),
  ];
  const camera = lookAtOrigin(jitter(rng, nominal, 0.5));
  const lamps = { key: jitter(rng, LAMPS.key, 1), back: jitter(rng, LAMPS.back, 1), fill: jitter(rng, LAMPS.fill, 1) };
  const backdrop = [Math.cos(BACKDROP + turn), Math.sin(BACKDROP + turn)] as const;
  return { camera, lamps, backdrop, objects: placeObjects(rng, clip.objects, camera) };
}

/** Frame `frame` of a clip whose first frame is `first`: sines, so that a long clip stays one place. */
export function moveScene(first: Scene, seed: number, clip: Clip, frame: number): Scene {
  if (frame === 0) return first;
  const motion = random(seed, MOTION, clip.index);
  const shake = random(seed, FRAME, clip.index, frame);
  const sway = (most: number) => {
    const amplitude = motion.uniform(0, most);
    const period = motion.uniform(60, 160);
    return amplitude * Math.sin((2 * Math.PI * frame) / period);
  };
  const [x, y, z] = first.camera.location;
  const location = jitter(shake, [x + sway(0.24), y + sway(0.24), z + sway(0.24)], 0.01);
  const objects = first.objects.map((object): SceneObject => {
    const drifts = motion.uniform(0, 1) < 0.3;
    const heading = motion.uniform(0, 2 * Math.PI);
    const by = sway(0.12);
    if (!drifts) return object;
    const [ox, oy, oz] = object.position;
    return { ...object, position: [ox + by * Math.cos(heading), oy + by * Math.sin(heading), oz] };
  });
  const { key, back, fill } = first.lamps;
  const lamps = { key: jitter(shake, key, 0.02), back: jitter(shake, back, 0.02), fill: jitter(shake, fill, 0.02) };
  return { camera: lookAtOrigin(location), lamps, backdrop: first.backdrop, objects };
}

/** Pixels that every object must show in the first frame of a clip. */
export function fewestPixels(size: number): number {
  return Math.max(1, Math.round(200 * (size / 320) ** 2));
}

/** 1 + shape * 2 + material; 0 is the background. */
export function classOf({ shape, material }: SceneObject): number {
  return 1 + SHAPES.indexOf(shape) * 2 + MATERIALS.indexOf(material);
}

/** Image position (pixels, from the left and the top) and depth along the camera's axis (metres) of a point. */
export function project({ right, up, back, location }: Scene['camera'], point: Vec3, size: number): Vec3 {
  const to: Vec3 = [point[0] - location[0], point[1] - location[1], point[2] - location[2]];
  const depth = -dot(to, back);
  const scale = (FOCAL * size) / depth;
  return [size / 2 + dot(to, right) * scale, size / 2 - dot(to, up) * scale, depth];
}

/** The numbers that the renderer takes: 24 for the scene and 11 for each object (native/render/scene.h). */
export function packScene({ camera, lamps, backdrop, objects }: Scene): Float64Array {
  const numbers = [
    ...[camera.right, camera.up, camera.back, camera.location].flat(),
    FOCAL,
    ...[lamps.key, lamps.back, lamps.fill].flat(),
    ...backdrop,
  ];
  for (const { shape, material, position, scale, rotation, color } of objects) {
    numbers.push(SHAPES.indexOf(shape), MATERIALS.indexOf(material), ...position, scale);
    numbers.push(Math.cos(rotation), Math.sin(rotation), ...COLOURS[color].map((byte) => byte / 255));
  }
  return Float64Array.from(numbers);
}
