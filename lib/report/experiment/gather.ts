/** The pictures of an experiment's report, taken from a draw while it is open. */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { FinishedDraw } from '../../experiment/runGrid.js';
import { readNpyHeader } from '../../formats/npy.js';
import type { JobOptions } from '../../progress.js';
import { resizeRgb } from '../../train/record.js';
import { spread } from '../sample.js';
import { hasPictures, makeTiles } from '../thumbnails.js';
import type { CoresetPicture, DepthExample, Thumbnail } from './types.js';

/** Samples that a coreset has and random has not, shown of each arm. */
const SHOWN = 8;
const ARMS = 6;

/**
 * The worst and the best prediction of full data, random and the best arm, at the largest budget and the first protocol.
 * Runs of other experiments may have kept no predictions; they are left out.
 */
export async function gatherExamples({ draw, runs, store }: FinishedDraw): Promise<DepthExample[]> {
  if (draw.classes || !draw.validation.modalities.includes('rgb')) return [];
  const first = runs.filter(({ cell }) => cell.selectSeed === 0 && cell.trainSeed === 0);
  const protocol = first[0]!.cell.protocol;
  const budget = Math.max(...first.map(({ cell }) => (cell.arm.strategy === 'full' ? 0 : cell.budget)));
  const compared = first.filter(({ cell }) => cell.budget === budget && cell.protocol === protocol);
  const lastRmse = ({ run }: (typeof first)[number]) => run.curve.at(-1)!.metrics.rmse!;
  const best = compared
    .filter(({ cell }) => cell.arm.strategy !== 'random')
    .reduce<(typeof first)[number] | undefined>((a, b) => (a && lastRmse(a) <= lastRmse(b) ? a : b), undefined);
  const named = (strategy: string) => [...compared, ...first].find(({ cell }) => cell.arm.strategy === strategy);
  const found: DepthExample[] = [];
  for (const shown of [named('full'), named('random'), best]) {
    if (!shown) continue;
    const path = join(store.folderOf(shown.run.key), 'predictions.npy');
    if (!existsSync(path)) continue;
    const errors = shown.run.perImage;
    for (const rank of ['worst', 'best'] as const) {
      const row = errors.indexOf((rank === 'worst' ? Math.max : Math.min)(...errors));
      found.push(await exampleOf(shown, row, rank, path));
    }
  }
  return found;

  async function exampleOf(
    { cell, run }: (typeof first)[number],
    row: number,
    rank: DepthExample['rank'],
    path: string,
  ): Promise<DepthExample> {
    const side = draw.model.encoder.image;
    const { id } = draw.validation.samples[row]!;
    const feeds = await draw.validateOn.batch(Int32Array.of(row), 0);
    const rgb = new Uint8Array(3 * side * side);
    const raster = await (await draw.validation.read(row, 'rgb')).decode();
    resizeRgb(raster, side, side, rgb, `rgb of sample ${JSON.stringify(id)}`);
    return {
      id,
      arm: cell.arm.name,
      budget: cell.budget,
      protocol: cell.protocol,
      rmse: Math.sqrt(run.perImage[row]!),
      rank,
      side,
      rgb,
      truth: Float32Array.from(feeds.depth!.data),
      prediction: await readPrediction(path, row, side),
      valid: Uint8Array.from(feeds.valid!.data),
    };
  }
}

/** Picture `row` of a float32 [n, side, side] .npy file. */
async function readPrediction(path: string, row: number, side: number): Promise<Float32Array> {
  const { dataOffset } = await readNpyHeader(path);
  const prediction = new Float32Array(side * side);
  const file = await open(path);
  try {
    await file.read(prediction, 0, prediction.byteLength, dataOffset + row * prediction.byteLength);
  } finally {
    await file.close();
  }
  return prediction;
}

/** What the first arms chose and random did not, and the reverse, at the smallest budget. */
export async function gatherCoresets({ draw, runs }: FinishedDraw, job: JobOptions): Promise<CoresetPicture[]> {
  if (!hasPictures(draw.pool)) return [];
  const first = runs.filter(
    ({ cell }) => cell.selectSeed === 0 && cell.trainSeed === 0 && cell.arm.strategy !== 'full',
  );
  const { protocol } = first[0]!.cell;
  const budget = Math.min(...first.map(({ cell }) => cell.budget));
  const compared = first.filter(({ cell }) => cell.budget === budget && cell.protocol === protocol);
  const random = compared.find(({ cell }) => cell.arm.strategy === 'random')!;
  const chosenAtRandom = new Set(random.rows);
  const found: CoresetPicture[] = [];
  for (const { cell, rows } of compared.filter((run) => run !== random).slice(0, ARMS)) {
    const own = new Set(rows);
    found.push({
      arm: cell.arm.name,
      budget,
      draw: draw.index,
      onlyHere: await thumbnails([...rows].filter((row) => !chosenAtRandom.has(row))),
      onlyRandom: await thumbnails([...random.rows].filter((row) => !own.has(row))),
    });
  }
  return found;

  async function thumbnails(rows: readonly number[]): Promise<Thumbnail[]> {
    const shown = spread(rows.length, Math.min(SHOWN, rows.length)).map((i) => rows[i]!);
    const tiles = await makeTiles(draw.pool, shown, { signal: job.signal, onTile: () => {} });
    return tiles.map(({ row, picture: { width, height, data } }) => ({
      id: draw.pool.samples[row]!.id,
      rgb: data,
      width,
      height,
    }));
  }
}
