import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { alone } from '../alone.js';
import { integer, oneOf, outOfRange, wrongType } from '../check.js';
import { DataError } from '../errors.js';
import { writeAtomically, writeFileAtomically } from '../files.js';
import { native, type RenderedScene } from '../native.js';
import type { JobOptions } from '../progress.js';
import { DEPTH_SCALE, describeScene, type FrameOf, frameId, recording } from './sceneFile.js';
import {
  type Clip,
  fewestPixels,
  moveScene,
  packScene,
  planClips,
  type Regime,
  type Scene,
  sampleScene,
} from './scenes.js';

/** Raised whenever the same parameters give other images: a folder must not mix the two. */
const GENERATOR_VERSION = 1;

/**
 * Frames rendered by one call, while those of the call before are encoded. Their pixels are copied on the JavaScript
 * thread: fewer when they are large.
 */
const batchOf = (size: number) => Math.min(16, Math.max(2, Math.floor(500_000 / size ** 2)));

/** Frames encoded side by side; more would only wait for libuv's four threads. */
const LANES = 4;

const FOLDERS = ['rgb', 'semseg', 'depth', 'instance', 'scenes'] as const;

export interface GenerateOptions extends JobOptions {
  /** Frames, train and val together; 1..999,999. */
  scenes: number;
  /** Width and height of the images, pixels; 32..1024. */
  size: number;
  /** `uniform`: CLEVR's distribution; `logs`: clips of near-duplicates. The numbers stand in lib/data/scenes.ts. */
  regime: Regime;
  /** Integer >= 0. The same options and seed give the same bytes, whatever the number of threads. */
  seed: number;
  /** Part of the frames that is in split `val`, 0 <= f < 1. Default 0.2. */
  valFraction?: number | undefined;
  /** Threads that render, 0 = all. Default 0. */
  threads?: number | undefined;
}

export interface GenerateResult {
  folder: string;
  /** Frames in the data set. */
  scenes: number;
  train: number;
  val: number;
  clips: number;
  /** Frames that this call rendered; the others were there from an earlier call with the same parameters. */
  rendered: number;
  seconds: number;
}

/** What decides every byte of the data set; the content of generator.json. */
interface Parameters {
  version: number;
  scenes: number;
  size: number;
  regime: Regime;
  seed: number;
  valFraction: number;
}

