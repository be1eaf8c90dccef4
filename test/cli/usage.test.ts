import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { version } from '#lib/version.js';
import { coregain, filesIn, scratchFolder } from './coregain.js';

const folder = scratchFolder();

test.each(['run', 'generate', 'embed', 'reduce', 'select', 'diagnose', 'bench', 'doctor'])(
  '%s --help shows an example',
  async (name) => {
    const { status, stdout, stderr } = await coregain([name, '--help']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(new RegExp(`\\n {2}\\$ coregain ${name}`));
    for (const option of ['--json', '--quiet', '--verbose']) expect(stdout).toContain(option);
  },
);

test('--version', async () => {
  expect(await coregain(['--version'])).toMatchObject({ status: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([
  [['selekt'], /^coregain: unknown command 'selekt'\n\(Did you mean select\?\)\n$/],
  [['select', '--embedings', 'x'], /^coregain: unknown option '--embedings'\n\(Did you mean --embeddings\?\)\n$/],
  [['select', '--out', 'x'], /^coregain: `select` needs --embeddings\. See coregain select --help\.\n$/],
  [['select', '--embeddings', 'x', '--out'], /^coregain: option '--out <folder>' argument missing\n$/],
  [['select', '--bins', 'ten'], /'--bins <count>' argument 'ten' is invalid\. It must be an integer >= 1\.\n$/],
  [['select', '--bins', '0'], /It must be an integer >= 1/],
  [['select', '--seed', ''], /It must be an integer >= 0/],
  [['select', '--budget', '0'], /It must be a fraction in \(0, 1\), a percentage like 20% or a whole number of rows/],
  [['select', '--budget', '2.5'], /It must be a fraction/],
  [['select', '--budget', '101%'], /It must be a fraction/],
  [['select', '--gain', 'l2'], /Allowed choices are sqeuclidean, cosine\.\n$/],
  [['embed', '--modalities', 'rgb,depth'], /It must be a list of rgb, semseg\.\n$/],
  [['embed', '--out', 'x'], /^coregain: `embed` needs --data\. For tensors: --tensors/],
  [['embed', '--tensors', 'x'], /^coregain: `embed` needs --weights and --model and --tokens\. For images/],
  [['run', 'extra'], /too many arguments/],
  [['run', '--config', 'none.yaml'], /^coregain: none\.yaml cannot be read: ENOENT/],
])('%j is wrong usage: 2, and one message', async (args, message) => {
  const { status, stdout, stderr } = await coregain(args, folder);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(filesIn(folder)).toEqual([]);
});

test('no command: the list of commands, and 2', async () => {
  const { status, stdout, stderr } = await coregain([]);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toContain('Commands:');
});

test('a bad key of a configuration is named with file and line: 2; the stack only with --verbose', async () => {
  const inner = join(folder, 'config');
  mkdirSync(inner);
  writeFileSync(join(inner, 'c.yaml'), 'data:\n  path: .\nselect:\n  bim: 3\n');
  const quiet = await coregain(['run', '--config', 'c.yaml'], inner);
  const sentence = 'coregain: c.yaml:4: `select.bim` is not a key of the configuration. Did you mean `bins`?\n';
  expect(quiet).toMatchObject({ status: 2, stdout: '', stderr: sentence });
  const verbose = await coregain(['run', '--config', 'c.yaml', '--verbose'], inner);
  expect(verbose.status).toBe(2);
  expect(verbose.stderr.startsWith(sentence)).toBe(true);
  expect(verbose.stderr).toMatch(/\n {4}at .*checkConfig/);
});

test('flags win over the file, and are checked with it', async () => {
  const inner = join(folder, 'flags');
  mkdirSync(inner);
  writeFileSync(join(inner, 'c.json'), '{"data": {"path": "x"}, "select": {"bins": 3}}');
  const both = await coregain(['run', '--config', 'c.json', '--scenes', '5'], inner);
  expect(both).toMatchObject({ status: 2 });
  expect(both.stderr).toContain('`data` has both `path` and `generate`');
  const other = await coregain(['run', '--config', 'c.json', '--data', 'y'], inner);
  expect(other).toMatchObject({
    status: 1,
    stderr: `coregain: The data set ${join(inner, 'y')} does not exist. Check the path.\n`,
  });
});
