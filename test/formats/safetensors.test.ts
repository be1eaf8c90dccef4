import { expect, test } from 'vitest';
import { readEmbeddings } from '#lib/formats/open.js';
import {
  expectDamageSurvived,
  expectEveryCutRefused,
  expected,
  expectRefused,
  expectRows,
  golden,
  scratch,
} from './golden.js';

const folder = scratch();
const path = golden('several.safetensors');

test('the only matrix of a file needs no name', async () => {
  await expectRows(golden('one.safetensors'), await expected('x'), 5);
  await expectRows(golden('bfloat16.safetensors'), await expected('x'), 5);
  expect((await readEmbeddings(golden('bfloat16.safetensors'))).notes).toEqual([
    `${golden('bfloat16.safetensors')} (tensor "x") holds bfloat16; read as float32.`,
  ]);
});

test.each(['f2', 'f4', 'f8'])('%s', async (type) => {
  await expectRows({ path, name: `x_${type}` }, await expected('x'), 5);
});

test.each(['i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8'])('%s', async (type) => {
  await expectRows({ path, name: `k_${type}` }, await expected(type[0] === 'i' ? 'k' : 'unsigned k'), 5);
});

test.each([
  [undefined, 'ERR_ARRAY_AMBIGUOUS', /several tensors.*`name`: .*"x_f2" \(F16 \[40, 5\]\)/],
  ['y', 'ERR_ARRAY_MISSING', /no tensor "y"/],
  ['flags', 'ERR_ARRAY_UNFIT', /"flags" \(BOOL \[40, 5\]\).*real numbers/],
  ['images', 'ERR_ARRAY_UNFIT', /"images" \(F32 \[10, 4, 5\]\).*\[N, d\]/],
  ['empty', 'ERR_NO_ROWS', /holds no values/],
])('name %s: refused', async (name, code, message) => {
  await expectRefused({ path, name }, code, message);
});

test('every cut is refused, damage is survived', async () => {
  await expectEveryCutRefused('one.safetensors', folder);
  await expectDamageSurvived('one.safetensors', folder, 500);
});
