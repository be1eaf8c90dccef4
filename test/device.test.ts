import { partition } from 'coregain';
import { describe, expect, test } from 'vitest';
import { chooseDevice, isEngineDevice } from '#lib/device.js';
import { native } from '#lib/native.js';

const { available, reason, devices } = native().cuda();

test('cuda() says what there is, or why there is nothing', () => {
  expect(devices.length > 0).toBe(available);
  expect(reason === '').toBe(available);
});

test.each(['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:12'])('%s names a device', (text) => {
  expect(isEngineDevice(text)).toBe(true);
});

test.each(['', 'gpu', 'cuda:', 'cuda:-1', 'cuda:x', 'CUDA', 0])('%j names none', async (text) => {
  expect(isEngineDevice(text)).toBe(false);
  await expect(chooseDevice(text, true)).rejects.toThrow(/device/);
});

test('auto takes the processor for small problems', async () => {
  expect(await chooseDevice('auto', false)).toEqual({ device: -1, fallback: false });
});

describe.skipIf(available)('on a machine without a device', () => {
  test('auto takes the processor, and nothing was left out', async () => {
    expect(await chooseDevice('auto', true)).toEqual({ device: -1, fallback: false });
  });

  test.each(['cuda', 'cuda:0'] as const)('%s is refused, with the reason and the cure', async (device) => {
    const matrix = { data: new Float32Array(40), rows: 10, cols: 4 };
    await expect(partition(matrix, { bins: 2, device })).rejects.toMatchObject({
      code: 'ERR_DEVICE',
      message: `The device ${device} cannot be used: ${reason}. Use --device cpu or auto.`,
    });
  });
});

test('a device that is not there is refused by its number', async () => {
  const why = available ? /no device cuda:999/ : /cannot be used/;
  await expect(chooseDevice('cuda:999', true)).rejects.toThrow(why);
});

test('run.json knows where the bins were found', async () => {
  const data = Float32Array.from({ length: 60 }, (_, i) => Math.sin(i * i));
  const { engine } = await partition({ data, rows: 20, cols: 3 }, { bins: 2, device: 'cpu' });
  expect(engine.device).toBe('cpu');
});
