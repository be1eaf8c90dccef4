/** Prepared records -> samples of a recipe, in any thread. */
import { join } from 'node:path';
import { integer } from '../check.js';
import { openRecords } from '../embed/cache.js';
import { labelSide, NORMALISATION } from '../embed/preprocess.js';
import { DataError } from '../errors.js';
import type { MultimaeConfig } from '../models/config.js';
import { type Augmentation, drawView } from './augment.js';
import { type RecordLayout, recordLength, recordPixels } from './record.js';
import type { TrainingSample } from './types.js';

/** Everything that reading samples takes, as plain data: another thread can open the same source from it. */
export interface ImagePlan {
  readonly config: MultimaeConfig;
  readonly layout: RecordLayout;
  readonly augmentation: Augmentation;
  readonly seed: number;
  /** Folder of the records. */
  readonly place: string;
  /** For messages. */
  readonly root: string;
  /** [N] number of the record of each sample. */
  readonly records: Uint32Array;
  /** Ids of the samples. */
  readonly ids: readonly string[];
  /** [N] metres per stored unit of depth. */
  readonly depthScales: Float64Array;
}

export interface ImageReader {
  read(row: number, view: number): Promise<TrainingSample>;
  close(): Promise<void>;
}

/** Opens the records of a plan. It reads as many samples side by side as are asked for. */
export async function openPlan(plan: ImagePlan): Promise<ImageReader> {
  const { config, layout } = plan;
  const side = config.image;
  const reader = await openRecords(plan.place, recordLength(layout));
  return {
    async read(row, view): Promise<TrainingSample> {
      integer('row', row, 0, plan.records.length - 1);
      integer('view', view, 0);
      const record = plan.records[row]!;
      const bytes = await reader.read(record);
      if (!bytes) {
        await reader.forget(record);
        throw new DataError(
          'ERR_CACHE_DAMAGED',
          `The prepared record of sample ${JSON.stringify(plan.ids[row])} of ${plan.root} (record ${record} of ${join(plan.place, 'vectors')}) is damaged. ` +
            'Run again: it will be made anew.',
        );
      }
      const pixels = recordPixels(layout, bytes);
      const { map, colour } = drawView(plan.augmentation, layout, side, {
        seed: plan.seed,
        row,
        view,
      });
      const sample: TrainingSample = {};
      if (layout.rgb) {
        let rgb: Uint8Array | Float32Array = pixels.rgb;
        if (colour) {
          rgb = Float32Array.from(rgb);
          colour(rgb);
        }
        sample.rgb = normalised(rgb, map, config);
      }
      if (layout.semseg) sample.semseg = labelMap(pixels.semseg, map, config);
      if (layout.depth) {
        sample.depth = new Float32Array(side * side);
        sample.valid = new Float32Array(side * side);
        const metres = plan.depthScales[row]!;
        for (let i = 0; i < map.length; i++) {
          const stored = map[i]! < 0 ? 0 : pixels.depth[map[i]!]!;
          if (stored > 0) {
            sample.depth[i] = stored * metres;
            sample.valid[i] = 1;
          }
        }
      }
      return sample;
    },
    close: () => reader.close(),
  };
}

/** float32 [3, S, S]. Beyond the image: 0, the mean colour. */
function normalised(rgb: Uint8Array | Float32Array, map: Int32Array, config: MultimaeConfig): Float32Array {
  const { mean, std } = NORMALISATION[config.variant];
  const out = new Float32Array(3 * map.length);
  let o = 0;
  for (let c = 0; c < 3; c++) {
    const scale = 1 / (255 * std[c]!);
    const offset = mean[c]! / std[c]!;
    for (let i = 0; i < map.length; i++, o++) {
      if (map[i]! >= 0) out[o] = rgb[map[i]! * 3 + c]! * scale - offset;
    }
  }
  return out;
}

/** int32 [S / stride, S / stride]: of each square of pixels the first, as `nearest` takes it. Beyond the image: padding id, or 0. */
function labelMap(labels: Uint16Array, map: Int32Array, config: MultimaeConfig): Int32Array {
  const side = labelSide(config);
  const fill = config.semsegPadding ? config.semsegClasses : 0;
  const out = new Int32Array(side * side);
  for (let y = 0, o = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = map[(y * config.image + x) * config.semsegStride]!;
      out[o++] = from < 0 ? fill : labels[from]!;
    }
  }
  return out;
}
