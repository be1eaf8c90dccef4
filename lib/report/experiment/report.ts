import { join } from 'node:path';
import { writeFileAtomically } from '../../files.js';
import type { JobOptions } from '../../progress.js';
import { experimentPage } from './page.js';
import type { ExperimentReportInput } from './types.js';

/** Writes `report.html`, one self-contained page, into `folder`. Rejects with `signal.reason` when aborted before it is written. */
export async function writeExperimentReport(
  folder: string,
  input: ExperimentReportInput,
  { signal }: JobOptions = {},
): Promise<{ report: string }> {
  signal?.throwIfAborted();
  const report = join(folder, 'report.html');
  await writeFileAtomically(report, experimentPage(input));
  return { report };
}
