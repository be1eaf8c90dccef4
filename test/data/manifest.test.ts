import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { readManifest } from '#lib/data/manifest.js';
import { shared } from '../shared.js';

let scratch: string;
let folder: string;
let manifest: string;
let count = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'coregain-manifest-'));
});
afterAll(() => rm(scratch, { recursive: true }));
beforeEach(async () => {
  folder = join(scratch, String(count++));
  manifest = join(folder, 'manifest.jsonl');
  await put('rgb/a.png');
});

async function put(path: string, content = ''): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), content);
}

const line = (fields: object) => `${JSON.stringify({ id: 'a', rgb: 'rgb/a.png', ...fields })}\n`;

async function failing(text: string) {
  await put('manifest.jsonl', text);
  return readManifest(manifest).then(
    () => expect.unreachable('was read'),
    (error) => error,
  );
}

describe('a line', () => {
  it('becomes a sample', async () => {
    const text =
      line({ split: 'val', depth: 'depth/a.png', depth_scale: 0.25, clip: 3, tags: ['x'] }) +
      line({ id: 'b', semseg: 'semseg/b.png', instance: null, scene: null });
    await put('manifest.jsonl', text);
    expect(await readManifest(manifest)).toEqual({
      root: folder,
      samples: [
        {
          id: 'a',
          split: 'val',
          paths: { rgb: 'rgb/a.png', depth: 'depth/a.png' },
          depthScale: 0.25,
          metadata: { clip: 3, tags: ['x'] },
        },
        {
          id: 'b',
          split: 'train',
          paths: { rgb: 'rgb/a.png', semseg: 'semseg/b.png' },
          depthScale: Number.NaN,
          metadata: {},
        },
      ],
    });
  });

  it('may end with CR LF, be empty, follow a byte order mark, lack its newline, hold U+2028', async () => {
    const separator = JSON.stringify({ id: 'x\u2028y', rgb: 'rgb/a.png' });
    await put('manifest.jsonl', `\uFEFF${line({}).trim()}\r\n\r\n\n${separator}`);
    const { samples } = await readManifest(manifest);
    expect(samples.map(({ id }) => id)).toEqual(['a', 'x\u2028y']);
  });

  it('may lie across the borders of what is read at once, with letters of several bytes', async () => {
    const names = Array.from({ length: 9000 }, (_, i) => `日本語-${i}-${'é'.repeat(i % 50)}`);
    await put('manifest.jsonl', names.map((id) => line({ id })).join(''));
    expect((await readManifest(manifest)).samples.map(({ id }) => id)).toEqual(names);
  });
});

describe('errors name file, line and cure', () => {
  const cases: [string, string, RegExp][] = [
    ['no JSON', '{"id": "b", "rgb"', /is not JSON \(.+\)\. Write one JSON object per line\./],
    ['an array', '[1]', /is not a JSON object\. Write one object per line/],
    ['null', 'null', /is not a JSON object/],
    ['no id', '{"rgb": "rgb/a.png"}', /has no "id"\. Give each sample its own\./],
    ['a number as id', '{"id": 7, "rgb": "rgb/a.png"}', /"id" must be a string/],
    ['an empty id', '{"id": "", "rgb": "rgb/a.png"}', /"id" must be a string that is not empty/],
    ['a number as split', line({ id: 'b', split: 1 }), /"b"\): "split" must be a string/],
    ['a number as path', line({ id: 'b', depth: 1 }), /"b"\): "depth" must be the path of a file/],
    ['an empty path', line({ id: 'b', rgb: '' }), /"rgb" must be the path of a file/],
    ['no image', '{"id": "b", "scene": "a.json"}', /"b"\) names no image\. Give at least one of rgb/],
    ['an absolute path', line({ id: 'b', rgb: '/etc/passwd' }), /"rgb" is "\/etc\/passwd", which is not inside/],
    ['a path that leaves', line({ id: 'b', rgb: '../rgb/a.png' }), /not inside the data set\. Put the manifest into/],
    ['a path that leaves later', line({ id: 'b', rgb: 'rgb/../../a.png' }), /not inside the data set/],
  ];
  for (const [what, text, message] of cases) {
    test(what, async () => {
      const error = await failing(`${line({})}\n${text}`);
      expect(error).toMatchObject({ name: 'DataError', code: 'ERR_MANIFEST' });
      expect(error.message).toMatch(message);
      expect(error.message.startsWith(`${manifest} line 3 `)).toBe(true);
    });
  }

  test('an id that occurs twice', async () => {
    const error = await failing(line({}) + line({ id: 'b' }) + line({}));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_DUPLICATE_ID' });
    expect(error.message).toBe(`${manifest} line 3 has id "a", which line 1 has too. Give each sample its own id.`);
  });

  test('a depth scale that is none', async () => {
    for (const scale of [0, -1, '0.001']) {
      const error = await failing(line({ depth: 'd.png', depth_scale: scale }));
      expect(error).toMatchObject({ code: 'ERR_DEPTH_SCALE' });
      expect(error.message).toContain(`${manifest} line 1 has depth_scale ${JSON.stringify(scale)}.`);
    }
  });

  test('nothing in it', async () => {
    expect(await failing('\n\n')).toMatchObject({ code: 'ERR_DATASET_EMPTY' });
  });

  test('a file that has no lines at all', async () => {
    const error = await failing(' '.repeat((1 << 24) + (1 << 20)));
    expect(error).toMatchObject({ code: 'ERR_MANIFEST' });
    expect(error.message).toContain('more than 16 MiB');
  });
});

