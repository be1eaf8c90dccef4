import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeReport } from '#lib/report/report.js';
import { dataset, input } from './fakes.js';

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path));
if (!browser) console.warn('SKIPPED: tests of the report in a browser; there is no chromium on the PATH');

let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'coregain-browser-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true, maxRetries: 5 }));

/** Opens a file as a user would; the page after its scripts ran, and everything it said on its console. */
async function visit(path: string): Promise<{ dom: string; console: string[] }> {
  const { stdout, stderr } = await promisify(execFile)(
    browser!,
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--enable-logging=stderr',
      '--window-size=1200,900',
      `--user-data-dir=${join(scratch, 'profile')}`,
      '--virtual-time-budget=2000',
      '--dump-dom',
      `file://${path}`,
    ],
    { timeout: 50_000, maxBuffer: 1 << 26 },
  );
  return { dom: stdout, console: stderr.split('\n').filter((line) => line.includes(':CONSOLE')) };
}

describe.skipIf(!browser)('in a browser', () => {
  it('the page draws its map and complains of nothing', async () => {
    const { report } = await writeReport(join(scratch, 'good'), {
      ...input(200, 10, { dropped: 5 }),
      dataset: dataset(200),
    });
    const { dom, console } = await visit(report);
    expect(console).toEqual([]);
    // The script gives the canvas the size that it has on the page.
    const [, width, height] = dom.match(/<canvas id="scatter"[^>]* width="(\d+)" height="(\d+)"/)!.map(Number);
    expect(width).toBeGreaterThan(600);
    expect(height).toBeGreaterThan(300);
  });

  it("a script that is not the page's own does not run, and this test would see it", async () => {
    const { report } = await writeReport(join(scratch, 'bad'), input(20, 2));
    const page = await readFile(report, 'utf8');
    await writeFile(report, page.replace('<main>', '<main><script>document.title = "taken"</script>'));
    const { dom, console } = await visit(report);
    expect(dom).not.toContain('<title>taken');
    expect(console.join()).toContain('Content Security Policy');
  });
});
