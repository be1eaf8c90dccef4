/** Which rows of a draw each arm trains on. */
import { join } from 'node:path';
import { chooseDimensions } from '../diagnose/dimensions.js';
import { embed } from '../embed/embed.js';
import type { EmbeddingMatrix } from '../matrix.js';
import type { Encoder } from '../models/encoder.js';
import type { JobOptions } from '../progress.js';
import { reduce } from '../reduce/reduce.js';
import { draw as drawRows } from '../select/draw.js';
import { select } from '../select/select.js';
import { oneStratum } from '../select/strategies/strata.js';
import { adapterFeatures, isAdapterLayer, type WeightReader } from './adapterFeatures.js';
import type { ExperimentConfig } from './config.js';
import type { Cell } from './grid.js';
import type { Draw } from './openDraw.js';
import { keyOf } from './runStore.js';
import type { EmbeddingChoice } from './types.js';

export interface Subsets {
  /** Rows of the pool, ascending. */
  rowsOf(cell: Cell): Promise<Int32Array>;
  /** The matrix that strategies look at, computed once. */
  embeddingsOf(choice: EmbeddingChoice): Promise<EmbeddingMatrix>;
  /** Sentences about embeddings that came out otherwise than asked for. */
  readonly notes: ReadonlySet<string>;
}

/** Opens an encoder of these modalities. */
export type EncoderOpener = (choice: Pick<EmbeddingChoice, 'modalities' | 'weights'>) => Promise<Encoder>;

/**
 * @param trained weights of the model that was trained on all of the draw, for features of its adapter.
 */
export function subsetsOf(
  config: ExperimentConfig,
  draw: Draw,
  openEncoder: EncoderOpener,
  trained: () => Promise<WeightReader>,
  job: JobOptions,
): Subsets {
  const matrices = new Map<string, Promise<EmbeddingMatrix>>();
  const chosen = new Map<string, Promise<Int32Array>>();
  const notes = new Set<string>();
  const once = <T>(map: Map<string, Promise<T>>, key: string, make: () => Promise<T>) => {
    const known = map.get(key);
    if (known) return known;
    const made = make();
    map.set(key, made);
    return made;
  };

  const whole = ({ aggregation, modalities, layer, weights }: EmbeddingChoice) =>
    once(matrices, keyOf({ aggregation, modalities, layer, weights }), async () => {
      if (isAdapterLayer(layer)) {
        return adapterFeatures(config, draw, await trained(), layer, aggregation as 'concat' | 'mean' | 'sum', job);
      }
      const encoder = await openEncoder({ modalities, weights });
      try {
        const block = layer === 'last' ? encoder.config.depth - 1 : Number(layer.slice('layer.'.length));
        const { identity } = encoder;
        const name = keyOf({ draw: draw.identity, encoder: identity, aggregation, modalities, block }).slice(0, 16);
        const out = join(config.out, 'embeddings', name);
        const options = { aggregation, layer: block, batch: 16, cache: join(config.out, 'cache'), out, ...job };
        const { path } = await embed(draw.pool, encoder, options);
        return (await reduce(path, { method: 'none', ...job })).matrix;
      } finally {
        await encoder.close();
      }
    });

  const embeddingsOf = (choice: EmbeddingChoice) =>
    once(matrices, keyOf(choice), async () => {
      const matrix = await whole(choice);
      if (choice.reduction === 'none') return matrix;
      const seed = config.seeds.first + 1000 * draw.index;
      const dims = choice.dims === 'auto' ? (await chooseDimensions(matrix, { seed, ...job })).chosen : choice.dims;
      const options = { dims, seed, threads: config.threads, ...job };
      const reduced = await reduce(matrix, { method: choice.reduction, ...options });
      if (choice.dims === 'auto') {
        notes.add(
          `${choice.reduction}-auto of ${choice.aggregation} (${choice.layer}) has ${reduced.matrix.cols} dimensions in draw ${draw.index}: as many as predict held-back samples best.`,
        );
      } else if (reduced.notes.length > 0) {
        notes.add(
          `${choice.reduction}-${choice.dims} of ${choice.aggregation} (${choice.layer}) has ${reduced.matrix.cols} dimensions, because ${matrix.rows} samples of ${matrix.cols} features vary in no more.`,
        );
      }
      return reduced.matrix;
    });

  return {
    notes,
    embeddingsOf,
    rowsOf({ arm, budget, selectSeed, draw: index }) {
      const rows = draw.pool.samples.length;
      const seed = config.seeds.first + 1000 * index + selectSeed;
      return once(chosen, keyOf({ arm: arm.name, budget, selectSeed }), async () => {
        if (arm.strategy === 'full') return Int32Array.from({ length: rows }, (_, i) => i);
        if (arm.strategy === 'random') return drawRows(oneStratum(rows), { budget, seed }).rows.slice().sort();
        const matrix = await embeddingsOf(arm.embedding!);
        const bins = Math.min(config.bins, rows);
        const options = { strategy: arm.strategy, budget, seed, bins, gain: config.gain, threads: config.threads };
        return (await select(matrix, { ...options, ...job })).rows.slice().sort();
      });
    },
  };
}
