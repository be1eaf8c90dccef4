import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { writeNpy } from '#lib/formats/npy.js';
import { STRATEGIES, select } from '#lib/select/select.js';
import { coregain, jsonLines, scratchFolder } from './coregain.js';

const ROWS = 120;
const COLS = 5;
const folder = scratchFolder();
const data = new Float32Array(ROWS * COLS);
const groups = Array.from({ length: ROWS }, (_, row) => `clip ${row % 9}`);

beforeAll(async () => {
  let state = 7;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = state / 2 ** 31 - 1;
  }
  await writeNpy(join(folder, 'X.npy'), { data, shape: [ROWS, COLS] });
  writeFileSync(join(folder, 'groups.txt'), `${groups.join('\n')}\n`);
});

const common = ['select', '--embeddings', 'X.npy', '--budget', '24', '--seed', '3'];

test.each(STRATEGIES)('--strategy %s gives what the library gives, and run.json says so', async (strategy) => {
  const more = strategy === 'round-robin' ? ['--groups', 'groups.txt'] : [];
  const out = join(folder, strategy);
  const { status, stderr } = await coregain([...common, '--strategy', strategy, ...more, '--out', out], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const expected = await select({ data, rows: ROWS, cols: COLS }, { strategy, bins: 10, budget: 24, seed: 3, groups });
  expect(jsonLines(join(out, 'coreset.jsonl')).map(({ row }) => row)).toEqual([...expected.rows]);
  const run = JSON.parse(readFileSync(join(out, 'run.json'), 'utf8'));
  expect(run.config.strategy).toBe(strategy);
  expect(run.engine.name).toBe(strategy === 'bins' ? 'lazy' : strategy);
  expect(run.engine.why).not.toBe('');
  expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain(
    strategy === 'bins' ? 'sorted into 10 bins' : strategy,
  );
});

test('--engine: the same coreset, and run.json names the engine', async () => {
  const coresets = new Set<string>();
  for (const engine of ['lazy', 'gram', 'sweep']) {
    const out = join(folder, `engine-${engine}`);
    const { status } = await coregain([...common, '--engine', engine, '--out', out, '--no-report'], folder);
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(join(out, 'run.json'), 'utf8')).engine).toMatchObject({
      name: engine,
      why: 'asked for',
    });
    coresets.add(readFileSync(join(out, 'coreset.jsonl'), 'utf8'));
  }
  expect(coresets.size).toBe(1);
});

test.each([
  [['--strategy', 'best'], /Allowed choices are bins, random/],
  [['--engine', 'fast'], /Allowed choices are auto, lazy, gram, sweep/],
  [['--clusters', '0'], /It must be/],
  [['--fraction', '0'], /It must be a number > 0, at most 2/],
  [
    ['--strategy', 'dbal', '--bins', '3'],
    /`--bins` is of the strategy bins, not of dbal\. Add `--strategy bins`, or leave it out\.$/m,
  ],
  [['--fraction', '0.3'], /`--fraction` is of the strategy dbal, not of bins/],
  [['--strategy', 'random', '--gain', 'cosine'], /`--gain` is of the strategy bins, not of random/],
  [['--strategy', 'herding', '--groups', 'groups.txt'], /`--groups` is of the strategy round-robin, not of herding/],
])('%j is refused', async (flags, message) => {
  const { status, stderr } = await coregain([...common, ...flags, '--out', 'refused'], folder);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
});

test('--fraction: what the library gives with it, and not what it gives without', async () => {
  const rows = async (flags: string[], out: string) => {
    const args = [...common, '--strategy', 'dbal', ...flags, '--out', out, '--no-report'];
    expect(await coregain(args, folder)).toMatchObject({ status: 0, stderr: '' });
    return jsonLines(join(folder, out, 'coreset.jsonl')).map(({ row }) => row);
  };
  const options = { strategy: 'dbal', budget: 24, seed: 3 } as const;
  const expected = await select({ data, rows: ROWS, cols: COLS }, { ...options, fraction: 1.2 });
  const given = await rows(['--fraction', '1.2'], 'wide');
  expect(given).toEqual([...expected.rows]);
  expect(given).not.toEqual(await rows([], 'usual'));
  expect(JSON.parse(readFileSync(join(folder, 'wide', 'run.json'), 'utf8')).config.fraction).toBe(1.2);
});

test('round robin without groups, or with another number of them, names the cure', async () => {
  const run = (flags: string[]) =>
    coregain([...common, '--strategy', 'round-robin', ...flags, '--out', 'none'], folder);
  const without = await run([]);
  expect(without.status).not.toBe(0);
  expect(without.stderr).toContain('one group a row');
  writeFileSync(join(folder, 'short.txt'), 'a\nb\n');
  const short = await run(['--groups', 'short.txt']);
  expect(short.status).not.toBe(0);
  expect(short.stderr).toContain(`short.txt have 2 lines, but there are ${ROWS} embeddings`);
  writeFileSync(join(folder, 'gap.txt'), groups.map((label, row) => (row === 4 ? '' : label)).join('\n'));
  expect((await run(['--groups', 'gap.txt'])).stderr).toContain('gap.txt have no label in line 5');
});

test('a label may begin with #: every line is a row', async () => {
  const labels = groups.map((label) => `#${label}`);
  writeFileSync(join(folder, 'hash.txt'), labels.join('\n'));
  const out = join(folder, 'hash');
  const flags = ['--strategy', 'round-robin', '--groups', 'hash.txt', '--out', out, '--no-report'];
  expect((await coregain([...common, ...flags], folder)).status).toBe(0);
  const expected = await select(
    { data, rows: ROWS, cols: COLS },
    { strategy: 'round-robin', budget: 24, seed: 3, groups: labels },
  );
  expect(jsonLines(join(out, 'coreset.jsonl')).map(({ row }) => row)).toEqual([...expected.rows]);
});
