import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { hashFile } from '#lib/select/runRecord.js';
import { golden } from '../formats/golden.js';
import { coregain, jsonLines, scratchFolder } from './coregain.js';

const folder = scratchFolder();
const select = (...flags: string[]) =>
  coregain(['select', '--bins', '4', '--budget', '8', '--no-report', ...flags], folder);
const rowsIn = (out: string) => jsonLines(join(folder, out, 'coreset.jsonl')).map(({ row }) => row);

beforeAll(async () => {
  for (const name of [
    'x.npy',
    'x_le_f2.npy',
    'several.npz',
    'x.f32',
    'x.f16',
    'several.h5',
    'one.safetensors',
    'x.fvecs',
  ]) {
    copyFileSync(golden(name), join(folder, name));
  }
  mkdirSync(join(folder, 'parts'));
  for (const part of [2, 10, 9]) copyFileSync(golden('x.npy'), join(folder, 'parts', `${part}.npy`));
  expect(await select('--embeddings', 'x.npy', '--out', 'npy')).toMatchObject({ status: 0, stderr: '' });
});

test.each([
  ['npz', ['--embeddings', 'several.npz', '--name', 'x']],
  ['h5', ['--embeddings', 'several.h5', '--name', 'gzip']],
  ['raw', ['--embeddings', 'x.f32', '--cols', '5']],
  ['raw-dtype', ['--embeddings', 'x.f16', '--cols', '5', '--dtype', 'float16']],
  ['safetensors', ['--embeddings', 'one.safetensors']],
  ['fvecs', ['--embeddings', 'x.fvecs']],
])('select from %s chooses what it chooses from .npy', async (out, flags) => {
  expect(await select(...flags, '--out', out)).toMatchObject({ status: 0, stderr: '' });
  expect(rowsIn(out)).toEqual(rowsIn('npy'));
});

test('array, width and type are part of the configuration', async () => {
  const run = JSON.parse(readFileSync(join(folder, 'raw', 'run.json'), 'utf8'));
  expect(run.config).toMatchObject({ embeddings: join(folder, 'x.f32'), cols: 5 });
  const other = await select('--embeddings', 'x.f32', '--cols', '10', '--out', 'raw');
  expect(other).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/holds the result of another configuration/),
  });
});

test('notes are printed, in --json and in run.json', async () => {
  const said = 'x_le_f2.npy holds float16; read as float32.';
  const shown = await select('--embeddings', 'x_le_f2.npy', '--out', 'notes');
  expect(shown.stdout).toContain(`  note: ${said}\n`);
  expect(rowsIn('notes')).toEqual(rowsIn('npy'));
  const json = await select('--embeddings', 'x_le_f2.npy', '--out', 'notes', '--json');
  expect(JSON.parse(json.stdout).notes).toEqual([said]);
  expect(JSON.parse(readFileSync(join(folder, 'notes', 'run.json'), 'utf8')).notes).toEqual([said]);
  const common = ['--embeddings', 'x_le_f2.npy', '--json'];
  const reduced = await coregain(['reduce', ...common, '--dims', '2', '--out', 'y.npy'], folder);
  expect(JSON.parse(reduced.stdout).notes).toEqual([said]);
  const fitted = await coregain(
    ['reduce', '--embeddings', 'x.npy', '--save-model', 'm.safetensors', '--out', 'z.npy'],
    folder,
  );
  expect(fitted).toMatchObject({ status: 0, stderr: '' });
  const applied = await coregain(['reduce', ...common, '--model', 'm.safetensors', '--out', 'y.npy'], folder);
  expect(JSON.parse(applied.stdout).notes).toEqual([said]);
  const diagnosed = await coregain(['diagnose', ...common], folder);
  expect(JSON.parse(diagnosed.stdout).notes).toEqual([said]);
});

test.each(['parts', 'parts/*.npy'])('%s: every file is in run.json with its hash, in order', async (embeddings) => {
  const out = `hashed-${embeddings.length}`;
  expect(await select('--embeddings', embeddings, '--out', out)).toMatchObject({ status: 0, stderr: '' });
  const run = JSON.parse(readFileSync(join(folder, out, 'run.json'), 'utf8'));
  expect(run.counts.rows).toBe(120);
  const { sha256, bytes } = await hashFile(golden('x.npy'));
  expect(run.inputs).toEqual(['2', '9', '10'].map((part) => ({ path: join('parts', `${part}.npy`), sha256, bytes })));
});

test('diagnose compares two arrays of one archive', async () => {
  const flags = ['--embeddings', 'several.npz', '--name', 'x', '--other', 'several.npz', '--other-name', 'y', '--json'];
  const { status, stdout, stderr } = await coregain(['diagnose', ...flags], folder);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(JSON.parse(stdout).consistency.rows).toBe(40);
});

test.each([
  ['--name', 'x'],
  ['--other-name', 'y'],
  ['--cols', '5'],
])('diagnose --data with %s is refused', async (...flag) => {
  const { status, stderr } = await coregain(['diagnose', '--data', '.', ...flag], folder);
  expect({ status, stderr }).toEqual({
    status: 2,
    stderr: expect.stringContaining(`\`${flag[0]}\` goes with \`--embeddings\``),
  });
});

test('reduce reads raw values', async () => {
  const run = async (out: string, ...flags: string[]) => {
    expect(await coregain(['reduce', ...flags, '--dims', '2', '--out', out], folder)).toMatchObject({
      status: 0,
      stderr: '',
    });
    return readFileSync(join(folder, out));
  };
  expect(await run('a.npy', '--embeddings', 'x.f32', '--cols', '5')).toEqual(
    await run('b.npy', '--embeddings', 'x.npy'),
  );
});

test.each([
  [['--embeddings', 'several.npz'], 1, /several\.npz has several arrays.*"x".*"y"/],
  [['--embeddings', 'x.f32'], 1, /x\.f32 holds values.*`cols`/],
  [['--embeddings', 'x.npy', '--cols', '5'], 1, /`cols` is an option.*Leave it out/],
  [['--embeddings', 'x.f32', '--cols', '0'], 2, /It must be an integer >= 1/],
  [['--embeddings', 'x.f32', '--cols', '5', '--dtype', 'float8'], 2, /Allowed choices are float32/],
  [['--embeddings', 'nothing-*.npy'], 1, /nothing-\*\.npy names no file/],
])('%j is refused in one sentence', async (flags, code, message) => {
  const { status, stdout, stderr } = await select(...flags, '--out', 'none');
  expect({ status, stdout }).toEqual({ status: code, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});
