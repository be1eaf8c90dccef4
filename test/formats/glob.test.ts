import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { glob } from '#lib/formats/glob.js';
import { scratch } from './golden.js';

const folder = scratch();
const files = [
  'a.npy',
  'b.npy',
  'b.npz',
  '.hidden.npy',
  'a+(1).npy',
  'ü😀.npy',
  'x/a.npy',
  'x/y/a.npy',
  'x/y/z/b.npy',
  '.git/a.npy',
];
for (const file of files) {
  mkdirSync(join(folder, file, '..'), { recursive: true });
  writeFileSync(join(folder, file), '');
}

test.each([
  ['*.npy', ['a+(1).npy', 'a.npy', 'b.npy', 'ü😀.npy']],
  ['?.npy', ['a.npy', 'b.npy']],
  ['ü?.npy', ['ü😀.npy']],
  ['b.*', ['b.npy', 'b.npz']],
  ['a+(1).n*', ['a+(1).npy']],
  ['.*.npy', ['.hidden.npy']],
  ['x/*.npy', ['x/a.npy']],
  ['*/a.npy', ['x/a.npy']],
  ['x/**/a.npy', ['x/a.npy', 'x/y/a.npy']],
  ['**/b.npy', ['b.npy', 'x/y/z/b.npy']],
  ['x/**', ['x/a.npy', 'x/y/a.npy', 'x/y/z/b.npy']],
  ['**/**/z/*', ['x/y/z/b.npy']],
  ['x/*', ['x/a.npy']],
  ['none/*.npy', []],
  ['a.npy/*', []],
])('%s', async (pattern, expected) => {
  const found = await glob(join(folder, pattern));
  expect(found.map((path) => relative(folder, path)).sort()).toEqual(expected);
  expect(new Set(found).size).toBe(found.length);
});

test('a pattern that starts in the working folder gives paths from there', async () => {
  expect(await glob('package*.json')).toEqual(expect.arrayContaining(['package.json', 'package-lock.json']));
  expect(await glob('./package.jso?')).toEqual(['package.json']);
});