function checked(options: GenerateOptions): Parameters {
  const valFraction: unknown = options.valFraction ?? 0.2;
  if (typeof valFraction !== 'number') throw wrongType('valFraction', 'a number >= 0 and < 1', valFraction);
  if (!(valFraction >= 0 && valFraction < 1)) throw outOfRange('valFraction', 'a number >= 0 and < 1', valFraction);
  return {
    version: GENERATOR_VERSION,
    scenes: integer('scenes', options.scenes, 1, 999_999),
    size: integer('size', options.size, 32, 1024),
    regime: oneOf('regime', options.regime, ['uniform', 'logs']),
    seed: integer('seed', options.seed, 0),
    valFraction,
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the folder ours: writes generator.json, or finds the one of an earlier call with the same parameters. */
async function claimFolder(folder: string, parameters: Parameters): Promise<void> {
  const path = join(folder, 'generator.json');
  const written = await readIfThere(path);
  if (written === undefined) {
    await mkdir(folder, { recursive: true });
    const stranger = (await readdir(folder)).find((name) => !name.startsWith('lock.'));
    if (stranger !== undefined) {
      throw new DataError(
        'ERR_FOLDER_NOT_EMPTY',
        `${folder} has files that the generator did not write (${stranger}). Name a new or an empty folder.`,
      );
    }
    await writeFileAtomically(path, `${JSON.stringify(parameters, null, 2)}\n`);
    return;
  }
  let earlier: Partial<Parameters>;
  try {
    earlier = JSON.parse(written) as Partial<Parameters>;
  } catch (cause) {
    throw new DataError('ERR_GENERATOR_FILE', `${path} is not JSON. Delete the folder or name a new one.`, { cause });
  }
  const differs = (Object.keys(parameters) as (keyof Parameters)[]).filter((key) => earlier?.[key] !== parameters[key]);
  if (differs.length > 0) {
    const list = differs.map((key) => `${key} ${earlier?.[key]} instead of ${parameters[key]}`).join(', ');
    throw new DataError(
      'ERR_OTHER_PARAMETERS',
      `${folder} was generated with other parameters: ${list}. Name a new folder, or delete this one.`,
    );
  }
}

/** Encodes losslessly. libvips would turn one channel into sRGB, so the colour space is always said. */
function png(data: Uint8Array | Uint16Array, size: number, channels: 1 | 3): Promise<Buffer> {
  const space = channels === 3 ? 'srgb' : data instanceof Uint16Array ? 'grey16' : 'b-w';
  return sharp(data, { raw: { width: size, height: size, channels } })
    .toColourspace(space)
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/** Calls `work` for 0..count-1, `LANES` of them at a time: the event loop comes round between two. */
async function inLanes(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** The images, then the JSON under its final name: where there is a JSON, the frame is whole. */
async function writeFrame(
  folder: string,
  id: string,
  size: number,
  rendered: RenderedScene,
  description: unknown,
): Promise<void> {
  await Promise.all(
    (['rgb', 'semseg', 'depth', 'instance'] as const).map(async (name) =>
      writeFile(join(folder, name, `${id}.png`), await png(rendered[name], size, name === 'rgb' ? 3 : 1)),
    ),
  );
  const path = join(folder, 'scenes', `${id}.json`);
  await writeFile(`${path}.tmp`, JSON.stringify(description));
  await rename(`${path}.tmp`, path);
}

/** First frames of clips in which every object can be seen: draws again, as often as it takes. */
async function sampleVisible(
  clips: readonly Clip[],
  parameters: Parameters,
  threads: number,
): Promise<Map<Clip, { scene: Scene; attempts: number }>> {
  const { seed, size } = parameters;
  const fewest = fewestPixels(size);
  const found = new Map<Clip, { scene: Scene; attempts: number }>();
  let missing = [...clips];
  for (let attempts = 1; missing.length > 0; attempts++) {
    const drawn = missing.map((clip) => sampleScene(seed, clip, attempts));
    const labels = await native().renderScenes({ scenes: drawn.map(packScene), size, labelsOnly: true, threads });
    missing = missing.filter((clip, i) => {
      if (labels[i]!.objects.some(({ pixels }) => pixels < fewest)) return true;
      found.set(clip, { scene: drawn[i]!, attempts });
      return false;
    });
  }
  return found;
}

/**
 * Writes a data set of rendered scenes after CLEVR: `rgb/`, `semseg/`, `depth/`, `instance/` (PNG; depth is 16-bit
 * millimetres along the camera's axis), `scenes/` (JSON), `generator.json` (the parameters) and, last, `manifest.jsonl`.
 * A call that was interrupted leaves no manifest, and the same call again continues it. Labels come from one ray
 * through the centre of each pixel and so share every edge; class = 1 + shape * 2 + material (cube, sphere, cylinder;
 * rubber, metal), 0 = background; instance = 1 + position in the JSON's `objects`.
 *
 * @throws {TypeError | RangeError} naming the option.
 * @throws {DataError} `ERR_OTHER_PARAMETERS` when the folder holds another data set of the generator,
 * `ERR_FOLDER_NOT_EMPTY` when it holds anything else. Another process at work in it is waited for. Rejects with
 * `signal.reason` within about one batch of an abort.
 */
export async function generateScenes(folder: string, options: GenerateOptions): Promise<GenerateResult> {
  const start = performance.now();
  const { signal } = options;
  if (typeof folder !== 'string') throw wrongType('folder', 'a path', folder);
  const parameters = checked(options);
  const threads = integer('threads', options.threads ?? 0, 0, 1024);
  signal?.throwIfAborted();

  const generated = await alone(folder, () => generate(folder, parameters, threads, options), signal);
  return { ...generated, seconds: (performance.now() - start) / 1000 };
}

/** The same for whoever has the folder to itself. */
async function generate(
  folder: string,
  parameters: Parameters,
  threads: number,
  { signal, onProgress }: JobOptions,
): Promise<Omit<GenerateResult, 'seconds'>> {
  const { regime, scenes, seed, size, valFraction } = parameters;
  const clips = planClips(regime, scenes, seed, valFraction);
  const frames = clips.flatMap((clip): FrameOf[] =>
    Array.from({ length: clip.frames }, (_, frame) => ({ index: clip.first + frame, clip, frame })),
  );
  await claimFolder(folder, parameters);
  for (const name of FOLDERS) await mkdir(join(folder, name), { recursive: true });
  const there = new Set(await readdir(join(folder, 'scenes')));
  const missing = frames.filter((of) => !there.has(`${frameId(of)}.json`));

  let done = scenes - missing.length;
  let reported = 0;
  const report = (now = performance.now()) => {
    if (now - reported < 100 && done < scenes) return;
    reported = now;
    onProgress?.({ stage: 'generate', done, total: scenes, unit: 'scenes' });
  };

  let writing: Promise<unknown> = Promise.resolve();
  try {
    let firsts = new Map<Clip, { scene: Scene; attempts: number }>();
    const step = batchOf(size);
    for (let i = 0; i < missing.length; i += step) {
      const batch = missing.slice(i, i + step);
      const needed = new Set(batch.map(({ clip }) => clip));
      const known = [...firsts].filter(([clip]) => needed.has(clip));
      for (const [clip] of known) needed.delete(clip);
      firsts = new Map([...known, ...(await sampleVisible([...needed], parameters, threads))]);
      signal?.throwIfAborted();

      const drawn = batch.map((of) => {
        const { scene, attempts } = firsts.get(of.clip)!;
        return { of, attempts, scene: moveScene(scene, seed, of.clip, of.frame) };
      });
      const packed = drawn.map(({ scene }) => packScene(scene));
      const images = await native().renderScenes({ scenes: packed, size, labelsOnly: false, threads });
      await writing;
      signal?.throwIfAborted();
      writing = inLanes(batch.length, async (k) => {
        const { of, attempts, scene } = drawn[k]!;
        const description = describeScene(scene, images[k]!, of, { regime, seed, size, attempts });
        await writeFrame(folder, frameId(of), size, images[k]!, description);
        done++;
        report();
      });
      writing.catch(() => {}); // awaited below or in the next round
    }
    await writing;
  } finally {
    await writing.catch(() => {});
  }
  signal?.throwIfAborted();

  await writeAtomically(join(folder, 'manifest.jsonl'), async (file) => {
    for (let i = 0; i < frames.length; i += 1000) {
      await file.write(
        frames
          .slice(i, i + 1000)
          .map((of) => `${manifestLine(of, regime)}\n`)
          .join(''),
      );
    }
  });
  if (missing.length === 0) report(Infinity);
  const val = clips.reduce((sum, clip) => sum + (clip.split === 'val' ? clip.frames : 0), 0);
  return {
    folder,
    scenes,
    train: scenes - val,
    val,
    clips: clips.length,
    rendered: missing.length,
  };
}

function manifestLine(of: FrameOf, regime: Regime): string {
  const id = frameId(of);
  return JSON.stringify({
    id,
    split: of.clip.split,
    rgb: `rgb/${id}.png`,
    semseg: `semseg/${id}.png`,
    depth: `depth/${id}.png`,
    instance: `instance/${id}.png`,
    scene: `scenes/${id}.json`,
    depth_scale: DEPTH_SCALE,
    n_objects: of.clip.objects,
    ...recording(regime, of),
  });
}