describe('paths', () => {
  it('may be relative to the parent of the folder, which is then the root', async () => {
    await put('redundant/rgb/0.png');
    await put('redundant/manifest.jsonl', line({ rgb: 'redundant/rgb/0.png' }));
    const { root, samples } = await readManifest(join(folder, 'redundant/manifest.jsonl'));
    expect(root).toBe(folder);
    expect(samples[0]!.paths.rgb).toBe('redundant/rgb/0.png');
  });

  it('are relative to the folder itself where both would do', async () => {
    await put('inner/rgb/a.png');
    await put('inner/manifest.jsonl', line({}));
    expect((await readManifest(join(folder, 'inner/manifest.jsonl'))).root).toBe(join(folder, 'inner'));
  });

  it('that lead nowhere are named both ways', async () => {
    const error = await failing(line({ rgb: 'images/a.png' }));
    expect(error).toMatchObject({ name: 'DataError', code: 'ERR_FILE_MISSING' });
    for (const tried of [join(folder, 'images/a.png'), join(folder, '../images/a.png')]) {
      expect(error.message).toContain(tried);
    }
  });
});

describe('depth scale', () => {
  const fields = { depth: 'depth/a.png', scene: 'scenes/a.json' };

  it("is the scene's where the line has none", async () => {
    await put('scenes/a.json', '{"depth_scale": 0.5}');
    await put('manifest.jsonl', line(fields) + line({ ...fields, id: 'b', depth_scale: 2 }));
    const { samples } = await readManifest(manifest);
    expect(samples.map(({ depthScale }) => depthScale)).toEqual([0.5, 2]);
  });

  it('is NaN where neither says it', async () => {
    await put('scenes/a.json', '{}');
    await put('manifest.jsonl', line(fields) + line({ id: 'b', depth: 'depth/a.png' }));
    const { samples } = await readManifest(manifest);
    expect(samples.map(({ depthScale }) => depthScale)).toEqual([Number.NaN, Number.NaN]);
  });

  it('is not looked for where there is no depth', async () => {
    await put('manifest.jsonl', line({ scene: 'scenes/missing.json' }));
    expect((await readManifest(manifest)).samples[0]!.depthScale).toBeNaN();
  });

  it('names a scene that is missing, no JSON, or has a scale that is none', async () => {
    const path = join(folder, 'scenes/a.json');
    let error = await failing(line(fields));
    expect(error).toMatchObject({ code: 'ERR_FILE_MISSING' });
    expect(error.message).toContain(`scene of sample "a" (${path}) is missing`);
    await put('scenes/a.json', '{');
    error = await failing(line(fields));
    expect(error).toMatchObject({ code: 'ERR_SCENE_FILE' });
    expect(error.message).toContain(path);
    await put('scenes/a.json', '{"depth_scale": "mm"}');
    error = await failing(line(fields));
    expect(error).toMatchObject({ code: 'ERR_DEPTH_SCALE' });
    expect(error.message).toContain(path);
  });
});

test.skipIf(!shared)('clevr-mini and its near-duplicates', async () => {
  const mini = join(shared!, 'data/clevr-mini');
  const main = await readManifest(join(mini, 'manifest.jsonl'));
  expect(main.root).toBe(mini);
  expect(main.samples.length).toBe(600);
  expect(main.samples.every(({ depthScale }) => depthScale === 0.001)).toBe(true);
  expect(main.samples.filter(({ split }) => split === 'val').length).toBe(120);
  expect(main.samples[0]!.metadata).toEqual({ n_objects: 9 });

  const redundant = await readManifest(join(mini, 'redundant/manifest.jsonl'));
  expect(redundant.root).toBe(mini);
  expect(redundant.samples[0]).toMatchObject({
    id: 'redundant/000000',
    paths: { rgb: 'redundant/rgb/000000.png' },
    depthScale: 0.001,
    metadata: { parent: '000000' },
  });
});
