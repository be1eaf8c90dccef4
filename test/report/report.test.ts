import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Progress } from '#lib/progress.js';
import { hex, labelColour } from '#lib/report/palette.js';
import { writeReport } from '#lib/report/report.js';
import type { ReportInput } from '#lib/report/types.js';
import { dataset, input } from './fakes.js';
import { readTags } from './tags.js';

let scratch: string;
let folder: string;
let count = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'coregain-report-'));
});
afterAll(() => rm(scratch, { recursive: true }));
beforeEach(() => {
  folder = join(scratch, String(count++));
});

async function pageOf(report: ReportInput): Promise<string> {
  return readFile((await writeReport(folder, report)).report, 'utf8');
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/** What the page hands to its script. */
function pointsOf(page: string) {
  const points = JSON.parse(page.match(/<script type="application\/json" id="points">(.*?)<\/script>/s)![1]!);
  const decode = <T>(text: string, make: (buffer: ArrayBuffer) => T) =>
    make(new Uint8Array(Buffer.from(text, 'base64')).buffer);
  return {
    ids: points.ids as string[],
    row: [...decode(points.row, (b) => new Int32Array(b))],
    bin: [...decode(points.bin, (b) => new Int32Array(b))],
    chosen: [...decode(points.chosen, (b) => new Uint8Array(b))],
    x: [...decode(points.x, (b) => new Uint16Array(b))],
    y: [...decode(points.y, (b) => new Uint16Array(b))],
  };
}

describe('the page', () => {
  it.each([
    ['one point in one bin', input(1, 1)],
    ['one bin', input(30, 1)],
    ['a coreset of one', input(40, 4, { step: 40 })],
    ['nothing chosen', { ...input(6, 2), selection: { ...input(6, 2).selection, rows: new Int32Array() } }],
    ['dropped rows', input(23, 5, { dropped: 3 })],
    ['1,000 bins', input(3000, 1000)],
    ['as many bins as points', input(25, 25, { step: 1 })],
    ['equal points', { ...input(9, 3), projection: new Float32Array(18) }],
    ['the cosine gain', { ...input(9, 3), gain: 'cosine' as const }],
  ])('is well formed with %s', async (_, report) => {
    const page = await pageOf(report);
    expect(readTags(page).length).toBeGreaterThan(50);
    expect(page).not.toMatch(/NaN|Infinity|undefined|\[object/);
  });

  it('is well formed with pictures, a row for each bin', async () => {
    const page = await pageOf({ ...input(50, 5), dataset: dataset(50) });
    const tags = readTags(page);
    expect(tags.filter((tag) => tag.attributes.get('class') === 'shelf')).toHaveLength(5);
    expect(tags.filter((tag) => tag.name === 'img')).toHaveLength(20);
  });

  it('fetches nothing and lets only its own script run', async () => {
    const page = await pageOf({ ...input(20, 2), dataset: dataset(20) });
    for (const { name, attributes } of readTags(page)) {
      for (const key of ['src', 'href']) {
        const target = attributes.get(key);
        if (target !== undefined) expect(target, `<${name} ${key}>`).toMatch(/^(data:|#)/);
      }
    }
    expect(page).not.toMatch(/@import|url\(/);
    expect(page).toContain('default-src &#39;none&#39;');
  });

  it('says what ran', async () => {
    const page = await pageOf({
      ...input(1200, 10),
      encoder: 'Weights are untrained.',
      run: {
        config: { data: { path: 'some/where' }, hooks: [3, 11] },
        stages: [
          { name: 'embed', seconds: 100 },
          { name: 'select', seconds: 25.5 },
        ],
        versions: { node: 'v20' },
      },
    });
    const text = page.replace(/<style>.*?<\/style>|<script.*?<\/script>/gs, '').replace(/<[^>]+>/g, ' ');
    for (const said of [
      '1,200',
      '240',
      '20%',
      '42',
      'Weights are untrained.',
      '2 min 6 s',
      'data.path',
      'some/where',
      '3, 11',
      'versions.node',
      '12,345',
    ]) {
      expect(text).toContain(said);
    }
  });

  it('counts what was drawn from each bin and what is in none', async () => {
    const page = await pageOf(input(23, 4, { step: 3, dropped: 3 }));
    const cells = [...page.matchAll(/<tr><th scope="row">(\d|none)<\/th><td>(\d+)<\/td><td>(\d+)<\/td>/g)];
    expect(cells.map(([, ...counts]) => counts.join(' '))).toEqual(['0 5 2', '1 5 2', '2 5 1', '3 5 2', 'none 3 0']);
    expect(page).toContain('3 samples are in no bin');
  });

  it('shows rows that had to be included though they are in no bin', async () => {
    const report = input(23, 4, { dropped: 3 });
    const rows = Int32Array.of(0, 5, 22);
    const page = await pageOf({ ...report, selection: { ...report.selection, rows }, dataset: dataset(23) });
    expect(page).toContain('In no bin');
    expect(readTags(page).map((tag) => tag.attributes.get('data-row'))).toContain('22');
  });

  it('draws the gain of each bin as a line of its own through its ends and extremes', async () => {
    const report = input(20_000, 4);
    const gains = report.selection.partition.gains;
    gains[7_777] = 1e6;
    const page = await pageOf(report);
    const lines = [...page.matchAll(/<polyline points="([^"]+)"/g)].map(([, points]) => points!.split(' '));
    expect(lines).toHaveLength(4);
    expect(lines.flat().length).toBeLessThan(8000);
    const xOf = (i: number) => (((i + 0.5) / 20_000) * 1000).toFixed(2);
    expect(lines.map((line) => [line[0]!.split(',')[0], line.at(-1)!.split(',')[0]])).toEqual(
      [0, 1, 2, 3].map((bin) => [xOf(bin * 5000), xOf(bin * 5000 + 4999)]),
    );
    const top = lines.flat().reduce((a, b) => (Number(a.split(',')[1]) < Number(b.split(',')[1]) ? a : b));
    expect(top.split(',')[0]).toBe(xOf(7_777));
  });
});

describe('what comes from data', () => {
  const evil = `"><img src=x onerror=alert(1)></script><script>alert(2)</script><!--'&`;

  it('is never markup', async () => {
    const page = await pageOf({
      ...input(20, 2),
      title: evil,
      encoder: evil,
      dataset: dataset(20, { idOf: (i) => `${i}${evil}` }),
      run: { config: { [evil]: evil, list: [evil] }, stages: [{ name: evil, seconds: 1 }], [evil]: { [evil]: evil } },
    });
    const tags = readTags(page);
    expect(tags.filter((tag) => tag.name === 'script')).toHaveLength(2);
    for (const tag of tags) for (const name of tag.attributes.keys()) expect(name).not.toMatch(/^on/);
    for (const tag of tags)
      if (tag.name === 'img') expect(tag.attributes.get('src')).toMatch(/^data:image\/webp;base64,/);
    expect(page).not.toContain('<img src=x');
  });

  it('reaches the script unchanged', async () => {
    const ids = Array.from({ length: 10 }, (_, i) => `</script>${i}`);
    const { ids: read, row } = pointsOf(await pageOf({ ...input(10, 2), ids }));
    expect(read).toEqual(row.map((r) => ids[r]));
  });
});

describe('the points of the map', () => {
  it('are all rows with their bins, the chosen ones last, on one scale for both axes', async () => {
    const report = input(100, 10, { dropped: 10 });
    report.projection.fill(0);
    report.projection.set([4, 1], 2 * 17);
    const points = pointsOf(await pageOf(report));
    expect([...points.row].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(points.bin).toEqual(points.row.map((row) => report.selection.partition.bins[row]));
    expect(points.chosen).toEqual([...Array(82).fill(0), ...Array(18).fill(1)]);
    expect(points.row.slice(82)).toEqual([...report.selection.rows]);
    const i = points.row.indexOf(17);
    expect([points.x[i], points.y[i]]).toEqual([65_535, Math.floor(65_535 / 4)]);
  });

  it('are thinned out above 20,000, which is said', async () => {
    const page = await pageOf(input(60_000, 10, { step: 4 }));
    const points = pointsOf(page);
    expect(points.row).toHaveLength(20_000);
    expect(new Set(points.row).size).toBe(20_000);
    expect(points.chosen.reduce((sum, one) => sum + one, 0)).toBe(10_000);
    expect(points.row.every((row, i) => (row % 4 === 0) === (points.chosen[i] === 1))).toBe(true);
    expect(page).toContain('10,000 of 15,000 chosen samples and 10,000 of 45,000 others');
    expect(page.length).toBeLessThan(2e6);
  });
});

describe('the pictures', () => {
  it('are bounded in number, and what is left out is said', async () => {
    const images = dataset(6000);
    const page = await pageOf({ ...input(6000, 100, { step: 2 }), dataset: images });
    expect(readTags(page).filter((tag) => tag.name === 'figure' && tag.attributes.has('data-row'))).toHaveLength(240);
    expect(page).toContain('40 bins of 100 shown');
    expect(page).toContain('6 of 30 shown');
    expect(images.reads).toBe(480);
    expect(images.mostAtOnce).toBeLessThanOrEqual(4);
    expect((await stat(join(folder, 'report.html'))).size).toBeLessThan(3e6);
  });

  it('keep label ids apart: a mask has exactly the colours of its labels', async () => {
    const page = await pageOf({ ...input(8, 1, { step: 7 }), dataset: dataset(8) });
    const sources = readTags(page)
      .filter((tag) => tag.attributes.get('alt') === 'Label mask of s7')
      .map((tag) => tag.attributes.get('src')!);
    const mask = await sharp(Buffer.from(sources[0]!.split(',')[1]!, 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([mask.info.width, mask.info.height]).toEqual([128, 64]);
    const pixels = Array.from({ length: 128 * 64 }, (_, i) =>
      hex([mask.data[3 * i]!, mask.data[3 * i + 1]!, mask.data[3 * i + 2]!]),
    );
    expect(pixels.every((colour, i) => colour === hex(labelColour(i % 128 < 64 ? 0 : 7)))).toBe(true);
  });

  it.each([['rgb'], ['semseg']] as const)('do with %s alone', async (modality) => {
    const page = await pageOf({ ...input(20, 2), dataset: dataset(20, { modalities: [modality] }) });
    expect(readTags(page).filter((tag) => tag.name === 'img')).toHaveLength(4);
    expect(await exists(join(folder, 'coreset.png'))).toBe(true);
  });

  it('are left out where there are none, and no old contact sheet stays', async () => {
    await writeReport(folder, { ...input(20, 2), dataset: dataset(20) });
    const files = await writeReport(folder, { ...input(20, 2), dataset: dataset(20, { modalities: ['depth'] }) });
    expect(files).toEqual({ report: join(folder, 'report.html') });
    expect(await readdir(folder)).toEqual(['report.html']);
    expect(await readFile(files.report, 'utf8')).not.toContain('id="pictures"');
  });
});

describe('the contact sheet', () => {
  it('has a row for each bin and a cell for each picture, in the order of the selection', async () => {
    const files = await writeReport(folder, { ...input(60, 3), dataset: dataset(60) });
    const sheet = sharp(files.contactSheet!);
    const { width, height, channels, format } = await sheet.metadata();
    // Margins 28, heading 44, labels 132; cells of 128 x 64 with 6 between them; 4 chosen in each of 3 bins.
    expect({ width, height, channels, format }).toEqual({
      width: 2 * 28 + 132 + 4 * 134 - 6,
      height: 2 * 28 + 44 + 3 * 70 - 6,
      channels: 3,
      format: 'png',
    });
    const pixels = await sheet.raw().toBuffer();
    const cells = [0, 1, 2].flatMap((line) =>
      [0, 1, 2, 3].map((column) => pixels[3 * ((72 + line * 70 + 32) * width + 160 + column * 134 + 64)]!),
    );
    expect(cells).toEqual(Array.from({ length: 12 }, (_, i) => 40 + 5 * i));
  });

  it('is lettered on every machine: strokes, no fonts', async () => {
    const files = await writeReport(folder, { ...input(60, 3), dataset: dataset(60) });
    const heading = await sharp(files.contactSheet!)
      .extract({ left: 28, top: 20, width: 300, height: 32 })
      .raw()
      .toBuffer();
    expect(heading.filter((value) => value < 128).length).toBeGreaterThan(500);
  });

  it('holds a coreset of one', async () => {
    const files = await writeReport(folder, { ...input(1, 1), dataset: dataset(1) });
    expect((await sharp(files.contactSheet!).metadata()).height).toBe(2 * 28 + 44 + 64);
  });
});

describe('progress, abort and errors', () => {
  it('counts up to the total once', async () => {
    const seen: Progress[] = [];
    await writeReport(folder, { ...input(100, 5), dataset: dataset(100) }, { onProgress: (p) => seen.push(p) });
    expect(seen.at(-1)).toEqual({ stage: 'report', done: 22, total: 22, unit: 'pictures' });
    expect(seen.filter((p) => p.done === p.total)).toHaveLength(1);
    expect(seen.map((p) => p.done)).toEqual(seen.map((p) => p.done).sort((a, b) => a - b));
  });

  it('stops with the reason of the signal and leaves what was there', async () => {
    await writeReport(folder, input(10, 2));
    await writeFile(join(folder, 'report.html'), 'old');
    const controller = new AbortController();
    const reason = new Error('enough');
    const images = dataset(1000);
    const job = writeReport(
      folder,
      { ...input(1000, 10), dataset: images },
      { signal: controller.signal, onProgress: () => controller.abort(reason) },
    );
    await expect(job).rejects.toBe(reason);
    expect(images.reads).toBeLessThan(40);
    expect(await readdir(folder)).toEqual(['report.html']);
    expect(await readFile(join(folder, 'report.html'), 'utf8')).toBe('old');
  });

  it('passes on the error of an image, after every read has ended', async () => {
    const images = dataset(100);
    const read = images.read.bind(images);
    images.read = (index, modality) => (index === 50 ? Promise.reject(new Error('no 50.png')) : read(index, modality));
    await expect(writeReport(folder, { ...input(100, 5), dataset: images })).rejects.toThrow('no 50.png');
    expect(images.atOnce).toBe(0);
    expect(await exists(folder)).toBe(false);
  });

  it.each([
    ['projection.length', { projection: new Float32Array(19) }],
    ['projection row 3', { projection: new Float32Array(20).fill(Number.NaN, 7, 8) }],
    ['projection', { projection: [0, 1] as unknown as Float32Array }],
    ['ids.length', { ids: ['a'] }],
    ['dataset.samples.length', { dataset: dataset(11) }],
  ])('names %s when it does not fit', async (name, part) => {
    await expect(writeReport(folder, { ...input(10, 2), ...part })).rejects.toMatchObject({
      message: expect.stringContaining(`\`${name}\` must be`),
      code: expect.stringMatching(/^ERR_/),
    });
  });

  it('names a row of the selection that is out of range', async () => {
    const { selection } = input(10, 2);
    const report = { ...input(10, 2), selection: { ...selection, rows: Int32Array.of(1, 10) } };
    await expect(writeReport(folder, report)).rejects.toThrow(
      '`selection.rows[1]` must be a row in 0..9, but it is 10.',
    );
  });
});
