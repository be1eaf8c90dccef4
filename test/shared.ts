import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * Folder of golden vectors and real data that is laid beside a checkout on development machines
 * (`COREGAIN_SHARED`, else `../shared`). Undefined where it is absent; the tests that need it then skip, loudly.
 */
export const shared: string | undefined = (() => {
  const folder = process.env.COREGAIN_SHARED ?? fileURLToPath(new URL('../../shared', import.meta.url));
  if (existsSync(folder)) return folder;
  console.warn(`SKIPPED: tests that need ${folder}, which is not on this machine`);
  return undefined;
})();
