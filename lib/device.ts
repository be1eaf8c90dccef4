/** Where native engines run: the processor, or a CUDA device through the addon's CUDA library (docs/gpu.md). */
import { outOfRange, wrongType } from './check.js';
import { deviceVerdict } from './deviceVerdict.js';
import { NativeError } from './errors.js';
import { type CudaReport, native } from './native.js';

/**
 * `cuda` is the first device. `auto` is the first device too, where the problem is large enough to gain by it and the device has
 * once given the processor's results on this machine (deviceVerdict.ts); else the processor.
 */
export type EngineDevice = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

const EXPECTED = 'auto, cpu, cuda or cuda:N';

/** Whether a text names a device, which need not be there. */
export function isEngineDevice(text: unknown): text is EngineDevice {
  return typeof text === 'string' && /^(auto|cpu|cuda(:\d{1,3})?)$/.test(text);
}

/** Index of the device that an option names; -1 = the processor. `fallback`: the processor may take over from it. */
export interface ChosenDevice {
  readonly device: number;
  readonly fallback: boolean;
  /** Why `auto` left a device out that is there, a clause. */
  readonly leftOut?: string;
}

const PROCESSOR: ChosenDevice = { device: -1, fallback: false };

/**
 * Finds the device that `option` names. The first time that `auto` could use one on a machine, it has that tried, which takes
 * seconds; of one that did not pass there is a warning, `COREGAIN_DEVICE_LEFT_OUT`.
 * @param worthwhile whether the problem is large enough for `auto` to start a device, which takes some tenths of a second.
 * @throws {TypeError} or {RangeError} for what is no device; {NativeError} `ERR_DEVICE` where it is not there, with the
 * reason; rejects with `signal.reason` when aborted.
 */
export async function chooseDevice(option: unknown, worthwhile: boolean, signal?: AbortSignal): Promise<ChosenDevice> {
  if (typeof option !== 'string') throw wrongType('device', EXPECTED, option);
  if (!isEngineDevice(option)) throw outOfRange('device', EXPECTED, option);
  if (option === 'cpu' || (option === 'auto' && !worthwhile)) return PROCESSOR;
  const report = native().cuda();
  const { available, reason, devices } = report;
  if (option === 'auto') return available ? chooseFirst(report, signal) : PROCESSOR;
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

let warned = false;

/** cuda:0, if it has passed its trial. */
async function chooseFirst(report: CudaReport, signal: AbortSignal | undefined): Promise<ChosenDevice> {
  const { outcome, why } = await deviceVerdict(report, signal);
  if (outcome === 'passed') return { device: 0, fallback: true };
  const leftOut = outcome === 'failed' ? `cuda:0 did not pass its trial: ${why}` : `cuda:0 could not be tried: ${why}`;
  if (!warned) {
    warned = true;
    process.emitWarning(
      `The processor does the work, because ${leftOut}. \`coregain doctor\` tries it again and tells more; --device cuda uses it all the same.`,
      { type: 'CoregainWarning', code: 'COREGAIN_DEVICE_LEFT_OUT' },
    );
  }
  return { ...PROCESSOR, leftOut };
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
