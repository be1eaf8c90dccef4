import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.js';
import type { JobOptions } from '../progress.js';
import { contactSheet } from './contactSheet.js';
import { planShelves } from './gallery.js';
import { reportPage } from './page.js';
import { summarise } from './summary.js';
import { hasPictures, makeTiles } from './thumbnails.js';
import type { ReportFiles, ReportInput } from './types.js';

/** Milliseconds between two progress reports. */
const PROGRESS_INTERVAL = 100;

/**
 * Writes `report.html`, one self-contained page that shows a selection, and `coreset.png`, a contact sheet of it, into
 * `folder`. Both are bounded in size whatever N is; what is only shown in part says so. Without pictures to show there
 * is no contact sheet, and one of an earlier run is removed.
 *
 * Throws TypeError or RangeError where parts of the input disagree on the number of rows, DataError naming an image
 * that cannot be read, `signal.reason` when aborted; the files are then as they were.
 */
export async function writeReport(folder: string, input: ReportInput, options: JobOptions = {}): Promise<ReportFiles> {
  const summary = summarise(input);
  const shelves = hasPictures(input.dataset) ? planShelves(summary) : [];
  const rows = shelves.flatMap((shelf) => shelf.rows);
  const total = rows.length + 2;
  const progress = progressOf(total, options);

  const made =
    rows.length > 0 ? await makeTiles(input.dataset!, rows, { signal: options.signal, onTile: progress.step }) : [];
  const tiles = new Map(made.map((tile) => [tile.row, tile]));
  const sheet = made.length > 0 ? await contactSheet(shelves, tiles, summary) : undefined;
  progress.step();
  const page = reportPage(input, summary, made.length > 0 ? { shelves, tiles } : undefined);
  options.signal?.throwIfAborted();

  const report = join(folder, 'report.html');
  const contactSheetPath = join(folder, 'coreset.png');
  if (sheet) await writeFileAtomically(contactSheetPath, sheet);
  else await rm(contactSheetPath, { force: true });
  await writeFileAtomically(report, page);
  progress.step();
  return sheet ? { report, contactSheet: contactSheetPath } : { report };
}

function progressOf(total: number, { onProgress }: JobOptions): { step: () => void } {
  let done = 0;
  let last = Number.NEGATIVE_INFINITY;
  return {
    step() {
      done++;
      const now = performance.now();
      if (done < total && now - last < PROGRESS_INTERVAL) return;
      last = now;
      onProgress?.({ stage: 'report', done, total, unit: 'pictures' });
    },
  };
}
