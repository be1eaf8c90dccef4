import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { ModelError } from '#lib/errors.js';
import { readSafetensors } from '#lib/weights/safetensors.js';
import { openTorchCheckpoint } from '#lib/weights/torchCheckpoint.js';
import { shared } from '../shared.js';
import { ascii, pickle, text, type View, zip } from './buildCheckpoint.js';

const folder = mkdtempSync(join(tmpdir(), 'coregain-checkpoint-'));
afterAll(() => rmSync(folder, { recursive: true }));

function save(bytes: Uint8Array): string {
  const path = join(folder, 'model.pth');
  writeFileSync(path, bytes);
  return path;
}

const six = new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer);
const whole: View = { storage: '0', count: 6, shape: [2, 3], strides: [3, 1] };
const archive = (tensors: Record<string, View>, options = {}) =>
  zip({ 'model/data.pkl': pickle(tensors), 'model/data/0': six }, options);
const raw = (body: string | Buffer) =>
  zip({ 'model/data.pkl': Buffer.concat([Buffer.from([0x80, 2]), Buffer.from(body)]) });

async function values(bytes: Uint8Array, name = 'w') {
  const file = await openTorchCheckpoint(save(bytes));
  try {
    const { shape, data } = await file.read(name);
    return { shape, data: [...data] };
  } finally {
    await file.close();
  }
}

async function refusal(bytes: Uint8Array): Promise<ModelError> {
  const error = await openTorchCheckpoint(save(bytes)).then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(ModelError);
  return error;
}

