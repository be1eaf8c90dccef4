/** Where native engines run: the processor, or a CUDA device through the addon's CUDA library (docs/gpu.md). */
import { outOfRange, wrongType } from './check.js';
import { NativeError } from './errors.js';
import { native } from './native.js';

/**
 * `cuda` is the first device. `auto` is the processor until the kernels have passed their tests on a device (docs/gpu.md); then
 * the first device if there is one and the problem is large enough to gain by it.
 */
export type EngineDevice = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** Nothing has run on a device yet: whoever wants it must name it. */
const PROVEN: boolean = false;
const EXPECTED = 'auto, cpu, cuda or cuda:N';

/** Whether a text names a device, which need not be there. */
export function isEngineDevice(text: unknown): text is EngineDevice {
  return typeof text === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(text);
}

/** Index of the device that an option names; -1 = the processor. `fallback`: the processor may take over from it. */
export interface ChosenDevice {
  readonly device: number;
  readonly fallback: boolean;
}

/**
 * Finds the device that `option` names.
 * @param worthwhile whether the problem is large enough for `auto` to start a device, which takes some tenths of a second.
 * @throws {TypeError} or {RangeError} for what is no device; {NativeError} `ERR_DEVICE` where it is not there, with the
 * reason.
 */
export function chooseDevice(option: unknown, worthwhile: boolean): ChosenDevice {
  if (typeof option !== 'string') throw wrongType('device', EXPECTED, option);
  if (!isEngineDevice(option)) throw outOfRange('device', EXPECTED, option);
  if (option === 'cpu' || (option === 'auto' && !(PROVEN && worthwhile))) return { device: -1, fallback: false };
  const { available, reason, devices } = native().cuda();
  if (option === 'auto') return { device: available ? 0 : -1, fallback: true };
  if (!available) {
    throw new NativeError('ERR_DEVICE', `The device ${option} cannot be used: ${reason}. Use --device cpu or auto.`);
  }
  const device = Number(option.split(':')[1] ?? 0);
  if (device >= devices.length) {
    const last = devices.length - 1;
    throw new NativeError('ERR_DEVICE', `There is no device ${option}: this machine's are cuda:0 to cuda:${last}.`);
  }
  return { device, fallback: false };
}

/**
 * Runs `work` on the device, or again on the processor where that may take over and the device has no memory for it.
 * @returns with `device` as records name it: `cpu` or `cuda:N`.
 */
export async function onDevice<Result>(
  { device, fallback }: ChosenDevice,
  work: (device: number) => Promise<Result>,
): Promise<{ result: Result; device: string }> {
  try {
    return { result: await work(device), device: device < 0 ? 'cpu' : `cuda:${device}` };
  } catch (error) {
    if (!fallback || device < 0 || (error as { code?: string }).code !== 'ERR_MEMORY') throw error;
    return { result: await work(-1), device: 'cpu' };
  }
}
