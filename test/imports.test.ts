import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const lib = fileURLToPath(new URL('../lib', import.meta.url));

/** Lowest first: a file imports from its own place or from a lower one. What stands in no list is at the bottom. */
const PLACES = [
  'formats',
  'nativeJob.ts',
  'sharedData.ts',
  'weights',
  'onnx',
  'models',
  'data',
  'embed',
  'reduce',
  'select',
  'kernels',
  'trial',
  'train',
  'diagnose',
  'experiment',
  'pretrain',
  'report',
  'config.ts',
  'configured.ts',
  'results.ts',
  'doctor.ts',
  'run.ts',
  'runExperiment.ts',
  'bench',
  'index.ts',
  'cli',
];
const BASE = new Set([
  'alone.ts',
  'check.ts',
  'configFile.ts',
  'device.ts',
  'deviceTrial.ts',
  'deviceVerdict.ts',
  'errors.ts',
  'files.ts',
  'idList.ts',
  'lock.ts',
  'matrix.ts',
  'native.ts',
  'progress.ts',
  'steps.ts',
  'version.ts',
]);

/** Path of each file under lib, and the files there that it imports, types included. */
const imports = new Map(
  (readdirSync(lib, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const found = readFileSync(join(lib, file), 'utf8').matchAll(
        /(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)'(\.{1,2}\/[^']+\.js)'/g,
      );
      return [file, [...found].map(([, path]) => join(dirname(file), path!.replace(/\.js$/, '.ts')))] as const;
    }),
);

const placeOf = (file: string) => (BASE.has(file) ? -1 : PLACES.indexOf(file.split('/')[0]!));

test('the list names every place, and the search sees imports', () => {
  const unknown = [...imports.keys()].filter((file) => !BASE.has(file) && placeOf(file) < 0);
  expect(unknown).toEqual([]);
  const missing = [...imports].flatMap(([file, targets]) =>
    targets.filter((t) => !imports.has(t)).map((t) => `${file} -> ${t}`),
  );
  expect(missing).toEqual([]);
  expect(imports.get('embed/embed.ts')).toContain('formats/npy.ts');
  expect(imports.get('models/openEncoder.ts')).toContain('models/multimae.ts');
});

test('imports point one way: nothing imports upward', () => {
  const upward = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => placeOf(target) > placeOf(file)).map((target) => `${file} -> ${target}`),
  );
  expect(upward).toEqual([]);
});

test('no file imports itself, however long the way round', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
    } else if (!done.has(file)) {
      for (const target of imports.get(file) ?? []) visit(target, [...trail, file]);
      done.add(file);
    }
  };
  for (const file of imports.keys()) visit(file, []);
  expect(cycles).toEqual([]);
});

test('only native.ts and doctor.ts look for the addon', () => {
  const users = [...imports.keys()].filter((file) => readFileSync(join(lib, file), 'utf8').includes('node-gyp-build'));
  expect(users.sort()).toEqual(['doctor.ts', 'native.ts']);
});