describe.skipIf(!shared)('files that torch.save wrote', () => {
  const golden = (name: string) => join(shared!, 'golden/checkpoints', name);

  test.each(['multimae-tiny_model-only_zip.pth', 'multimae-tiny_full_zip.pth'])(
    '%s holds what PyTorch says',
    async (name) => {
      const expected = await readSafetensors(golden('multimae-tiny_expected.safetensors'));
      const keys = readFileSync(golden('keys.txt'), 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[0]);
      const file = await openTorchCheckpoint(golden(name));
      expect([...file.tensors.keys()]).toEqual(keys);
      expect(keys).toHaveLength(255);
      for (const key of file.tensors.keys()) {
        const { shape, dtype, data } = await file.read(key);
        expect([key, shape, dtype]).toEqual([key, expected[key]!.shape, expected[key]!.dtype]);
        expect(
          Buffer.compare(
            Buffer.from(data.buffer, data.byteOffset, data.byteLength),
            Buffer.from(expected[key]!.data.buffer),
          ),
        ).toBe(0);
      }
      await file.close();
    },
  );

  test('the legacy format is refused with the cure', async () => {
    await expect(openTorchCheckpoint(golden('multimae-tiny_model-only_legacy.pth'))).rejects.toMatchObject({
      code: 'ERR_CHECKPOINT_LEGACY',
      message: expect.stringMatching(/before 1\.6.*torch\.save\(torch\.load/),
    });
  });
});

describe('views', () => {
  test('are read from a storage that the local header has moved', async () => {
    expect(await values(archive({ w: whole }, { pad: 37 }))).toEqual({ shape: [2, 3], data: [1, 2, 3, 4, 5, 6] });
  });

  test('zip64 archives are read', async () => {
    expect((await values(archive({ w: whole }, { zip64: true }))).data).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('with other strides are put in row-major order', async () => {
    const transposed = { ...whole, shape: [3, 2], strides: [1, 3] };
    expect((await values(archive({ w: transposed }))).data).toEqual([1, 4, 2, 5, 3, 6]);
    const everySecond = { ...whole, offset: 1, shape: [3], strides: [2] };
    expect((await values(archive({ w: everySecond }))).data).toEqual([2, 4, 6]);
  });

  test('may share a storage, may be scalar, may be empty', async () => {
    const tensors = {
      a: whole,
      b: { ...whole, offset: 5, shape: [], strides: [] },
      c: { ...whole, shape: [0, 3], strides: [3, 1] },
    };
    expect((await values(archive(tensors), 'b')).data).toEqual([6]);
    expect((await values(archive(tensors), 'c')).data).toEqual([]);
  });

  test('module. in front of every name is taken off; a top level without `model` is read', async () => {
    expect((await values(archive({ 'module.w': whole }))).data).toHaveLength(6);
    const bare = zip({ 'archive/data.pkl': pickle({ w: whole }, 'bare'), 'archive/data/0': six });
    expect((await values(bare)).data).toHaveLength(6);
  });

  test.each<[string, View]>([
    ['past the end', { ...whole, offset: 1 }],
    ['by its strides', { ...whole, strides: [30, 1] }],
    ['by repeating one element', { ...whole, shape: [2_000_000_000], strides: [0] }],
    [
      'by sizes whose product is no integer',
      { ...whole, shape: Array(40).fill(2_000_000_000), strides: Array(40).fill(0) },
    ],
  ])('that leave their storage %s are refused', async (_, view) => {
    expect(await refusal(archive({ w: view }))).toMatchObject({
      code: 'ERR_CHECKPOINT_INVALID',
      message: expect.stringMatching(/"w" reaches outside/),
    });
  });

  test.each<[string, View]>([
    ['size', { ...whole, shape: [-2, -3] }],
    ['stride', { ...whole, strides: [-3, 1] }],
    ['offset', { ...whole, offset: -1 }],
    ['missing stride', { ...whole, strides: [3] }],
  ])('with a bad %s are refused', async (_, view) => {
    expect(await refusal(archive({ w: view }))).toMatchObject({ code: 'ERR_CHECKPOINT_INVALID' });
  });

  test('whose storage is short, or missing, are refused', async () => {
    const short = zip({ 'm/data.pkl': pickle({ w: whole }), 'm/data/0': six.subarray(4) });
    expect((await refusal(short)).message).toMatch(/should have 24 bytes, but has 20/);
    expect((await refusal(archive({ w: { ...whole, storage: '../0' } }))).message).toMatch(
      /storage "\.\.\/0" of tensor "w" is missing/,
    );
  });
});

describe('hostile and broken files', () => {
  test('a call of os.system is refused by name and never made', async () => {
    const marker = join(folder, 'executed');
    const error = await refusal(raw(Buffer.concat([ascii('cos\nsystem\n'), text(`touch ${marker}`), ascii('\x85R.')])));
    expect(error).toMatchObject({ code: 'ERR_CHECKPOINT_REFUSED', message: expect.stringContaining('os.system') });
    expect(() => readFileSync(marker)).toThrow();
  });

  test.each([
    ['an opcode that no state dict needs', 'Vtext\n.', /opcode 0x56 \(at byte 2\)/],
    ['INST', '(ios\nsystem\n.', /opcode 0x69/],
    ['STACK_GLOBAL', '\x93.', /opcode/],
    ['a global that only looks allowed', 'ctorch\nload\n.', /torch\.load/],
    ['a known global called with unknown arguments', 'ccollections\nOrderedDict\n]\x85R.', /OrderedDict with 1/],
  ])('%s is refused', async (_, body, message) => {
    expect(await refusal(raw(Buffer.from(body, 'latin1')))).toMatchObject({
      code: 'ERR_CHECKPOINT_REFUSED',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['a pickle without an end', '}'],
    ['an empty stack', '.'],
    ['a string longer than the file', 'X\xff\xff\xff\xff'],
    ['an empty memo', 'h\x07.'],
    ['a mark that is not there', 't.'],
    ['a number as dict', 'K\x01K\x02K\x03s.'],
    ['a call of a number', 'K\x01)R.'],
    ['no tensors', '}.'],
    ['a number at the top', 'K\x01.'],
  ])('%s is an error of the file', async (_, body) => {
    expect(await refusal(raw(Buffer.from(body, 'latin1')))).toMatchObject({ code: 'ERR_CHECKPOINT_INVALID' });
  });

  test('nesting a million deep and lists that double neither overflow the stack nor the memory', async () => {
    const deep = raw(Buffer.concat([Buffer.alloc(1_000_000, ']'), Buffer.alloc(999_999, 'a'), ascii('.')]));
    expect(await refusal(deep)).toMatchObject({ code: 'ERR_CHECKPOINT_INVALID' });
    const doubling = Buffer.concat(
      Array.from({ length: 200 }, (_, i) => Buffer.from([0x5d, 0x71, i + 1, 0x28, 0x68, i, 0x68, i, 0x65])),
    );
    const bomb = raw(Buffer.concat([ascii(']q\0'), doubling, ascii('.')]));
    expect(await refusal(bomb)).toMatchObject({ code: 'ERR_CHECKPOINT_INVALID' });
  });

  test('cut anywhere, the file is refused', async () => {
    const bytes = archive({ w: whole }, { pad: 64 });
    for (let length = 0; length < bytes.length; length += 7) {
      expect((await refusal(bytes.subarray(0, length))).code).toMatch(/^ERR_CHECKPOINT_(ZIP|INVALID)$/);
    }
  });

  test('compressed entries are refused', async () => {
    expect(await refusal(archive({ w: whole }, { method: 8 }))).toMatchObject({ code: 'ERR_CHECKPOINT_COMPRESSED' });
  });

  test('random damage never gives anything but a ModelError or a tensor', async () => {
    const bytes = archive({ w: whole });
    let state = 1;
    const random = (below: number) => {
      state = (state * 48_271) % 2_147_483_647;
      return state % below;
    };
    for (let round = 0; round < 500; round++) {
      const damaged = Buffer.from(bytes);
      for (let i = 0; i <= random(4); i++) damaged[random(damaged.length)] = random(256);
      const file = await openTorchCheckpoint(save(damaged)).catch((error) => {
        expect(error).toBeInstanceOf(ModelError);
      });
      if (!file) continue;
      for (const name of file.tensors.keys()) {
        await file.read(name).catch((error) => expect(error).toBeInstanceOf(ModelError));
      }
      await file.close();
    }
  });

  test('other files and missing files say what they are', async () => {
    expect((await refusal(Buffer.from('hello, world'))).message).toMatch(/does not begin like a zip/);
    expect((await refusal(zip({ 'a.txt': six }))).message).toMatch(/without a data\.pkl/);
    await expect(openTorchCheckpoint(join(folder, 'none.pth'))).rejects.toMatchObject({
      code: 'ERR_WEIGHTS_UNREADABLE',
      message: expect.stringMatching(/no such file/),
    });
  });
});
